//! The report as one self-contained page: no network, light and dark, wide and narrow, and in print.

mod graph;
mod squarify;
mod table;
mod treemap;

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Report;
use super::added_dependents::MAX_EDGES;
use super::edit_diff::line_style;
use super::package_changes;
use super::problem_groups::{Problem, group_by_hint, hint_label};
use super::styled_text::Style;
use super::summary::changes_summary;
use super::tables::{
    Cell, Table, accepted_table, fixes_table, library_changes_table, package_changes_table, provenance,
    run_facts, security_fixes_table, sizes_table, title,
};
use manifest::finding::Severity;
use pxe_image::Digest;
use usr::lossless_text;

/// The whole page.
pub fn render(report: &Report) -> String {
    let title = escape(&title(report));
    let mut body = page_header(report, &title);
    let with_title = |table: Table| (table.title.clone(), table::table_with_notes(report, &table));
    let problems = problems_section(report, |severity| severity != Severity::Advice);
    // Folded: advice changes no outcome.
    let advice = problems_section(report, |severity| severity == Severity::Advice);
    let (treemap, treemap_style) = treemap::render(report);
    for (heading, section) in [
        ("Problems".to_owned(), problems),
        (String::new(), folded("Suggestions", &advice)),
        with_title(accepted_table(report)),
        with_title(security_fixes_table(report)),
        with_title(package_changes_table(report)),
        with_title(fixes_table(report)),
        ("New dependencies".to_owned(), dependencies_section(report)),
        with_title(library_changes_table(report)),
        with_title(sizes_table(report)),
        ("Size by file".to_owned(), treemap),
        ("Provenance".to_owned(), provenance_section(report)),
    ] {
        if !section.is_empty() {
            let heading = if heading.is_empty() { heading } else { format!("<h2>{heading}</h2>\n") };
            let _ = write!(body, "<section>\n{heading}{section}</section>\n");
        }
    }
    body.push_str(&patch_section(report));
    let style = format!("\n{}{}", include_str!("page.css"), treemap_style);
    let script = format!("\n{}", include_str!("page.js"));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; script-src '{}'; \
         base-uri 'none'; form-action 'none'\">\n<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n{}\
         <script>{script}</script>\n</body>\n</html>\n",
        csp_hash_source(&style),
        csp_hash_source(&script),
        lossless_text::escape_for_terminal(&body)
    )
}

/// The hash of an inline element for a policy without `unsafe-inline` (CSP Level 3, section 2.3.1).
fn csp_hash_source(content: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Digest::sha256(content.as_bytes()).octets()))
}

/// The outcome in a word or two, and how it is coloured. "clean" is used only for a run without findings.
fn status_label_and_class(report: &Report) -> (&'static str, &'static str) {
    match report.exit_code() {
        0 if report.findings.is_empty() => ("clean", "good"),
        0 => ("no problems", "info"),
        1 if report.has_problems() => ("problems", "warn"),
        1 => ("would change", "warn"),
        2 => ("failed", "bad"),
        _ => ("refused", "bad"),
    }
}

/// The title, the outcome, the facts and the error.
fn page_header(report: &Report, title: &str) -> String {
    let (word, class) = status_label_and_class(report);
    let mut out = format!("<header>\n<h1>{title}</h1>\n<p><span class=\"status {class}\">{word}</span> ");
    match report.error {
        None => {
            out.push_str(&escape(&format!("{}; {}.", changes_summary(report), report.describe_problems())))
        }
        Some(_) => out.push_str("The run failed before it finished."),
    }
    out.push_str("</p>\n");
    let packages = package_changes::headline(report.package_changes.as_deref().unwrap_or_default());
    let fixes = report.advisories.as_ref().map(|found| format!("{} (a hint, not signed)", found.headline()));
    for line in packages.into_iter().chain(fixes) {
        let _ = writeln!(out, "<p>{}.</p>", escape(&line));
    }
    let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(&run_facts(report)));
    if let Some(error) = &report.error {
        let _ = write!(out, "<div class=\"stopped\"><p><b>{}</b></p>", escape(&error.message));
        out.extend(error.causes.iter().map(|cause| format!("<p>caused by: {}</p>", escape(cause))));
        out.extend(error.hint.iter().map(|hint| format!("<p>hint: <code>{}</code></p>", escape(hint))));
        out.push_str("</div>\n");
    }
    out.push_str("</header>\n");
    out
}

/// The problems of some severities; empty if there are none.
fn problems_section(report: &Report, is_shown: impl Fn(Severity) -> bool) -> String {
    let mut out = String::new();
    for (hint, group) in group_by_hint(report, is_shown) {
        let rows: Vec<Vec<Cell>> = group.iter().map(problem_row).collect();
        let table = table::table(report, &["kind", "path", "what", "where"], &rows);
        let hint = format!("<p class=\"hint\">{}: <code>{}</code></p>", hint_label(&group), escape(&hint));
        let _ = write!(out, "<div class=\"group\">\n{table}{hint}\n</div>\n");
    }
    out
}

fn problem_row(problem: &Problem<'_>) -> Vec<Cell> {
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

fn dependencies_section(report: &Report) -> String {
    if report.added_dependents.is_empty() {
        return String::new();
    }
    let shown = &report.added_dependents[..report.added_dependents.len().min(MAX_EDGES)];
    let more = match report.added_dependents.len() - shown.len() {
        0 => String::new(),
        more => format!("<p class=\"soft\">… and {more} more; the table of libraries has all.</p>\n"),
    };
    format!(
        "<p class=\"soft\">Arrows point from a file to its dependency; dashed arrows are symlinks.</p>\n\
         <div class=\"scroll\">{}</div>\n{more}",
        graph::svg(shown)
    )
}

/// A list: a table with digests and fingerprints would be wider than the page.
fn provenance_section(report: &Report) -> String {
    let image = |image| {
        let fact = |(name, value): (&str, Cell)| {
            let content = table::content(report, &value);
            match value {
                Cell::Path(_) => format!("<dt>{name}</dt><dd><code>{content}</code></dd>\n"),
                _ => format!("<dt>{name}</dt><dd>{content}</dd>\n"),
            }
        };
        format!("<dl>\n{}</dl>\n", provenance(image).into_iter().map(fact).collect::<String>())
    };
    report.images.iter().map(image).collect()
}

/// A section that is closed until its title is clicked; empty without content.
fn folded(title: &str, content: &str) -> String {
    match content {
        "" => String::new(),
        _ => format!("<details><summary>{title}</summary>\n{content}</details>\n"),
    }
}

fn patch_section(report: &Report) -> String {
    let mut out = String::new();
    for edit in &report.plan.edits {
        for (number, line) in edit.diff().lines().enumerate() {
            let class = match line_style(number, line) {
                Style::Strong => "file",
                Style::Added => "plus",
                Style::Removed => "minus",
                Style::Hunk => "hunk",
                _ => {
                    let _ = writeln!(out, "{}", escape(line));
                    continue;
                }
            };
            let _ = writeln!(out, "<span class=\"{class}\">{}</span>", escape(line));
        }
    }
    if out.is_empty() {
        out
    } else {
        folded("Diff", &format!("<div class=\"scroll\"><pre>{out}</pre></div>"))
    }
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
        assert!(page.contains(&format!("style-src '{}'", csp_hash_source(style))));
        // echo -n abc | openssl dgst -sha256 -binary | base64
        assert_eq!(csp_hash_source("abc"), "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }

    #[test]
    fn run_without_findings_is_clean() {
        let mut report = fixtures::bump();
        assert_eq!(status_label_and_class(&report).0, "problems");
        report.findings[0].severity = Severity::Advice;
        assert_eq!(status_label_and_class(&report).0, "no problems");
        report.findings.clear();
        assert_eq!(status_label_and_class(&report).0, "clean");
        report.check = true;
        assert_eq!(status_label_and_class(&report).0, "would change");
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
