//! Tables that sort, and that become cards on a narrow screen.

use std::fmt::Write;

use super::escape;

/// One cell: escaped HTML, its class, and the value that it sorts by.
pub(super) struct Cell {
    html: String,
    class: &'static str,
    value: Option<String>,
}

/// Text.
pub(super) fn text(text: &str) -> Cell {
    Cell { html: escape(text), class: "", value: None }
}

/// A path, a command, a fingerprint.
pub(super) fn path(text: &str) -> Cell {
    Cell { html: breakable(text), class: "path", value: None }
}

/// Several paths, one per line; of a change, the old one and the new one.
pub(super) fn paths<'a>(paths: impl Iterator<Item = &'a str>) -> Cell {
    let html = paths.map(breakable).collect::<Vec<_>>().join("<br>");
    Cell { html, class: "path", value: None }
}

/// A path that links to its page.
pub(super) fn path_with_link(text: &str, link: Option<&str>) -> Cell {
    let html = match link {
        Some(link) => format!("<a href=\"{}\">{}</a>", escape(link), breakable(text)),
        None => breakable(text),
    };
    Cell { html, class: "path", value: None }
}

/// Links, one per line.
pub(super) fn links<'a>(links: impl Iterator<Item = &'a String>) -> Cell {
    let html = links.map(|link| format!("<a href=\"{}\">{}</a>", escape(link), breakable(link)));
    Cell { html: html.collect::<Vec<_>>().join("<br>"), class: "path", value: None }
}

/// A path as HTML that may break behind each slash.
fn breakable(text: &str) -> String {
    escape(text).replace('/', "/<wbr>")
}

/// A word on a coloured background; `class` is good, bad, warn or info.
pub(super) fn chip(word: &str, class: &str) -> Cell {
    Cell { html: format!("<span class=\"chip {class}\">{}</span>", escape(word)), class: "", value: None }
}

/// A number with its unit, and its exact value.
pub(super) fn number(shown: &str, exact: Option<i128>) -> Cell {
    let value = exact.map(|exact| exact.to_string());
    Cell { html: escape(shown), class: "number", value }
}

/// The table, with a search box above it where it has many rows.
pub(super) fn table(columns: &[&str], rows: &[Vec<Cell>]) -> String {
    const LONG: usize = 12;
    const TALL: usize = 40;
    let mut out = String::new();
    if rows.len() > LONG {
        out.push_str("<input type=\"search\" placeholder=\"Search\" aria-label=\"Search in the table\">\n");
    }
    let class = if rows.len() > TALL { "rows long" } else { "rows" };
    let _ = write!(out, "<div class=\"{class}\">\n<table>\n<thead><tr>");
    for (at, column) in columns.iter().enumerate() {
        let is_number = rows.first().and_then(|row| row.get(at)).is_some_and(|cell| cell.class == "number");
        let class = if is_number { " class=\"number\"" } else { "" };
        let _ =
            write!(out, "<th scope=\"col\"{class}><button type=\"button\">{}</button></th>", escape(column));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (cell, column) in row.iter().zip(columns) {
            let value =
                cell.value.as_ref().map(|value| format!(" data-value=\"{value}\"")).unwrap_or_default();
            let class =
                if cell.class.is_empty() { String::new() } else { format!(" class=\"{}\"", cell.class) };
            let _ = write!(out, "<td data-label=\"{}\"{class}{value}>{}</td>", escape(column), cell.html);
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    out
}
