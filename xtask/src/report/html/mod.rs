//! The report as one self-contained page: no network, light and dark, wide and narrow.

mod graph;
mod size;
mod table;
mod treemap;

use std::fmt::Write;

use self::table::{Cell, chip, number, path, table, text};
use super::sizes::{libraries, maybe};
use super::summary::{count, fix_counts, remaining};
use super::{Report, short};
use manifest::finding::{FixKind, Severity};
use usr::lossless_text;

/// The whole page.
pub fn render(report: &Report) -> String {
    let title = escape(&title(report));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'\">\n<title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n",
        include_str!("page.css")
    );
    out.push_str(&head(report, &title));
    for (heading, body) in [
        ("Left for a person", findings(report)),
        ("What changed and why", fixes(report)),
        ("Needs that were added", needs(report)),
        ("Libraries", library(report)),
        ("Size of the root filesystem", size::section(report)),
        ("Provenance", provenance(report)),
    ] {
        if !body.is_empty() {
            let _ = write!(out, "<h2>{heading}</h2>\n{body}");
        }
    }
    out.push_str(&diff(report));
    let _ = write!(out, "<script>\n{}</script>\n</body>\n</html>\n", include_str!("page.js"));
    lossless_text::readable(&out).into_owned()
}

fn title(report: &Report) -> String {
    match &report.release {
        Some((from, to)) if from != to => format!("stage1: {from} → {to}"),
        Some((_, to)) => format!("stage1 at {to}"),
        None => format!("cargo xtask {}", report.command),
    }
}

fn head(report: &Report, title: &str) -> String {
    let class = match report.exit_code() {
        0 => "good",
        1 => "warn",
        _ => "bad",
    };
    let mut out = format!("<h1>{title}</h1>\n<p><span class=\"status {class}\">{}</span> ", report.status());
    let verb = if report.dry_run { "would change" } else { "changed" };
    let mut facts = vec![format!("{} {verb}", count(report.plan.edits.len(), "file"))];
    facts.extend(Some(fix_counts(report)).filter(|counts| !counts.is_empty()));
    facts.push(remaining(report));
    match report.error {
        None => out.push_str(&escape(&format!("{}.", facts.join("; ")))),
        Some(_) => out.push_str("It stopped before its end."),
    }
    out.push_str("</p>\n");
    let mut soft = vec![format!("cargo xtask {}", report.command)];
    soft.extend(report.channel.map(|channel| format!("channel {channel}")));
    soft.extend(report.systemd.as_ref().map(|(from, to)| match from == to {
        true => format!("systemd {to}"),
        false => format!("systemd {from} → {to}"),
    }));
    soft.extend(report.dry_run.then(|| "nothing was written".to_owned()));
    let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(&soft.join(" · ")));
    if let Some(fault) = &report.error {
        let _ = write!(out, "<div class=\"stopped\"><p><b>{}</b></p>", escape(&fault.message));
        fault.causes.iter().for_each(|cause| {
            let _ = write!(out, "<p>caused by: {}</p>", escape(cause));
        });
        fault.hint.iter().for_each(|hint| {
            let _ = write!(out, "<p>hint: <code>{}</code></p>", escape(hint));
        });
        out.push_str("</div>\n");
    }
    out
}

fn findings(report: &Report) -> String {
    let rows: Vec<Vec<Cell>> = report
        .findings
        .iter()
        .map(|finding| {
            let class = match finding.severity {
                Severity::Error => "bad",
                Severity::Warning => "warn",
                Severity::Advice => "info",
            };
            let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
            vec![
                chip(finding.kind.id(), class),
                path(&finding.path),
                text(&finding.message),
                text(&format!("{}{line}", short(&finding.file))),
                path(&report.hint(finding)),
            ]
        })
        .collect();
    if rows.is_empty() {
        String::new()
    } else {
        table(&["kind", "path", "what and why", "where", "hint"], &rows)
    }
}

fn fixes(report: &Report) -> String {
    let rows: Vec<Vec<Cell>> = report
        .fixes
        .iter()
        .map(|fix| {
            let class = match fix.kind {
                FixKind::Add => "good",
                FixKind::Drop => "bad",
                FixKind::Tidy => "warn",
                FixKind::Rename | FixKind::Move => "info",
            };
            let side = |line: &Option<String>| path(line.as_deref().unwrap_or_default());
            vec![
                chip(fix.kind.id(), class),
                side(&fix.from),
                side(&fix.to),
                text(&fix.because),
                text(&short(&fix.file)),
            ]
        })
        .collect();
    if rows.is_empty() { String::new() } else { table(&["change", "from", "to", "why", "manifest"], &rows) }
}

fn needs(report: &Report) -> String {
    if report.needs.is_empty() {
        return String::new();
    }
    format!(
        "<p class=\"soft\">An arrow leads from what needs to what is needed; dashed, from a link to its target.</p>\n\
         <div class=\"scroll\">{}</div>\n",
        graph::svg(&report.needs)
    )
}

fn library(report: &Report) -> String {
    let rows: Vec<Vec<Cell>> = libraries(report)
        .into_iter()
        .map(|library| {
            vec![
                path(library.to.or(library.from).unwrap_or_default()),
                text(library.kind.id()),
                number(&maybe(library.before), library.before.map(i128::from)),
                number(&maybe(library.after), library.after.map(i128::from)),
                text(&short(library.file)),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    table(&["library", "change", "before", "after", "manifest"], &rows)
}

fn provenance(report: &Report) -> String {
    let rows: Vec<Vec<Cell>> = report
        .images
        .iter()
        .map(|image| {
            let signer = image.signature.as_ref();
            let signed_by = signer.map_or_else(
                || "not signed".to_owned(),
                |signer| format!("{} {}", signer.name.as_deref().unwrap_or_default(), signer.primary),
            );
            vec![
                text(image.board.id()),
                path(&image.source),
                path(&image.digest),
                text(signed_by.trim()),
                path(signer.map(|signer| signer.subkey.as_str()).unwrap_or_default()),
                text(signer.map(|signer| signer.signed_at.as_str()).unwrap_or_default()),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    table(&["board", "image", "digest", "signed by", "subkey", "signed at"], &rows)
}

fn diff(report: &Report) -> String {
    if report.plan.is_empty() {
        return String::new();
    }
    let mut out = String::from("<details><summary>Diff</summary>\n<div class=\"scroll\"><pre>");
    for edit in &report.plan.edits {
        for (number, line) in edit.diff().lines().enumerate() {
            let class = match (number, line.as_bytes().first()) {
                (0 | 1, _) => "file",
                (_, Some(b'+')) => "plus",
                (_, Some(b'-')) => "minus",
                (_, Some(b'@')) => "hunk",
                _ => "",
            };
            let _ = match class {
                "" => writeln!(out, "{}", escape(line)),
                class => writeln!(out, "<span class=\"{class}\">{}</span>", escape(line)),
            };
        }
    }
    out.push_str("</pre></div></details>\n");
    out
}

/// Text as HTML, in attributes too.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    #[test]
    fn the_page_is_whole_and_asks_nobody() {
        let page = render(&fixtures::bump());
        for part in ["<h2>What changed and why", "<svg", "class=\"treemap\"", "<h2>Provenance", "</html>"] {
            assert!(page.contains(part), "{part}");
        }
        for outside in ["src=", "href=", "url(http", "@import", "fetch("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn nothing_of_a_text_is_markup() {
        let mut report = fixtures::bump();
        report.fixes[0].because = "<script>alert('1')</script>".into();
        report.fixes[0].to = Some("\"><img>".into());
        report.sizes[0].paths[0].path = "\"><img>".into();
        let page = render(&report);
        assert_eq!(page.matches("<script").count(), 1);
        assert!(!page.contains("<img"));
    }
}
