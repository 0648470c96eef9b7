//! The report as Markdown for the body of a pull request (GitHub Flavored Markdown, mermaid included).
//!
//! Names from images and manifests go through [`escape`].

mod escape;

use self::escape::{cell_code, code, code_block, inline, mermaid_text};
use super::added_dependents::{DependencyEdge, MAX_EDGES};
use super::package_changes::{self, taken_packages};
use super::problem_groups::{Problem, by_hint};
use super::sizes::{Total, bytes_or_dash, change, rootfs};
use super::summary::{changes, remaining};
use super::tables::{
    Cell, Table, accepted, facts, fixes, library_changes, packages, provenance, security_fixes, sizes, title,
};
use super::{Check, Outcome, Report, count, first_names, short};
use manifest::finding::Severity;
use packages::changes::PackageChange;
use usr::lossless_text;

/// GitHub takes bodies of up to 65,536 characters. The diff, which the pull request shows anyway, is left out first.
const MAX_CHARS: usize = 60_000;

/// Rows of a table beyond this many are counted, not shown.
const MAX_ROWS: usize = 150;

/// Renders the whole document: remaining work first, everything else folded.
pub(crate) fn render(report: &Report) -> String {
    let problems = grouped(report, "- [ ] ", |severity| severity != Severity::Advice);
    let suggestions = grouped(report, "- ", |severity| severity == Severity::Advice);
    let mut out = heading(report);
    for section in [
        error_section(report),
        titled("", &sizes_in_short(report)),
        titled("", &versions_in_short(report)),
        titled("### Problems\n\n", &problems),
        checks(report),
        folded("Suggestions", &suggestions),
        table(report, &accepted(report)),
        table(report, &fixes(report)),
        dependencies_section(report),
        table(report, &library_changes(report)),
        table(report, &packages(report)),
        table(report, &security_fixes(report)),
        table(report, &sizes(report)),
        provenance_section(report),
    ] {
        out.push_str(&section);
    }
    let mut out = lossless_text::readable(&out).into_owned();
    let diff = diff_section(report);
    let diff = lossless_text::readable(&diff);
    if out.chars().count() + diff.chars().count() <= MAX_CHARS {
        out.push_str(&diff);
    }
    out
}

fn heading(report: &Report) -> String {
    let mut out = format!("## {}\n\n{}\n", inline(&title(report)), inline(&facts(report)));
    if report.error.is_none() && report.checks.is_empty() {
        out.push_str(&format!("\n{}; **{}**.\n", changes(report), remaining(report)));
    }
    out
}

fn error_section(report: &Report) -> String {
    let Some(error) = &report.error else { return String::new() };
    let mut out = format!("\n> **Failed:** {}\n", inline(&error.to_string()));
    if let Some(hint) = &error.hint {
        out.push_str(&format!(">\n> Hint: {}\n", code(hint)));
    }
    out
}

/// One line per flavor: its size and the difference.
fn sizes_in_short(report: &Report) -> String {
    let mut out = String::new();
    for (board, flavor, Total { before, after }) in rootfs(report) {
        let difference = match &report.no_sizes_before {
            None => format!(" ({})", change(before, after)),
            Some(_) => String::new(),
        };
        out.push_str(&format!(
            "- root filesystem of {} on {board}: {}{difference}\n",
            inline(flavor.as_str()),
            bytes_or_dash(after)
        ));
    }
    out
}

/// Packages and security fixes, one line each.
fn versions_in_short(report: &Report) -> String {
    let changes = report.packages.as_deref().unwrap_or_default();
    let name = |change: &&PackageChange| {
        let name = code(change.name.rsplit('/').next().unwrap_or(&change.name));
        format!("{name} {}", inline(&package_changes::versions(change).replace("->", "→")))
    };
    let mut out = String::new();
    if let Some(headline) = package_changes::headline(changes) {
        let names: Vec<String> = taken_packages(changes).0.iter().map(name).collect();
        let colon = if names.is_empty() { "" } else { ": " };
        out.push_str(&format!("- {headline}{colon}{}\n", first_names(names.iter(), 4)));
    }
    if let Some(advisories) = &report.advisories {
        let headline = inline(&advisories.headline());
        out.push_str(&format!("- {headline} (a hint: the release notes are not signed)\n"));
    }
    out
}

/// A section under a title; empty without content.
fn titled(title: &str, body: &str) -> String {
    if body.is_empty() { String::new() } else { format!("\n{title}{body}") }
}

/// Problems as list items; those with the same hint together, and the hint once.
fn grouped(report: &Report, mark: &str, is_shown: impl Fn(Severity) -> bool) -> String {
    let (mut groups, mut rows, mut all) = (by_hint(report, is_shown), MAX_ROWS, 0);
    for (_, group) in &mut groups {
        all += group.len();
        group.truncate(rows);
        rows -= group.len();
    }
    let mut out = String::new();
    for (hint, group) in groups.into_iter().filter(|(_, group)| !group.is_empty()) {
        out.extend(group.iter().map(|problem| problem_item(report, problem, mark)));
        let what = if group.len() > 1 { format!(" for these {}", group.len()) } else { String::new() };
        out.push_str(&format!("\n  hint{what}: {}\n\n", code(&hint)));
    }
    out + &more_rows_note(all)
}

fn problem_item(report: &Report, problem: &Problem<'_>, mark: &str) -> String {
    let finding = problem.main;
    let related = match problem.related.len() {
        0 => String::new(),
        number => format!("; {} because of it", count(number, "further finding")),
    };
    format!(
        "{mark}**{}** {}: {}{related} ({}, {}) {}\n",
        finding.kind.id(),
        code(&finding.path),
        inline(&finding.message),
        finding.board,
        inline(&problem.flavors.join(", ")),
        place(report, &finding.file, finding.line)
    )
}

/// Results of the smoke test: each failed check, and the number of passed ones.
fn checks(report: &Report) -> String {
    if report.checks.is_empty() {
        return String::new();
    }
    let number = |outcome| report.checks.iter().filter(|check| check.outcome == outcome).count();
    let [passed, failed, skipped] = [Outcome::Pass, Outcome::Fail, Outcome::Skip].map(number);
    let mut out = format!("\n### Checks\n\n{passed} passed, {failed} failed, {skipped} skipped.\n");
    let is_failed = |check: &&Check| check.outcome == Outcome::Fail;
    for check in report.checks.iter().filter(is_failed).take(MAX_ROWS) {
        let title = format!("**{}** {}", check.name, code(&check.subject));
        let place = check.file.iter().map(|file| format!(" {}", place(report, file, check.line)));
        let message = lossless_text::readable(&check.message);
        out.push_str(&format!("\n{title}{}\n\n{}", place.collect::<String>(), code_block("", &message)));
    }
    out + &more_rows_note(failed)
}

/// A file and line, linked where the repository is known.
fn place(report: &Report, file: &str, line: Option<usize>) -> String {
    let number = line.map(|line| format!(":{line}")).unwrap_or_default();
    let text = code(&format!("{file}{number}"));
    match &report.source_links {
        Some(links) => format!("[{text}]({})", links.link(file, line)),
        None => text,
    }
}

fn dependencies_section(report: &Report) -> String {
    if report.needs.is_empty() {
        return String::new();
    }
    folded("New dependencies", &format!("```mermaid\n{}```\n", mermaid(&report.needs)))
}

/// A flowchart from top to bottom; nodes are numbered in the order in which they are named.
fn mermaid(needs: &[DependencyEdge]) -> String {
    let mut nodes: Vec<&str> = Vec::new();
    let mut out = String::from("flowchart TB\n");
    for need in needs.iter().take(MAX_EDGES) {
        let [from, to] = [&need.from, &need.to].map(|path| {
            let at = nodes.iter().position(|known| known == path).unwrap_or_else(|| {
                nodes.push(path);
                nodes.len() - 1
            });
            format!("n{at}[\"{}\"]", mermaid_text(path))
        });
        out.push_str(&format!("  {from} -->|\"{}\"| {to}\n", mermaid_text(&need.name)));
    }
    out
}

/// A list: a table with digests would be wider than the page.
fn provenance_section(report: &Report) -> String {
    let image = |image| {
        let facts = provenance(image).into_iter().enumerate();
        let fact = |(number, (name, value))| {
            let indent = if number == 0 { "" } else { "  " };
            format!("{indent}- {name}: {}\n", cell(report, &value).replace("\\|", "|"))
        };
        facts.map(fact).collect::<String>()
    };
    folded("Provenance", &report.images.iter().map(image).collect::<String>())
}

fn diff_section(report: &Report) -> String {
    if report.plan.is_empty() {
        return String::new();
    }
    let diff: String = report.plan.edits.iter().map(|edit| edit.diff()).collect();
    folded("Diff", &code_block("diff", &diff))
}

/// A section that is closed until its title is clicked; empty without content.
fn folded(title: &str, body: &str) -> String {
    match body.trim_end() {
        "" => String::new(),
        body => format!("\n<details><summary>{title}</summary>\n\n{body}\n\n</details>\n"),
    }
}

/// A table with its paragraphs.
fn table(report: &Report, table: &Table) -> String {
    let paragraph = |text: &Option<String>| text.iter().map(|text| format!("{}\n\n", inline(text))).collect();
    let (mut out, note): (String, String) = (paragraph(&table.intro), paragraph(&table.note));
    if !table.rows.is_empty() {
        let rules = " --- |".repeat(table.columns.len());
        out.push_str(&format!("| {} |\n|{rules}\n", table.columns.join(" | ")));
        for row in table.rows.iter().take(MAX_ROWS) {
            let cells: Vec<String> = row.iter().map(|value| cell(report, value)).collect();
            out.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        out.push_str(&format!("{}\n", more_rows_note(table.rows.len())));
    }
    folded(&table.title, &(out + &note))
}

fn cell(report: &Report, cell: &Cell) -> String {
    let paths = |paths: &[String], separator| {
        paths.iter().map(|path| cell_code(path)).collect::<Vec<_>>().join(separator)
    };
    match cell {
        Cell::Text(text) | Cell::Number(text, _) => inline(text),
        Cell::Sum(text) => format!("**{}**", inline(text)),
        Cell::Kind(kind, _) => (*kind).to_owned(),
        Cell::Path(path) => cell_code(path),
        Cell::Paths(names, 0) => paths(names, ", "),
        Cell::Paths(names, more) => format!("{}, and {more} more", paths(names, ", ")),
        Cell::Change(names) => paths(names, " → "),
        Cell::Manifest(file, line) => match &report.source_links {
            Some(links) => format!("[{}]({})", inline(&short(file)), links.link(file, *line)),
            None => inline(&short(file)),
        },
        Cell::Links(links) => {
            let link = |link: &String| format!("<{}>", link.replace('|', "%7C"));
            links.iter().map(link).collect::<Vec<_>>().join(" ")
        }
    }
}

fn more_rows_note(rows: usize) -> String {
    match rows.saturating_sub(MAX_ROWS) {
        0 => String::new(),
        more => format!("\n… and {more} more.\n"),
    }
}

#[cfg(test)]
mod tests;
