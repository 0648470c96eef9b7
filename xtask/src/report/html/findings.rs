//! The sections of problems and suggestions, grouped by hint.

use std::fmt::Write;

use super::table::{Cell, chip, path, table, text};
use super::{escape, manifest_cell};
use crate::report::Report;
use crate::report::problem_groups::{Problem, count, problems};
use manifest::finding::Severity;

/// Errors and warnings.
pub(super) fn problems_section(report: &Report) -> String {
    section(report, |severity| severity != Severity::Advice)
}

/// Advice, folded: it changes no outcome.
pub(super) fn suggestions_section(report: &Report) -> String {
    let section = section(report, |severity| severity == Severity::Advice);
    if section.is_empty() {
        return section;
    }
    format!("<details><summary>Suggestions</summary>\n{section}</details>\n")
}

fn section(report: &Report, is_shown: impl Fn(Severity) -> bool) -> String {
    let all = problems(report);
    let mut groups: Vec<(String, Vec<&Problem<'_>>)> = Vec::new();
    for problem in all.iter().filter(|problem| is_shown(problem.main.severity)) {
        let hint = report.hint(problem.main);
        match groups.iter_mut().find(|(known, _)| *known == hint) {
            Some((_, group)) => group.push(problem),
            None => groups.push((hint, vec![problem])),
        }
    }
    let mut out = String::new();
    for (hint, group) in groups {
        let what = if group.len() > 1 { format!(" for these {}", group.len()) } else { String::new() };
        let rows: Vec<Vec<Cell>> = group.iter().map(|problem| row(report, problem)).collect();
        let _ = write!(
            out,
            "<div class=\"group\">\n{}<p class=\"hint\">hint{what}: <code>{}</code></p>\n</div>\n",
            table(&["kind", "path", "what", "where"], &rows),
            escape(&hint)
        );
    }
    out
}

fn row(report: &Report, problem: &Problem<'_>) -> Vec<Cell> {
    let finding = problem.main;
    let class = match finding.severity {
        Severity::Error => "bad",
        Severity::Warning => "warn",
        Severity::Advice => "info",
    };
    let mut what = finding.message.clone();
    if !problem.related.is_empty() {
        let _ = write!(what, "; {} because of it", count(problem.related.len(), "further finding"));
    }
    let _ = write!(what, " ({}, {})", finding.board, problem.flavors.join(", "));
    vec![
        chip(finding.kind.id(), class),
        path(&finding.path),
        text(&what),
        manifest_cell(report, &finding.file, finding.line),
    ]
}
