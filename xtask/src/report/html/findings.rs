//! The sections of problems and suggestions, grouped by hint.

use std::fmt::Write;

use super::escape;
use super::table::table;
use crate::report::problem_groups::{Problem, group_by_hint};
use crate::report::tables::Cell;
use crate::report::{Report, count_with_noun};
use manifest::finding::Severity;

/// The problems of some severities; empty if there are none.
pub(super) fn section(report: &Report, is_shown: impl Fn(Severity) -> bool) -> String {
    let mut out = String::new();
    for (hint, group) in group_by_hint(report, is_shown) {
        let what = if group.len() > 1 { format!(" for these {}", group.len()) } else { String::new() };
        let rows: Vec<Vec<Cell>> = group.iter().map(row).collect();
        let (table, hint) = (table(report, &["kind", "path", "what", "where"], &rows), escape(&hint));
        let hint = format!("<p class=\"hint\">hint{what}: <code>{hint}</code></p>");
        let _ = write!(out, "<div class=\"group\">\n{table}{hint}\n</div>\n");
    }
    out
}

fn row(problem: &Problem<'_>) -> Vec<Cell> {
    let finding = problem.main;
    let class = match finding.severity {
        Severity::Error => "bad",
        Severity::Warning => "warn",
        Severity::Advice => "info",
    };
    let mut what = finding.message.clone();
    if !problem.related.is_empty() {
        let _ = write!(what, "; {} because of it", count_with_noun(problem.related.len(), "further finding"));
    }
    let _ = write!(what, " ({}, {})", finding.board, problem.flavors.join(", "));
    vec![
        Cell::Kind(finding.kind.id(), class),
        Cell::Path(finding.path.clone()),
        Cell::Text(what),
        Cell::Manifest(finding.file.clone(), finding.line),
    ]
}
