//! Tables that sort, and that become cards on a narrow screen.

use std::fmt::Write;

use super::escape;
use crate::report::tables::{Cell, Table};
use crate::report::{Report, file_and_line};

/// The intro paragraph, the table and the note; each part only if present.
pub(super) fn table_with_notes(report: &Report, all: &Table) -> String {
    let paragraph = |text: &Option<String>| {
        text.iter().map(|text| format!("<p class=\"soft\">{}</p>\n", escape(text))).collect()
    };
    let (intro, note): (String, String) = (paragraph(&all.intro), paragraph(&all.note));
    let rows = if all.rows.is_empty() { String::new() } else { table(report, &all.columns, &all.rows) };
    intro + &rows + &note
}

pub(super) fn content(report: &Report, cell: &Cell) -> String {
    let lines = |paths: &[String], separator| {
        paths.iter().map(|path| breakable(path)).collect::<Vec<_>>().join(separator)
    };
    match cell {
        Cell::Text(text) | Cell::Sum(text) | Cell::Number(text, _) => escape(text),
        Cell::Kind(kind, class) => format!("<span class=\"chip {class}\">{}</span>", escape(kind)),
        Cell::Path(path) => breakable(path),
        Cell::Paths(paths, 0) => lines(paths, "<br>"),
        Cell::Paths(paths, more) => format!("{}<br>and {more} more", lines(paths, "<br>")),
        Cell::Change(paths) => lines(paths, "<br>→ "),
        Cell::Manifest(file, line) => {
            let text = breakable(&file_and_line(file, *line));
            match &report.source_links {
                Some(links) => link(&links.link(file, *line), &text),
                None => text,
            }
        }
        Cell::Links(links) => {
            links.iter().map(|to| link(to, &breakable(to))).collect::<Vec<_>>().join("<br>")
        }
    }
}

fn link(to: &str, html: &str) -> String {
    format!("<a href=\"{}\">{html}</a>", escape(to))
}

/// A path as HTML that may break behind each slash.
fn breakable(text: &str) -> String {
    escape(text).replace('/', "/<wbr>")
}

fn class_of(cell: &Cell) -> &'static str {
    match cell {
        Cell::Text(_) | Cell::Sum(_) | Cell::Kind(..) => "",
        Cell::Number(..) => "number",
        Cell::Change(_) => "path change",
        _ => "path",
    }
}

/// The table, with a search box above it where it has many rows.
pub(super) fn table(report: &Report, columns: &[&str], rows: &[Vec<Cell>]) -> String {
    const LONG: usize = 12;
    const TALL: usize = 40;
    let class_attribute = |cell: &Cell| match class_of(cell) {
        "" => String::new(),
        class => format!(" class=\"{class}\""),
    };
    let mut out = String::new();
    if rows.len() > LONG {
        out.push_str("<input type=\"search\" placeholder=\"Search\" aria-label=\"Search in the table\">\n");
    }
    let class = if rows.len() > TALL { "rows long" } else { "rows" };
    let _ = write!(out, "<div class=\"{class}\">\n<table>\n<thead><tr>");
    for (at, column) in columns.iter().enumerate() {
        let first = rows.first().and_then(|row| row.get(at));
        let class = first.filter(|cell| class_of(cell) == "number").map(class_attribute).unwrap_or_default();
        let column = escape(column);
        let _ = write!(out, "<th scope=\"col\"{class}><button type=\"button\">{column}</button></th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (cell, column) in row.iter().zip(columns) {
            let value = match cell {
                Cell::Number(_, Some(exact)) => format!(" data-value=\"{exact}\""),
                _ => String::new(),
            };
            let (label, class, content) = (escape(column), class_attribute(cell), content(report, cell));
            let _ = write!(out, "<td data-label=\"{label}\"{class}{value}>{content}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    out
}
