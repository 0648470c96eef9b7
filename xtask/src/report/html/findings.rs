//! The sections of problems and suggestions, grouped by hint.

use std::fmt::Write;

use super::escape;
use super::table::table;
use crate::report::Report;
use crate::report::problem_groups::{Problem, group_by_hint, hint_label};
use crate::report::tables::Cell;
use manifest::finding::Severity;

/// The problems of some severities; empty if there are none.
pub(super) fn section(report: &Report, is_shown: impl Fn(Severity) -> bool) -> String {
    let mut out = String::new();
    for (hint, group) in group_by_hint(report, is_shown) {
        let rows: Vec<Vec<Cell>> = group.iter().map(row).collect();
        let table = table(report, &["kind", "path", "what", "where"], &rows);
        let hint = format!("<p class=\"hint\">{}: <code>{}</code></p>", hint_label(&group), escape(&hint));
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
    let (related, flavors) = (problem.describe_related(), problem.flavors.join(", "));
    let what = format!("{}{related} ({}, {flavors})", finding.message, finding.board);
    vec![
        Cell::Kind(finding.kind.id(), class),
        Cell::Path(finding.path.clone()),
        Cell::Text(what),
        Cell::Manifest(finding.file.clone(), finding.line),
    ]
}
