//! The report as Markdown for the body of a pull request (GitHub Flavored Markdown, mermaid included).
//!
//! Names from images and manifests go through [`escape`].

mod escape;

pub(super) use self::escape::mermaid_text;
use self::escape::{cell_code_span, code_block, code_span, inline};
use super::added_dependents::{DependencyEdge, MAX_EDGES};
use super::package_changes::{self, split_by_taken};
use super::problem_groups::{Problem, group_by_hint, hint_label};
use super::sizes::{Total, format_bytes_or_dash, format_size_change, rootfs_totals};
use super::summary::changes_summary;
use super::tables::{
    Cell, Table, accepted_table, fixes_table, library_changes_table, package_changes_table, provenance,
    run_facts, security_fixes_table, sizes_table, title,
};
use super::{Check, CheckOutcome, Report, file_and_line, file_name, join_first_names, short_manifest_name};
use manifest::finding::Severity;
use packages::package_changes::PackageChange;
use usr::lossless_text;

/// GitHub takes bodies of up to 65,536 characters. Sections that do not fit are left out.
const MAX_CHARS: usize = 60_000;

/// Most bytes of a list of problems, which is shortened instead of left out.
const MAX_PROBLEMS_LEN: usize = 30_000;

/// Rows of a table beyond this many are counted, not shown.
const MAX_ROWS: usize = 150;

/// Renders the whole document: remaining work first, everything else folded.
pub(crate) fn render(report: &Report) -> String {
    let problems = problem_list(report, "- [ ] ", |severity| severity != Severity::Advice);
    let suggestions = problem_list(report, "- ", |severity| severity == Severity::Advice);
    let mut out = lossless_text::escape_for_terminal(&heading(report)).into_owned();
    let mut is_complete = true;
    for section in [
        error_section(report),
        titled("", &rootfs_sizes_headlines(report)),
        titled("", &packages_and_advisories_headlines(report)),
        titled("### Problems\n\n", &problems),
        checks_section(report),
        folded("Suggestions", &suggestions),
        table(report, &accepted_table(report)),
        table(report, &fixes_table(report)),
        dependencies_section(report),
        table(report, &library_changes_table(report)),
        table(report, &package_changes_table(report)),
        table(report, &security_fixes_table(report)),
        table(report, &sizes_table(report)),
        provenance_section(report),
        patch_section(report),
    ] {
        let section = lossless_text::escape_for_terminal(&section);
        let fits = out.chars().count() + section.chars().count() <= MAX_CHARS;
        is_complete &= fits;
        out.push_str(if fits { &section } else { "" });
    }
    if !is_complete {
        out.push_str("\nThis text is cut: `--report FILE.html` has all sections.\n");
    }
    out
}

fn heading(report: &Report) -> String {
    let mut out = format!("## {}\n\n{}\n", inline(&title(report)), inline(&run_facts(report)));
    if report.error.is_none() && report.checks.is_empty() {
        out.push_str(&format!("\n{}; **{}**.\n", changes_summary(report), report.describe_problems()));
    }
    out
}

fn error_section(report: &Report) -> String {
    let Some(error) = &report.error else { return String::new() };
    let mut out = format!("\n> **Failed:** {}\n", inline(&error.to_string()));
    if let Some(hint) = &error.hint {
        out.push_str(&format!(">\n> Hint: {}\n", code_span(hint)));
    }
    out
}

/// One line per flavor: its size and the difference.
fn rootfs_sizes_headlines(report: &Report) -> String {
    let mut out = String::new();
    for (board, flavor, Total { before, after }) in rootfs_totals(report) {
        let difference = match &report.no_sizes_before {
            None => format!(" ({})", format_size_change(before, after)),
            Some(_) => String::new(),
        };
        out.push_str(&format!(
            "- root filesystem of {} on {board}: {}{difference}\n",
            inline(flavor.as_str()),
            format_bytes_or_dash(after)
        ));
    }
    out
}

/// Packages and security fixes, one line each.
fn packages_and_advisories_headlines(report: &Report) -> String {
    let changes = report.package_changes.as_deref().unwrap_or_default();
    let name = |change: &&PackageChange| {
        let name = code_span(file_name(&change.name));
        format!("{name} {}", inline(&package_changes::versions(change).replace("->", "→")))
    };
    let mut out = String::new();
    if let Some(headline) = package_changes::headline(changes) {
        let names: Vec<String> = split_by_taken(changes).0.iter().map(name).collect();
        let colon = if names.is_empty() { "" } else { ": " };
        out.push_str(&format!("- {headline}{colon}{}\n", join_first_names(names.iter(), 4)));
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
fn problem_list(report: &Report, mark: &str, is_shown: impl Fn(Severity) -> bool) -> String {
    let (mut out, mut all, mut shown) = (String::new(), 0, 0);
    for (hint, group) in group_by_hint(report, is_shown) {
        let hint = code_span(&hint);
        let mut items = String::new();
        let mut listed = 0;
        for problem in group.iter().take(MAX_ROWS - shown) {
            let item = problem_item(report, problem, mark);
            if out.len() + items.len() + item.len() + hint.len() > MAX_PROBLEMS_LEN {
                break;
            }
            items.push_str(&item);
            listed += 1;
        }
        if listed > 0 {
            out.push_str(&format!("{items}\n  {}: {hint}\n\n", hint_label(&group[..listed])));
        }
        all += group.len();
        shown += listed;
    }
    out + &more_rows_note(all - shown)
}

fn problem_item(report: &Report, problem: &Problem<'_>, mark: &str) -> String {
    let finding = problem.main;
    format!(
        "{mark}**{}** {}: {}{} ({}, {}) {}\n",
        finding.kind.id(),
        code_span(&finding.path),
        inline(&finding.message),
        problem.describe_related(),
        finding.board,
        inline(&problem.flavors.join(", ")),
        linked_location(report, &finding.file, finding.line)
    )
}

/// Results of the smoke test: each failed check, and the number of passed ones.
fn checks_section(report: &Report) -> String {
    if report.checks.is_empty() {
        return String::new();
    }
    let [passed, failed, skipped] = CheckOutcome::ALL.map(|outcome| report.count_checks(outcome));
    let mut out = format!("\n### Checks\n\n{passed} passed, {failed} failed, {skipped} skipped.\n");
    let is_failed = |check: &&Check| check.outcome == CheckOutcome::Fail;
    for check in report.checks.iter().filter(is_failed).take(MAX_ROWS) {
        let title = format!("**{}** {}", check.name, code_span(&check.subject));
        let place = check.file.iter().map(|file| format!(" {}", linked_location(report, file, check.line)));
        let message = lossless_text::escape_for_terminal(&check.message);
        out.push_str(&format!("\n{title}{}\n\n{}", place.collect::<String>(), code_block("", &message)));
    }
    out + &more_rows_note(failed.saturating_sub(MAX_ROWS))
}

/// A file and line, linked where the repository is known.
fn linked_location(report: &Report, file: &str, line: Option<usize>) -> String {
    let text = code_span(&file_and_line(file, line));
    match &report.source_links {
        Some(links) => format!("[{text}]({})", links.link(file, line)),
        None => text,
    }
}

fn dependencies_section(report: &Report) -> String {
    match report.added_dependents.as_slice() {
        [] => String::new(),
        needs => folded("New dependencies", &format!("```mermaid\n{}```\n", mermaid(needs))),
    }
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

fn patch_section(report: &Report) -> String {
    let diff: String = report.plan.edits.iter().map(|edit| edit.diff()).collect();
    if diff.is_empty() { diff } else { folded("Diff", &code_block("diff", &diff)) }
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
        out.push_str(&format!("{}\n", more_rows_note(table.rows.len().saturating_sub(MAX_ROWS))));
    }
    folded(&table.title, &(out + &note))
}

fn cell(report: &Report, cell: &Cell) -> String {
    let paths = |paths: &[String], separator| {
        paths.iter().map(|path| cell_code_span(path)).collect::<Vec<_>>().join(separator)
    };
    match cell {
        Cell::Text(text) | Cell::Number(text, _) => inline(text),
        Cell::Sum(text) => format!("**{}**", inline(text)),
        Cell::Kind(kind, _) => (*kind).to_owned(),
        Cell::Path(path) => cell_code_span(path),
        Cell::Paths(names, 0) => paths(names, ", "),
        Cell::Paths(names, more) => format!("{}, and {more} more", paths(names, ", ")),
        Cell::Change(names) => paths(names, " → "),
        Cell::Manifest(file, line) => match &report.source_links {
            Some(links) => format!("[{}]({})", inline(&short_manifest_name(file)), links.link(file, *line)),
            None => inline(&short_manifest_name(file)),
        },
        Cell::Links(links) => {
            let link = |link: &String| format!("<{}>", link.replace('|', "%7C"));
            links.iter().map(link).collect::<Vec<_>>().join(" ")
        }
    }
}

fn more_rows_note(more: usize) -> String {
    if more > 0 { format!("\n… and {more} more.\n") } else { String::new() }
}

#[cfg(test)]
mod tests;
