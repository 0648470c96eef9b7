//! Findings grouped by their cause, and how many there are.

use std::collections::BTreeMap;

use coreos_types::Board;
use manifest::finding::{Finding, FindingKind, Severity};
use manifest::suggestion::Suggestion;

use super::Report;

/// Findings with the same cause and the same fix: a renamed library is missing under its old name, its symlink dangles,
/// and programs need the new file.
#[derive(Debug)]
pub(super) struct Problem<'r> {
    /// The finding that names the cause.
    pub(super) main: &'r Finding,
    /// Further findings with the same cause.
    pub(super) related: Vec<&'r Finding>,
    /// The affected flavors.
    pub(super) flavors: Vec<&'r str>,
}

impl Problem<'_> {
    /// Whether `--fix` fixes all of it.
    pub(super) fn is_fixable(&self) -> bool {
        self.findings().all(|finding| finding.fixable)
    }

    /// Whether the problem is fixed by `--fix --drop-missing` and not by `--fix`.
    fn is_droppable(&self) -> bool {
        let is_droppable = |finding: &Finding| finding.suggestion == Suggestion::RunFixDropMissing;
        !self.is_fixable() && self.findings().all(|finding| finding.fixable || is_droppable(finding))
    }

    fn severity(&self) -> Severity {
        self.findings().map(|finding| finding.severity).min().unwrap_or(self.main.severity)
    }

    fn findings(&self) -> impl Iterator<Item = &Finding> {
        std::iter::once(self.main).chain(self.related.iter().copied())
    }

    /// `; 2 further findings because of it`, or nothing.
    pub(super) fn describe_related(&self) -> String {
        match self.related.len() {
            0 => String::new(),
            number => format!("; {} because of it", count_with_noun(number, "further finding")),
        }
    }
}

/// `hint`, or `hint for these 3` where several problems have it.
pub(super) fn hint_label(group: &[Problem<'_>]) -> String {
    if group.len() > 1 { format!("hint for these {}", group.len()) } else { "hint".to_owned() }
}

/// Problems with the same hint, and the hint, in the order of the first of each.
pub(super) fn group_by_hint(
    report: &Report,
    is_shown: impl Fn(Severity) -> bool,
) -> Vec<(String, Vec<Problem<'_>>)> {
    let mut groups: Vec<(String, Vec<Problem<'_>>)> = Vec::new();
    for problem in problems(report).into_iter().filter(|problem| is_shown(problem.main.severity)) {
        let hint = report.hint(problem.main);
        match groups.iter_mut().find(|(known, _)| *known == hint) {
            Some((_, group)) => group.push(problem),
            None => groups.push((hint, vec![problem])),
        }
    }
    groups
}

/// The findings of a report by cause, in their order.
fn problems(report: &Report) -> Vec<Problem<'_>> {
    let mut problems: Vec<(usize, Problem<'_>)> = Vec::new();
    let mut index = ProblemIndex::default();
    let findings = || report.findings.iter().enumerate();
    let mains = findings().filter(|(_, finding)| !may_follow_rename(finding));
    let others = findings().filter(|(_, finding)| may_follow_rename(finding));
    for (position, finding) in mains.chain(others) {
        let flavor = finding.flavor.as_str();
        let same = index.by_key.get(&finding_key(finding)).copied();
        let Some(at) = same.or_else(|| index.cause(finding)) else {
            index.insert(finding, problems.len());
            problems.push((position, Problem { main: finding, related: Vec::new(), flavors: vec![flavor] }));
            continue;
        };
        let problem = &mut problems[at].1;
        if !problem.flavors.contains(&flavor) {
            problem.flavors.push(flavor);
        }
        if same.is_none() {
            problem.related.push(finding);
        }
    }
    problems.sort_by_key(|(position, _)| *position);
    problems.into_iter().map(|(_, problem)| problem).collect()
}

/// The identity of a finding, without the flavor: the same finding in two flavors is one problem.
type FindingKey<'r> = (Board, FindingKind, &'r str, Option<usize>, &'r str, &'r str);

fn finding_key(finding: &Finding) -> FindingKey<'_> {
    (finding.board, finding.kind, &finding.file, finding.line, &finding.path, &finding.message)
}

/// Index of the problems by key; the first problem of a key stays.
#[derive(Default)]
struct ProblemIndex<'r> {
    by_key: BTreeMap<FindingKey<'r>, usize>,
    /// Missing files with one candidate, by board, manifest and candidate.
    by_new_name: BTreeMap<(Board, &'r str, &'r str), usize>,
    /// Missing libraries without candidates, by board, manifest and path.
    without_candidate: BTreeMap<(Board, &'r str, &'r str), (usize, &'r Suggestion)>,
}

impl<'r> ProblemIndex<'r> {
    fn insert(&mut self, finding: &'r Finding, at: usize) {
        self.by_key.entry(finding_key(finding)).or_insert(at);
        match finding.candidates.as_slice() {
            [new] if finding.kind == FindingKind::Missing => {
                self.by_new_name.entry((finding.board, &finding.file, new)).or_insert(at);
            }
            [] if finding.kind == FindingKind::Missing && finding.path.contains(".so") => {
                let key = (finding.board, &*finding.file, &*finding.path);
                self.without_candidate.entry(key).or_insert((at, &finding.suggestion));
            }
            _ => {}
        }
    }

    /// The problem that caused a finding: the rename of a file that the finding's candidates name, or the missing soname
    /// of the same library.
    fn cause(&self, finding: &Finding) -> Option<usize> {
        if may_follow_rename(finding) {
            let renames = finding.candidates.iter().map(|new| (finding.board, &*finding.file, &**new));
            return renames.filter_map(|key| self.by_new_name.get(&key)).min().copied();
        }
        if finding.kind != FindingKind::Missing || !finding.candidates.is_empty() {
            return None;
        }
        let sonames = finding.path.match_indices('.').map(|(at, _)| &finding.path[..at]);
        let missing = |soname| self.without_candidate.get(&(finding.board, &*finding.file, soname));
        let missing = sonames.filter_map(missing);
        missing.filter(|(_, suggestion)| **suggestion == finding.suggestion).map(|(at, _)| *at).min()
    }
}

/// Whether a rename may have caused the finding.
fn may_follow_rename(finding: &Finding) -> bool {
    matches!(finding.kind, FindingKind::Dangling | FindingKind::NeedsUnlisted)
}

impl Report {
    /// The number of problems by severity and fix: `4 problems (3 errors, 1 warning), 3 fixable with --fix; 2
    /// suggestions`, or `no problems`.
    pub fn describe_problems(&self) -> String {
        let (suggestions, open): (Vec<Problem<'_>>, Vec<Problem<'_>>) =
            problems(self).into_iter().partition(|problem| problem.severity() == Severity::Advice);
        let by_severity = [Severity::Error, Severity::Warning].map(|severity| {
            let number = open.iter().filter(|problem| problem.severity() == severity).count();
            (number > 0).then(|| count_with_noun(number, severity.id()))
        });
        let by_severity = by_severity.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let mut out = match open.len() {
            // Lists of names have no dependencies.
            0 if self.uses_file_lists() => "no problems seen in the lists".to_owned(),
            0 => "no problems".to_owned(),
            all => format!("{} ({by_severity})", count_with_noun(all, "problem")),
        };
        // A bump fixes without an option.
        let (fix, drop) = match self.command == "bump-coreos" {
            true => ("", "--drop-missing"),
            false => (" with --fix", "--fix --drop-missing"),
        };
        let fixable = open.iter().filter(|problem| problem.is_fixable()).count();
        let droppable = open.iter().filter(|problem| problem.is_droppable()).count();
        if fixable > 0 {
            out.push_str(&format!(", {fixable} fixable{fix}"));
        }
        if droppable > 0 {
            let word = if fixable > 0 { "more" } else { "fixable" };
            out.push_str(&format!(", {droppable} {word} with {drop}"));
        }
        if !suggestions.is_empty() {
            out.push_str(&format!("; {}", count_with_noun(suggestions.len(), "suggestion")));
        }
        if !self.accepted.is_empty() {
            out.push_str(&format!("; {} accepted", self.accepted.len()));
        }
        out
    }
}

/// `1 file`, `2 files`.
pub fn count_with_noun(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    fn finding(kind: FindingKind, path: &str, candidates: &[&str], suggestion: Suggestion) -> Finding {
        let mut finding = fixtures::bump().findings.remove(0);
        (finding.kind, finding.severity) = (kind, kind.severity());
        (finding.path, finding.message, finding.suggestion) =
            (path.into(), format!("{path} is wrong"), suggestion);
        finding.fixable = finding.suggestion == Suggestion::RunFix;
        finding.candidates = candidates.iter().map(|&path| path.to_owned()).collect();
        finding
    }

    fn describe(findings: &[Finding]) -> String {
        Report { findings: findings.to_vec(), ..Report::default() }.describe_problems()
    }

    #[test]
    fn renamed_library_is_one_problem() {
        let findings = [
            finding(FindingKind::NeedsUnlisted, "lib64/z.so.2", &["lib64/z.so.2"], Suggestion::RunFix),
            finding(FindingKind::Dangling, "lib64/z.so", &["lib64/z.so.2"], Suggestion::RunFix),
            finding(FindingKind::Missing, "lib64/z.so.1", &["lib64/z.so.2"], Suggestion::RunFix),
        ];
        assert_eq!(describe(&findings), "1 problem (1 error), 1 fixable with --fix");
        let report = Report { findings: findings.to_vec(), ..Report::default() };
        let problems = problems(&report);
        assert_eq!((problems.len(), problems[0].related.len()), (1, 2));
        assert_eq!(problems[0].main.path, "lib64/z.so.1");
    }

    #[test]
    fn missing_soname_and_real_name_are_one_problem() {
        let gone = |path| finding(FindingKind::Missing, path, &[], Suggestion::RunFixDropMissing);
        let findings = [gone("lib64/z.so.1"), gone("lib64/z.so.1.2"), gone("lib64/z.so.12")];
        assert_eq!(describe(&findings), "2 problems (2 errors), 2 fixable with --fix --drop-missing");
    }

    #[test]
    fn counts_by_severity_and_by_fix() {
        let rename = finding(FindingKind::Missing, "a", &["b"], Suggestion::RunFix);
        let gone = finding(FindingKind::Missing, "c", &[], Suggestion::RunFixDropMissing);
        let unit = finding(FindingKind::Tidy, "d", &[], Suggestion::add("f", ["d"]));
        let advice = finding(FindingKind::Advice, "e", &["e"], Suggestion::add("f", ["e"]));
        for (findings, text) in [
            (vec![], "no problems"),
            (vec![advice.clone()], "no problems; 1 suggestion"),
            (vec![gone.clone()], "1 problem (1 error), 1 fixable with --fix --drop-missing"),
            (vec![rename.clone(), unit.clone()], "2 problems (1 error, 1 warning), 1 fixable with --fix"),
            (
                vec![rename, gone, unit, advice],
                "3 problems (2 errors, 1 warning), 1 fixable with --fix, 1 more with --fix --drop-missing; 1 suggestion",
            ),
        ] {
            assert_eq!(describe(&findings), text);
        }
    }

    #[test]
    fn same_advice_in_two_flavors_is_one_suggestion() {
        let coreos = finding(FindingKind::Advice, "e", &["e"], Suggestion::RunFix);
        let kvm = Finding {
            flavor: coreos_types::Flavor::from_dir_name("usr_from_kvm").unwrap(),
            ..coreos.clone()
        };
        let report = Report { findings: vec![coreos, kvm], ..Report::default() };
        assert_eq!(problems(&report)[0].flavors, ["coreos", "kvm"]);
        assert_eq!(report.describe_problems(), "no problems; 1 suggestion");
    }
}
