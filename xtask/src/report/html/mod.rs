//! The report as one self-contained page: no network, light and dark, wide and narrow, and in print.

mod findings;
mod graph;
mod size;
mod squarify;
mod table;

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use self::table::{Cell, chip, links, number, path, path_with_link, paths, table, text};
use super::advisories;
use super::package_changes::{self, taken_packages};
use super::sizes::{Total, change, libraries, maybe};
use super::summary::{fix_counts, remaining};
use super::{ImageOrigin, Report, count, short};
use manifest::finding::{FixKind, Severity};
use packages::advisories::RelevantFix;
use pxe_image::Digest;
use usr::lossless_text;

/// The whole page.
pub fn render(report: &Report) -> String {
    let title = escape(&title(report));
    let mut body = head(report, &title);
    for (heading, section) in [
        ("Problems", findings::problems_section(report)),
        ("Packages", packages(report)),
        ("Security fixes", security_fixes(report)),
        ("Changes", fixes_section(report)),
        ("New dependencies", dependencies_section(report)),
        ("Libraries", libraries_section(report)),
        ("Size of the root filesystem", size::section(report)),
        ("Size by file", size::treemap_section(report)),
        ("Provenance", provenance_section(report)),
    ] {
        if !section.is_empty() {
            let _ = write!(body, "<section>\n<h2>{heading}</h2>\n{section}</section>\n");
        }
        if heading == "Problems" {
            body.push_str(&findings::suggestions_section(report));
        }
    }
    body.push_str(&diff_section(report));
    let style = format!("\n{}{}", include_str!("page.css"), size::treemap_style(report));
    let script = format!("\n{}", include_str!("page.js"));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; script-src '{}'; \
         base-uri 'none'; form-action 'none'\">\n<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n{}\
         <script>{script}</script>\n</body>\n</html>\n",
        source_hash(&style),
        source_hash(&script),
        lossless_text::readable(&body)
    )
}

/// The hash of an inline element for a policy without `unsafe-inline` (CSP Level 3, section 2.3.1).
fn source_hash(content: &str) -> String {
    let hex = Digest::sha256(content.as_bytes()).hex();
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).filter_map(byte).collect();
    format!("sha256-{}", STANDARD.encode(bytes))
}

fn title(report: &Report) -> String {
    match &report.release {
        Some((from, to)) if from != to => format!("stage1: {from} → {to}"),
        Some((_, to)) => format!("stage1 at {to}"),
        None => format!("cargo xtask {}", report.command),
    }
}

/// The outcome in a word or two, and how it is coloured. "clean" is used only for a run without findings.
fn outcome(report: &Report) -> (&'static str, &'static str) {
    let has_problems = report.findings.iter().any(|finding| finding.severity != Severity::Advice);
    match report.exit_code() {
        0 if report.findings.is_empty() => ("clean", "good"),
        0 => ("no problems", "info"),
        1 if has_problems => ("problems", "warn"),
        1 => ("would change", "warn"),
        2 => ("failed", "bad"),
        _ => ("refused", "bad"),
    }
}

fn head(report: &Report, title: &str) -> String {
    let (word, class) = outcome(report);
    let mut out = format!("<header>\n<h1>{title}</h1>\n<p><span class=\"status {class}\">{word}</span> ");
    let verb = if report.dry_run { "would change" } else { "changed" };
    let mut facts = vec![format!("{} {verb}", count(report.plan.edits.len(), "file"))];
    facts.extend(Some(fix_counts(report)).filter(|counts| !counts.is_empty()));
    facts.push(remaining(report));
    match report.error {
        None => out.push_str(&escape(&format!("{}.", facts.join("; ")))),
        Some(_) => out.push_str("The run failed before it finished."),
    }
    out.push_str("</p>\n");
    let packages = package_changes::headline(report.packages.as_deref().unwrap_or_default());
    let fixes = report.advisories.as_ref().map(|found| format!("{} (a hint, not signed)", found.headline()));
    for line in packages.into_iter().chain(fixes) {
        let _ = writeln!(out, "<p>{}.</p>", escape(&line));
    }
    let mut soft = vec![format!("cargo xtask {}", report.command)];
    soft.extend(report.channel.as_ref().map(|channel| format!("channel {channel}")));
    soft.extend(report.systemd.as_ref().map(|(from, to)| match from == to {
        true => format!("systemd {to}"),
        false => format!("systemd {from} → {to}"),
    }));
    soft.extend(report.dry_run.then(|| "nothing was written".to_owned()));
    let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(&soft.join(" · ")));
    if let Some(error) = &report.error {
        let _ = write!(out, "<div class=\"stopped\"><p><b>{}</b></p>", escape(&error.message));
        error.causes.iter().for_each(|cause| {
            let _ = write!(out, "<p>caused by: {}</p>", escape(cause));
        });
        error.hint.iter().for_each(|hint| {
            let _ = write!(out, "<p>hint: <code>{}</code></p>", escape(hint));
        });
        out.push_str("</div>\n");
    }
    out.push_str("</header>\n");
    out
}

/// A manifest and the link to it, where there is one.
fn manifest_cell(report: &Report, file: &str, line: Option<usize>) -> Cell {
    let number = line.map(|line| format!(":{line}")).unwrap_or_default();
    let link = report.source_links.as_ref().map(|links| links.link(file, line));
    path_with_link(&format!("{file}{number}"), link.as_deref())
}

fn fixes_section(report: &Report) -> String {
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
            vec![
                chip(fix.kind.id(), class),
                paths([&fix.from, &fix.to].into_iter().flatten().map(String::as_str)),
                text(&fix.reason),
                manifest_cell(report, &fix.file, None),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("<div class=\"changes\">\n{}</div>\n", table(&["change", "path", "why", "manifest"], &rows))
}

/// Most edges of a drawing; more are not legible.
const MAX_EDGES: usize = 60;

fn dependencies_section(report: &Report) -> String {
    if report.needs.is_empty() {
        return String::new();
    }
    let shown = &report.needs[..report.needs.len().min(MAX_EDGES)];
    let more = match report.needs.len() - shown.len() {
        0 => String::new(),
        more => format!("<p class=\"soft\">… and {more} more; the table of libraries has all.</p>\n"),
    };
    format!(
        "<p class=\"soft\">Arrows point from a file to its dependency; dashed arrows are symlinks.</p>\n\
         <div class=\"scroll\">{}</div>\n{more}",
        graph::svg(shown)
    )
}

/// Most dependents in a cell.
const MAX_NAMES: usize = 4;

fn libraries_section(report: &Report) -> String {
    let has_before = report.no_sizes_before.is_none();
    let rows: Vec<Vec<Cell>> = libraries(report)
        .into_iter()
        .map(|library| {
            let total = library.total;
            let mut names: Vec<String> = library.needed_by.iter().map(|path| (*path).to_owned()).collect();
            if names.len() > MAX_NAMES {
                let more = names.len() - MAX_NAMES;
                names.truncate(MAX_NAMES);
                names.push(format!("and {more} more"));
            }
            let files: Vec<String> = library.files.iter().map(|file| short(file)).collect();
            let mut row = vec![
                path(library.name),
                path(library.from.unwrap_or_default()),
                path(library.to.unwrap_or_default()),
                number(
                    &library.to.map_or_else(String::new, |_| maybe(total.after)),
                    total.after.map(i128::from),
                ),
            ];
            row.extend(has_before.then(|| number(&change(total.before, total.after), difference(total))));
            row.extend([paths(names.iter().map(String::as_str)), text(&files.join(", "))]);
            row
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut columns = vec!["library", "file before", "file after", "size"];
    columns.extend(has_before.then_some("difference"));
    columns.extend(["needed by", "manifest"]);
    table(&columns, &rows)
}

/// Packages with a listed file, and the number of the others.
fn packages(report: &Report) -> String {
    let Some(changes) = &report.packages else { return String::new() };
    let (taken, others) = taken_packages(changes);
    let rows: Vec<Vec<Cell>> = taken
        .into_iter()
        .map(|change| {
            let flavors: Vec<&str> = change.flavors.iter().map(|flavor| flavor.as_str()).collect();
            vec![
                path(&change.name),
                path(change.from.as_deref().unwrap_or_default()),
                path(change.to.as_deref().unwrap_or_default()),
                paths(change.taken.iter().map(|path| path.as_str())),
                text(&flavors.join(", ")),
            ]
        })
        .collect();
    let mut out = match rows.is_empty() {
        true => String::new(),
        false => table(&["package", "before", "after", "files in stage1", "flavors"], &rows),
    };
    if others > 0 {
        let others = count(others, "package");
        let _ = writeln!(out, "<p class=\"soft\">{others} changed of which stage1 takes no file.</p>");
    }
    out
}

/// The fixes in packages of the stage1, with links to the upstream change logs.
fn security_fixes(report: &Report) -> String {
    let Some(advisories) = &report.advisories else { return String::new() };
    let row = |fix: &RelevantFix| {
        vec![
            path(&fix.package),
            text(&advisories::ids(fix)),
            text(&advisories::flavors(fix)),
            links(advisories::links(fix)),
        ]
    };
    let rows: Vec<Vec<Cell>> = advisories.relevant().iter().map(row).collect();
    let rows = match rows.is_empty() {
        true => String::new(),
        false => table(&["package", "fixes", "flavors", "change log"], &rows),
    };
    let (headline, remarks) = (escape(&advisories.headline()), escape(&advisories.remarks()));
    format!("<p>{headline}.</p>\n{rows}<p class=\"soft\">{remarks}.</p>\n")
}

fn difference(total: Total) -> Option<i128> {
    total.after.zip(total.before).map(|(after, before)| i128::from(after) - i128::from(before))
}

fn provenance_section(report: &Report) -> String {
    report.images.iter().map(image).collect()
}

/// A list: a table with digests and fingerprints would be wider than the page.
fn image(image: &ImageOrigin) -> String {
    let mut rows = vec![
        ("board", escape(image.board.id())),
        ("image", format!("<code>{}</code>", escape(&image.source))),
        ("digest", format!("<code>{}</code>", escape(&image.digest))),
    ];
    match &image.signature {
        None => rows.push(("signed by", "not signed".to_owned())),
        Some(signer) => {
            let name = signer.name.iter().map(|name| format!("{}<br>", escape(name))).collect::<String>();
            rows.push(("signed by", format!("{name}<code>{}</code>", escape(&signer.primary))));
            rows.push((signer.key_kind(), format!("<code>{}</code>", escape(&signer.subkey))));
            rows.push(("signed at", escape(&signer.signed_at)));
        }
    }
    let rows: String =
        rows.iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{value}</dd>\n")).collect();
    format!("<dl>\n{rows}</dl>\n")
}

fn diff_section(report: &Report) -> String {
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

/// Text as HTML, also in attributes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    #[test]
    fn page_is_complete_and_loads_nothing() {
        let page = render(&fixtures::bump());
        for part in ["<h2>Problems", "<h2>Changes", "<svg", "class=\"treemap\"", "<h2>Provenance", "</html>"]
        {
            assert!(page.contains(part), "{part}");
        }
        for outside in ["src=", "href=", "url(http", "@import", "fetch("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn names_are_not_markup() {
        let mut report = fixtures::bump();
        report.fixes[0].reason = "<script>alert('1')</script>".into();
        report.fixes[0].to = Some("\"><img>".into());
        report.sizes[0].paths[0].path = "\"><img>".into();
        let page = render(&report);
        assert_eq!(page.matches("<script").count(), 1);
        assert!(!page.contains("<img"));
    }

    #[test]
    fn policy_has_no_unsafe_inline_and_no_style_attribute() {
        let page = render(&fixtures::bump());
        assert!(!page.contains("unsafe-inline") && !page.contains(" style="), "{page}");
        let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).unwrap().0;
        assert!(page.contains(&format!("style-src '{}'", source_hash(style))));
        // echo -n abc | openssl dgst -sha256 -binary | base64
        assert_eq!(source_hash("abc"), "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }

    #[test]
    fn run_without_findings_is_clean() {
        let mut report = fixtures::bump();
        assert_eq!(outcome(&report).0, "problems");
        report.findings[0].severity = Severity::Advice;
        assert_eq!(outcome(&report).0, "no problems");
        report.findings.clear();
        assert_eq!(outcome(&report).0, "clean");
        report.check = true;
        assert_eq!(outcome(&report).0, "would change");
    }

    #[test]
    fn manifests_link_to_their_line() {
        let mut report = fixtures::bump();
        let commit = "0123456789abcdef0123456789abcdef01234567";
        report.source_links =
            crate::report::source_links::SourceLinks::from_remote("git@github.com:o/r", commit, "");
        let link = format!(
            "href=\"https://github.com/o/r/blob/{commit}/stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest#L1\""
        );
        assert!(render(&report).contains(&link));
    }

    #[test]
    fn sizes_before_are_left_out_with_the_reason() {
        let mut report = fixtures::bump();
        report.no_sizes_before = Some("the image of 991.0.0 is not in the cache".to_owned());
        let page = render(&report);
        assert!(page.contains("the image of 991.0.0 is not in the cache") && !page.contains(">difference<"));
    }
}
