//! The summary line of a run: results, remaining problems, next step.

use super::styled_text::Style;
use super::{CheckOutcome, FIX_VERBS, Report, count_with_noun};
use manifest::finding::Severity;

/// The line and its style; `None` if the output of a command or an error is sufficient.
pub(super) fn summary(report: &Report) -> Option<(Style, String)> {
    let has_output = !report.output.is_empty() || !report.styled_output.is_empty();
    match report {
        Report { error: Some(_), .. } => None,
        Report { checks, .. } if !checks.is_empty() => Some(self::checks(report)),
        // It prints an earlier run, and has no result of its own.
        Report { command, .. } if command == "report" => None,
        _ if has_output && report.plan.is_empty() && report.findings.is_empty() => None,
        _ => Some((style(report), format!("{}{}", result_summary(report), next_step(report)))),
    }
}

fn result_summary(report: &Report) -> String {
    match &report.release {
        Some((_, to)) if report.command == "verify-manifests" && report.plan.is_empty() => {
            let verb = if report.has_open_problems() { "do not match" } else { "match" };
            format!("the manifests {verb} release {to}: {}", report.describe_problems())
        }
        _ if report.uses_file_lists() => {
            format!(
                "{}; {}; dependencies were not checked",
                changes_summary(report),
                report.describe_problems()
            )
        }
        // These commands check nothing: "no problems" would be misleading.
        _ if ["edit-manifest", "sort-manifests"].contains(&report.command.as_str()) => {
            changes_summary(report)
        }
        _ => format!("{}; {}", changes_summary(report), report.describe_problems()),
    }
}

/// The next command, if any.
fn next_step(report: &Report) -> String {
    if report.has_open_problems() || report.plan.is_empty() {
        return String::new();
    }
    match report.command.as_str() {
        "bump-coreos" | "verify-manifests" | "sort-manifests" if report.dry_run => {
            let without_trial = report.invocation.without_trial.clone();
            format!("\nto apply: {}", without_trial.unwrap_or_else(|| report.invocation.fix_command()))
        }
        "bump-coreos" => format!("\nnext: {}", report.invocation.smoketest_command()),
        _ => String::new(),
    }
}

fn style(report: &Report) -> Style {
    match (report.has_open_problems(), report.findings.iter().any(|f| f.severity == Severity::Error)) {
        (_, true) => Style::Error,
        (true, _) => Style::Warning,
        _ if report.uses_file_lists() => Style::Plain,
        _ => Style::Good,
    }
}

/// `2 files changed for release 1032.0.0 (3 added)`.
pub(super) fn changes_summary(report: &Report) -> String {
    let release = match &report.release {
        Some((_, to)) => format!(" for release {to}"),
        None => String::new(),
    };
    let files = report.plan.edits.len();
    if files == 0 {
        return format!("nothing to change{release}");
    }
    let verb = if report.dry_run || report.check { "would change" } else { "changed" };
    let kinds = match fix_counts(report) {
        counts if counts.is_empty() => String::new(),
        counts => format!(" ({counts})"),
    };
    format!("{} {verb}{release}{kinds}", count_with_noun(files, "file"))
}

/// `3 added, 1 renamed`.
fn fix_counts(report: &Report) -> String {
    let count = |(kind, word)| match report.fixes.iter().filter(|fix| fix.kind == kind).count() {
        0 => None,
        number => Some(format!("{number} {word}")),
    };
    FIX_VERBS.into_iter().filter_map(count).collect::<Vec<_>>().join(", ")
}

fn checks(report: &Report) -> (Style, String) {
    let [failed, skipped] =
        [CheckOutcome::Fail, CheckOutcome::Skip].map(|outcome| report.count_checks(outcome));
    let skips = if skipped > 0 { format!(" ({skipped} skipped)") } else { String::new() };
    let all = report.checks.len();
    let problems =
        if report.has_problems() { format!("; {}", report.describe_problems()) } else { String::new() };
    match failed {
        0 => (style(report), format!("{} passed{skips}{problems}", count_with_noun(all - skipped, "check"))),
        _ => (Style::Error, format!("{failed} of {} failed{skips}{problems}", count_with_noun(all, "check"))),
    }
}
