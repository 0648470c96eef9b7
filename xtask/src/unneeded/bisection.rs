//! Builds and boots without unneeded lines: first without all of a group, then by bisection.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use serde_json::{Value, json};

use super::tree_copy::TreeCopy;
use super::{describe_category, distinct_file_bytes, format_size, push_removal_command};
use crate::cli::{self, Command, Unneeded};
use crate::context::Context;
use crate::report::styled_text::{Style, StyledText};
use crate::report::{CheckOutcome, Report, count_with_noun};
use crate::smoketest::smoketest;
use crate::trusted_owners::TrustedOwners;
use coreos_types::{Error, Result, ResultExt};
use manifest::finding::Severity;
use manifest::unneeded::{UnneededCategory, UnneededLine};

/// Tests each group in turn, the surest first. Lines whose removal passed stay removed for the next group.
pub(super) fn prove(
    context: &Context<'_>,
    args: &Unneeded,
    groups: &[(UnneededCategory, Vec<UnneededLine>)],
    report: &mut Report,
) -> Result<()> {
    TrustedOwners::from_env().check_tree(context.tree.root())?;
    let copy = TreeCopy::create(context.tree.root(), &context.sources)?;
    let mut bisection =
        Bisection { context, args, copy, removed: Vec::new(), runs: 0, seen_errors: BTreeSet::new() };
    if let Some(why) = bisection.build_and_boot_without(&[])? {
        let message = "the tree does not build and boot as it is, so removals cannot be verified";
        return Err(Error::failed(message)
            .with_cause(why)
            .with_hint(context.bare_invocation().smoketest_command()));
    }
    let mut results = Vec::new();
    let is_booted = |line: &&UnneededLine| {
        let mut flavors = line.used_by.iter().map(|(_, flavor)| flavor.as_str());
        args.flavors.is_empty()
            || flavors.any(|flavor| args.flavors.iter().any(|selected| selected == flavor))
    };
    for (category, lines) in groups {
        // The lines of one file are removed together, in every manifest.
        let mut by_file: BTreeMap<&str, Vec<&UnneededLine>> = BTreeMap::new();
        for line in lines.iter().filter(is_booted) {
            by_file.entry(&line.resolved_path).or_default().push(line);
        }
        if !by_file.is_empty() {
            let group = bisection.bisect(*category, &by_file.into_values().collect::<Vec<_>>())?;
            report.styled_output.append(group.render(context));
            results.push(group.to_json());
        }
    }
    report.extra.insert("trials", results.into());
    Ok(())
}

/// The result of a group.
struct GroupResult<'a> {
    category: UnneededCategory,
    removed: Vec<UnneededLine>,
    must_stay: Vec<(&'a UnneededLine, String)>,
    undecided: Vec<&'a UnneededLine>,
    runs: usize,
}

struct Bisection<'a> {
    context: &'a Context<'a>,
    args: &'a Unneeded,
    copy: TreeCopy<'a>,
    /// What was removed in the last run that passed.
    removed: Vec<&'a UnneededLine>,
    runs: usize,
    seen_errors: BTreeSet<String>,
}

impl<'a> Bisection<'a> {
    /// Removes as many of the items as possible, by bisection.
    fn bisect(
        &mut self,
        category: UnneededCategory,
        items: &[Vec<&'a UnneededLine>],
    ) -> Result<GroupResult<'a>> {
        let (removed_before, runs_before) = (self.removed.len(), self.runs);
        let (mut must_stay, mut undecided) = (Vec::new(), Vec::new());
        let mut todo: Vec<&[Vec<&'a UnneededLine>]> = vec![items];
        while let Some(part) = todo.pop() {
            let lines: Vec<&UnneededLine> = part.iter().flatten().copied().collect();
            if self.runs >= self.args.max_boots {
                undecided.extend(lines);
                continue;
            }
            match self.build_and_boot_without(&lines)? {
                None => self.removed.extend(lines),
                Some(why) if part.len() == 1 => {
                    must_stay.extend(lines.into_iter().map(|line| (line, why.clone())));
                }
                Some(_) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    todo.extend([second, first]);
                }
            }
        }
        let removed = self.removed[removed_before..].iter().map(|&line| line.clone()).collect();
        Ok(GroupResult { category, removed, must_stay, undecided, runs: self.runs - runs_before })
    }

    /// Builds and boots the copy without these lines and those removed before; the reason if that fails.
    fn build_and_boot_without(&mut self, lines: &[&'a UnneededLine]) -> Result<Option<String>> {
        self.copy.write_manifests_without(&[&self.removed[..], lines].concat())?;
        self.runs += usize::from(!lines.is_empty());
        let tried = match self.removed.len() + lines.len() {
            0 => "of the tree as it is".to_owned(),
            removed => format!("without {}", count_with_noun(removed, "line")),
        };
        self.context.term.stage("testing", format!("a clean build and boot {tried}"));
        let words =
            ["xtask", "smoketest", "--repo"].map(OsString::from).into_iter().chain([self.copy.path().into()]);
        let options = self.context.given.without(&["prove", "max_boots"]).into_iter().map(OsString::from);
        let cli = cli::parse(words.chain(options)).with_context(|| "cannot run the smoke test")?;
        let Command::Smoketest(flags) = &cli.command else { return Ok(None) };
        let settings = self.context.settings.clone();
        let context = Context {
            cache: self.context.cache.clone(),
            repo: self.context.repo.clone(),
            ..Context::load_with_config(self.context.term, &cli, settings)?
        };
        let mut report = Report::default();
        let done = smoketest(&context, flags, &mut report);
        let failure = failure_reason(&report, done.as_ref().err());
        if let Some(why) = &failure {
            self.context.term.stage("failed", why);
        }
        match done {
            // On a new error the last passed test is repeated: if that fails too, the cause is this machine.
            Err(error) if !lines.is_empty() && self.seen_errors.insert(error.message.clone()) => {
                let again = self.build_and_boot_without(&[])?;
                again.map_or(Ok(failure), |why| Err(error.with_cause(why)))
            }
            _ => Ok(failure),
        }
    }
}

impl GroupResult<'_> {
    fn render(&self, context: &Context<'_>) -> StyledText {
        let mut out = StyledText::new();
        let all = self.removed.len() + self.must_stay.len() + self.undecided.len();
        let headline = format!(
            "{}: {} of {} can go, {}, verified by {}",
            describe_category(self.category),
            self.removed.len(),
            count_with_noun(all, "line"),
            format_size(&self.removed),
            count_with_noun(self.runs, "smoke test"),
        );
        out.push_line(Style::Strong, headline);
        for (line, why) in &self.must_stay {
            out.push_line(Style::Warning, format!("  must stay: {}", line.path));
            out.push_line(Style::Faint, format!("    {why}"));
        }
        for line in &self.undecided {
            out.push_line(Style::Faint, format!("  not decided, --max-boots is reached: {}", line.path));
        }
        push_removal_command(&mut out, context, &self.removed);
        out
    }

    fn to_json(&self) -> Value {
        let line = |line: &UnneededLine| json!({ "file": line.file, "path": line.path });
        let must_stay = self
            .must_stay
            .iter()
            .map(|(line, why)| json!({ "file": line.file, "path": line.path, "because": why }));
        json!({
            "group": self.category.id(),
            "removed": self.removed.iter().map(line).collect::<Vec<_>>(),
            "must_stay": must_stay.collect::<Vec<_>>(),
            "undecided": self.undecided.iter().map(|one| line(one)).collect::<Vec<_>>(),
            "bytes": distinct_file_bytes(&self.removed),
            "boots": self.runs,
        })
    }
}

/// The reason why a smoke test failed or booted nothing; `None` if it booted and every check passed.
fn failure_reason(report: &Report, error: Option<&Error>) -> Option<String> {
    if let Some(error) = error {
        return Some(error.to_string());
    }
    if let Some(finding) = report.findings.iter().find(|finding| finding.severity == Severity::Error) {
        return Some(finding.message.clone());
    }
    if let Some(check) = report.checks.iter().find(|check| check.outcome == CheckOutcome::Fail) {
        let message = check.message.lines().next().unwrap_or_default();
        return Some(format!("{} {}: {message}", check.name, check.subject));
    }
    let mut boots = report.checks.iter().filter(|check| check.name == "run");
    if boots.clone().any(|check| check.outcome == CheckOutcome::Pass) {
        return None;
    }
    Some(boots.next().map_or_else(|| "nothing was booted".to_owned(), |check| check.message.clone()))
}
