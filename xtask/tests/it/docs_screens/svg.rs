//! Terminal output as SVG, with the eight colours that the tool uses.

use std::fmt::Write;

/// Width of a monospaced letter of 13 px, in pixels.
const LETTER: f64 = 7.83;
const LINE: usize = 18;
const MARGIN: usize = 14;

/// Width in characters at which lines are wrapped; the drawing then has its natural size on GitHub.
pub(super) const COLUMNS: usize = 100;

/// An SVG image of a text with ANSI colours.
pub(super) fn render(text: &str) -> String {
    let lines: Vec<Vec<(String, String)>> = text.lines().flat_map(|line| wrap(&spans(line))).collect();
    let columns = lines.iter().map(|line| line_width(line)).max().unwrap_or(0);
    let width = (columns as f64 * LETTER) as usize + 2 * MARGIN;
    let height = lines.len() * LINE + 2 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"ui-monospace, 'DejaVu Sans Mono', monospace\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#16181a\"/>\n<g fill=\"#e6e7e8\">\n"
    );
    for (number, line) in lines.iter().enumerate() {
        let y = MARGIN + number * LINE + 13;
        // Browsers preserve blanks only with the attribute on the element itself.
        let _ = write!(out, "<text x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\">");
        for (style, text) in line {
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let _ = write!(out, "<tspan{style}>{text}</tspan>");
        }
        out.push_str("</text>\n");
    }
    out.push_str("</g>\n</svg>\n");
    out
}

fn line_width(line: &[(String, String)]) -> usize {
    line.iter().map(|(_, text)| text.chars().count()).sum()
}

/// A line in pieces of at most [`COLUMNS`] characters.
fn wrap(line: &[(String, String)]) -> Vec<Vec<(String, String)>> {
    let mut lines = vec![Vec::new()];
    let mut column = 0;
    for (style, text) in line {
        for c in text.chars() {
            if column == COLUMNS {
                lines.push(Vec::new());
                column = 0;
            }
            column += 1;
            let last = lines.last_mut().unwrap();
            match last.last_mut() {
                Some((known, text)) if known == style => String::push(text, c),
                _ => last.push((style.clone(), c.to_string())),
            }
        }
    }
    lines
}

/// SVG attributes and text of each span of a line.
fn spans(line: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (number, piece) in line.split('\x1b').enumerate() {
        let (code, text) = match piece.strip_prefix('[').and_then(|rest| rest.split_once('m')) {
            Some(split) if number > 0 => split,
            _ => ("0", piece),
        };
        if text.is_empty() {
            continue;
        }
        let prompt = number == 0 && line.starts_with("$ ");
        let style = match code {
            "0" if prompt => " font-weight=\"bold\"",
            "0" => "",
            "1" => " font-weight=\"bold\"",
            "2" => " fill=\"#9aa0a6\"",
            "31" => " fill=\"#ff7b72\"",
            "32" => " fill=\"#57c774\"",
            "36" => " fill=\"#6cb6ff\"",
            "1;31" => " fill=\"#ff7b72\" font-weight=\"bold\"",
            "1;32" => " fill=\"#57c774\" font-weight=\"bold\"",
            "1;33" => " fill=\"#e3b341\" font-weight=\"bold\"",
            "1;36" => " fill=\"#6cb6ff\" font-weight=\"bold\"",
            other => panic!("no colour is known for {other:?}"),
        };
        out.push((style.to_owned(), text.to_owned()));
    }
    out
}
