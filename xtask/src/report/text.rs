//! The report as text: the diff with reasons, the remaining problems, a summary line.

use super::edit_diff::{render_annotated, render_patch};
use super::package_changes;
use super::problem_groups::{Problem, group_by_hint};
use super::styled_text::{Style, StyledText, wrap};
use super::summary::summary;
use super::{Check, CheckOutcome, Report, file_and_line, join_first_names};
use coreos_types::Error;
use manifest::finding::{Finding, FindingKind, Severity};

/// Layout options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    /// Columns of the terminal; `None` if standard output is not a terminal: diffs are then valid patches.
    pub width: Option<usize>,
    /// Print only problems and the output of the command (`-q`).
    pub problems_only: bool,
    /// Long lists are not cut (`-v`).
    pub complete: bool,
}

/// Renders the report without its error, which is printed to standard error ([`render_error`]).
pub(crate) fn render(report: &Report, layout: Layout) -> StyledText {
    let mut out = StyledText::new();
    for line in &report.output {
        out.push_line(Style::Plain, line);
    }
    out.append(report.styled_output.clone());
    let (findings, checks) = (findings(report, layout), checks(&report.checks, layout));
    if layout.problems_only {
        out.append(findings);
        out.append(checks);
        return out;
    }
    for edit in &report.plan.edits {
        out.append(match layout.width {
            Some(width) => render_annotated(report, edit, width),
            None => render_patch(report, edit),
        });
    }
    if !report.plan.is_empty() && !report.findings.is_empty() {
        out.push_line(Style::Plain, "");
    }
    out.append(findings);
    out.append(checks);
    out.append(package_changes::render(report.package_changes.as_deref().unwrap_or_default()));
    report.advisories.iter().for_each(|advisories| out.append(advisories.render()));
    if let Some((style, line)) = summary(report) {
        if !report.plan.is_empty() || !report.findings.is_empty() || !report.checks.is_empty() {
            out.push_line(Style::Plain, "");
        }
        for (number, line) in line.lines().enumerate() {
            // The first line is a sentence, the second a command to paste.
            out.push_line(style, if number == 0 { wrap(line, layout.width, "") } else { line.to_owned() });
        }
    }
    out
}

/// An error for standard error: message, causes, hint.
pub(crate) fn render_error(error: &Error) -> StyledText {
    let mut out = StyledText::styled(Style::Error, "error: ");
    out.push_line(Style::Strong, indent_continuation_lines(&error.message));
    for cause in &error.causes {
        out.push(Style::Faint, "  caused by: ");
        out.push_line(Style::Plain, indent_continuation_lines(cause));
    }
    if let Some(hint) = &error.hint {
        out.append(hint_line("  ", hint));
    }
    out
}

/// Indents the continuation lines, so that none looks like a separate message.
fn indent_continuation_lines(text: &str) -> String {
    text.replace('\n', "\n    ")
}

/// Problems of one hint beyond this many are counted, not shown.
const MAX_SHOWN: usize = 10;

/// The problems, those with the same hint together, and the hint once.
fn findings(report: &Report, layout: Layout) -> StyledText {
    let groups = group_by_hint(report, |severity| !layout.problems_only || severity != Severity::Advice);
    let mut out = StyledText::new();
    for (hint, group) in groups {
        let shown = if layout.complete { group.len() } else { MAX_SHOWN };
        for problem in group.iter().take(shown) {
            out.append(one_problem(problem, report.flavor_count > 1, layout));
        }
        let more = group.len().saturating_sub(shown);
        if more > 0 {
            out.push_line(Style::Faint, format!("… and {more} more (-v shows all)"));
        }
        if group.len() > 1 {
            out.push_line(Style::Faint, format!("    one command for these {}:", group.len()));
        }
        out.append(hint_line("    ", &hint));
    }
    for (finding, reason) in report.accepted.iter().filter(|_| layout.complete) {
        let Finding { kind, path, flavor, .. } = finding;
        out.push(Style::Strong, format!("{}:", file_and_line(&finding.file, finding.line)));
        out.push_line(Style::Faint, format!(" accepted[{}] {path} ({flavor})", kind.id()));
        out.push_line(Style::Plain, wrap(&finding.message, layout.width, "    "));
        out.push_line(Style::Faint, wrap(&format!("accepted: {}", reason.trim()), layout.width, "    "));
    }
    out
}

/// `FILE:LINE: severity[kind] PATH`, followed by the reason.
fn one_problem(problem: &Problem<'_>, has_flavors: bool, layout: Layout) -> StyledText {
    let finding = problem.main;
    let place = format!("{}:", file_and_line(&finding.file, finding.line));
    let mut out = StyledText::styled(Style::Strong, place);
    let kind = match finding.kind {
        FindingKind::Advice => String::new(),
        kind => format!("[{}]", kind.id()),
    };
    out.push(style_of(finding.severity), format!(" {}{kind}", finding.severity.id()));
    out.push(Style::Plain, format!(" {}", finding.path));
    if has_flavors {
        out.push(Style::Faint, format!(" ({})", problem.flavors.join(", ")));
    }
    out.push_line(Style::Plain, "");
    out.push_line(Style::Plain, wrap(&finding.message, layout.width, "    "));
    for (label, names) in [("needed by", &finding.needed_by), ("candidates", &finding.candidates)] {
        if !names.iter().all(|name| finding.message.contains(name.as_str())) {
            let names = join_first_names(names.iter(), MAX_NAMES);
            out.push_line(Style::Faint, format!("    {label}: {names}"));
        }
    }
    for related in &problem.related {
        let line = related.line.map_or_else(String::new, |line| format!("line {line}: "));
        out.push_line(Style::Faint, wrap(&format!("also: {line}{}", related.message), layout.width, "    "));
    }
    out
}

/// Names beyond this many are counted, not shown.
const MAX_NAMES: usize = 4;

fn hint_line(indent: &str, hint: &str) -> StyledText {
    let mut out = StyledText::styled(Style::Advice, format!("{indent}hint:"));
    out.push_line(Style::Plain, format!(" {}", indent_continuation_lines(hint)));
    out
}

pub(super) fn style_of(severity: Severity) -> Style {
    match severity {
        Severity::Error => Style::Error,
        Severity::Warning => Style::Warning,
        Severity::Advice => Style::Advice,
    }
}

/// Each check that did not pass, and a count of those that did, in the order they were made.
fn checks(checks: &[Check], layout: Layout) -> StyledText {
    let mut out = StyledText::new();
    let mut by_name: Vec<(&str, Vec<&Check>)> = Vec::new();
    for check in checks {
        match by_name.iter_mut().find(|(name, _)| *name == check.name) {
            Some((_, group)) => group.push(check),
            None => by_name.push((check.name, vec![check])),
        }
    }
    for (name, group) in by_name {
        let line = |out: &mut StyledText, style, word: &str, what: &str| {
            out.push(style, word);
            out.push_line(Style::Plain, format!(" {name:<7} {}", what.trim_end()));
        };
        let (passed, others): (Vec<&Check>, Vec<&Check>) =
            group.into_iter().partition(|check| check.outcome == CheckOutcome::Pass);
        for check in others {
            match check.outcome {
                CheckOutcome::Fail => line(&mut out, Style::Error, "FAIL", &check.subject),
                _ if layout.problems_only => continue,
                _ => line(&mut out, Style::Warning, "skip", &check.subject),
            }
            check.message.lines().for_each(|line| out.push_line(Style::Plain, format!("    {line}")));
        }
        match passed.as_slice() {
            _ if layout.problems_only => {}
            [] => {}
            [one] => line(&mut out, Style::Good, "pass", &format!("{}  {}", one.subject, one.message)),
            many => line(&mut out, Style::Good, "pass", &format!("{} passed", many.len())),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::report::fixtures;

    const TERMINAL: Layout = Layout { width: Some(80), problems_only: false, complete: false };

    #[test]
    fn bump_on_a_terminal() {
        let text = render(&fixtures::bump(), TERMINAL).to_string();
        let (_, after_diff) = text.split_once("\n\n").unwrap();
        expect![[r#"
            stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest:1: error[missing] bin/systemctl
                bin/systemctl is not in the image of 1032.0.0
                needed by: a, b, c, d and 1 more
                hint: cargo xtask verify-manifests --fix --drop-missing

            2 files changed for release 1032.0.0 (1 added, 1 renamed); 1 problem (1 error),
            1 fixable with --drop-missing
        "#]]
        .assert_eq(after_diff);
    }

    #[test]
    fn quiet_run_prints_problems_only() {
        let layout = Layout { problems_only: true, ..TERMINAL };
        let mut report = fixtures::bump();
        assert!(
            render(&report, layout).to_string().starts_with("stage1/usr_from_coreos/manifest-amd64-usr.d/")
        );
        report.findings[0].severity = Severity::Advice;
        assert!(render(&report, layout).is_empty());
        assert_eq!(render(&fixtures::smoketest(), layout).to_string().lines().count(), 3);
    }

    #[test]
    fn problems_of_one_hint_are_grouped_and_cut() {
        let mut report = fixtures::bump();
        let finding = report.findings[0].clone();
        report.findings = (1..=25)
            .map(|line| Finding { line: Some(line), path: format!("bin/p{line}"), ..finding.clone() })
            .collect();
        let text = render(&report, Layout::default()).to_string();
        assert_eq!(text.matches("error[missing]").count(), MAX_SHOWN);
        assert_eq!(text.matches("one command for these 25:\n    hint: cargo xtask").count(), 1);
        assert!(text.contains("\n… and 15 more (-v shows all)\n"), "{text}");
        let all = render(&report, Layout { complete: true, ..Layout::default() }).to_string();
        assert_eq!(all.matches("error[missing]").count(), 25);
    }

    #[test]
    fn flavor_is_printed_if_the_tree_has_several() {
        let report = Report { flavor_count: 2, ..fixtures::bump() };
        assert!(render(&report, TERMINAL).to_string().contains("error[missing] bin/systemctl (coreos)\n"));
    }

    #[test]
    fn error_has_message_causes_and_hint() {
        let untrusted = Error::refused("pxe.img is not trusted")
            .with_cause("signed by\nan unknown key")
            .with_hint("cargo xtask fetch --signing-key FILE");
        expect![[r#"
            error: pxe.img is not trusted
              caused by: signed by
                an unknown key
              hint: cargo xtask fetch --signing-key FILE
        "#]]
        .assert_eq(&render_error(&untrusted).to_string());
    }

    #[test]
    fn failed_checks_are_shown_and_passed_ones_counted() {
        expect![[r#"
            pass build   3 flavors
            FAIL link    bin/bash
                libtinfo.so.6 is not found
                hint: cargo xtask verify-manifests --fix
            pass link    2 passed
            skip run     coreos
                --no-run

            1 of 5 checks failed (1 skipped)
        "#]]
        .assert_eq(&render(&fixtures::smoketest(), TERMINAL).to_string());
    }
}
