//! The one line at the end: what was done, what is left, what comes next.

use super::styled_text::Style;
use super::{Outcome, Report};
use manifest::finding::{FixKind, Severity};

/// The line and how it ended; `None` where a command's output speaks for itself, or where an error does.
pub(super) fn summary(report: &Report) -> Option<(Style, String)> {
    if report.error.is_some() {
        return None;
    }
    if !report.checks.is_empty() {
        return Some(checks(report));
    }
    let says = !report.output.is_empty() || !report.drawing.is_empty();
    if says && report.plan.is_empty() && report.findings.is_empty() {
        return None;
    }
    Some((tone(report), format!("{}{}", sentence(report), next(report))))
}

fn sentence(report: &Report) -> String {
    match &report.release {
        Some((_, to)) if report.command == "verify-manifests" && report.plan.is_empty() => {
            if report.has_open_findings() {
                format!("the manifests do not fit {to}: {}", left(report))
            } else {
                format!("the manifests fit {to}; {}", left(report))
            }
        }
        _ => format!("{}; {}", changes(report), left(report)),
    }
}

/// What a person does next, where that is plain.
fn next(report: &Report) -> &'static str {
    let moved = report.command == "bump-coreos" && !report.plan.is_empty();
    match (moved, report.has_open_findings()) {
        (true, false) if report.dry_run => "; to write it, leave the option out",
        (true, false) => "; next: cargo xtask smoketest",
        _ => "",
    }
}

fn tone(report: &Report) -> Style {
    match (report.has_open_findings(), report.findings.iter().any(|f| f.severity == Severity::Error)) {
        (_, true) => Style::Error,
        (true, _) => Style::Warning,
        _ => Style::Good,
    }
}

/// `2 files changed for 1032.0.0 (3 added)`.
fn changes(report: &Report) -> String {
    let release = match &report.release {
        Some((_, to)) => format!(" for {to}"),
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
    format!("{} {verb}{release}{kinds}", count(files, "file"))
}

/// `3 added, 1 renamed`.
pub(super) fn fix_counts(report: &Report) -> String {
    [
        (FixKind::Add, "added"),
        (FixKind::Rename, "renamed"),
        (FixKind::Move, "moved"),
        (FixKind::Drop, "dropped"),
        (FixKind::Tidy, "tidied"),
    ]
    .into_iter()
    .map(|(kind, word)| (report.fixes.iter().filter(|fix| fix.kind == kind).count(), word))
    .filter(|(number, _)| *number > 0)
    .map(|(number, word)| format!("{number} {word}"))
    .collect::<Vec<_>>()
    .join(", ")
}

/// `1 error and 2 warnings are left for a person`.
pub(super) fn left(report: &Report) -> String {
    let number = |severity| report.findings.iter().filter(|f| f.severity == severity).count();
    let (errors, warnings, advice) =
        (number(Severity::Error), number(Severity::Warning), number(Severity::Advice));
    let open = match (errors, warnings) {
        (0, 0) => "nothing is left to do by hand".to_owned(),
        (0, _) => format!("{} left for a person", are(warnings, "warning")),
        (_, 0) => format!("{} left for a person", are(errors, "error")),
        _ => format!("{} and {} left for a person", count(errors, "error"), are(warnings, "warning")),
    };
    match advice {
        0 => open,
        1 => format!("{open}; 1 piece of advice"),
        _ => format!("{open}; {advice} pieces of advice"),
    }
}

fn checks(report: &Report) -> (Style, String) {
    let number = |outcome| report.checks.iter().filter(|check| check.outcome == outcome).count();
    let (failed, skipped) = (number(Outcome::Fail), number(Outcome::Skip));
    let skips = if skipped > 0 { format!(" ({skipped} skipped)") } else { String::new() };
    let all = report.checks.len();
    match failed {
        0 => (Style::Good, format!("{} passed{skips}", count(all - skipped, "check"))),
        _ => (Style::Error, format!("{} failed of {all}{skips}", count(failed, "check"))),
    }
}

/// `1 file`, `2 files`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn are(number: usize, noun: &str) -> String {
    format!("{} {}", count(number, noun), if number == 1 { "is" } else { "are" })
}
