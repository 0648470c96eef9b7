//! The report as Markdown for the body of a pull request (GitHub Flavored Markdown, mermaid included).
//!
//! Names from images and manifests go through [`escape`].

mod escape;
mod versions;

use self::escape::{cell_code, code, code_block, inline, mermaid_text};
use self::versions::{packages, security_fixes, versions_in_short};
use super::dependency_graph::DependencyEdge;
use super::problem_groups::{Problem, problems};
use super::sizes::{LibraryChange, Total, change, libraries, maybe, rootfs, total};
use super::summary::{fix_counts, remaining};
use super::{Check, ImageOrigin, Outcome, Report, count, short};
use manifest::finding::Severity;
use usr::lossless_text;

/// GitHub takes bodies of up to 65,536 characters. The diff, which the pull request shows anyway, is left out first.
const MAX_CHARS: usize = 60_000;

/// Rows of a table beyond this many are counted, not shown.
const MAX_ROWS: usize = 150;

/// Renders the whole document: remaining work first, everything else folded.
pub fn render(report: &Report) -> String {
    let mut out = heading(report);
    for section in [
        error_section(report),
        sizes_in_short(report),
        versions_in_short(report),
        open_problems(report),
        checks(report),
        suggestions_section(report),
        fixes_section(report),
        dependencies_section(report),
        libraries_section(report),
        packages(report),
        security_fixes(report),
        sizes_section(report),
        provenance(report),
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
    let title = match &report.release {
        Some((from, to)) if from != to => format!("stage1: {from} → {to}"),
        Some((_, to)) => format!("stage1 at {to}"),
        None => format!("cargo xtask {}", report.command),
    };
    let mut out = format!("## {}\n\n", inline(&title));
    if let Some(channel) = &report.channel {
        out.push_str(&format!("Channel {channel}. "));
    }
    match &report.systemd {
        Some((from, to)) if from != to => out.push_str(&format!("systemd {from} → {to}. ")),
        Some((_, to)) => out.push_str(&format!("systemd {to}. ")),
        None => {}
    }
    let verb = if report.dry_run { "would change" } else { "changed" };
    let kinds = match fix_counts(report) {
        counts if counts.is_empty() => String::new(),
        counts => format!(" ({counts})"),
    };
    if report.error.is_none() && report.checks.is_empty() {
        let files = count(report.plan.edits.len(), "file");
        out.push_str(&format!("{files} {verb}{kinds}; **{}**.\n", remaining(report)));
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
            maybe(after)
        ));
    }
    if out.is_empty() { out } else { format!("\n{out}") }
}

fn open_problems(report: &Report) -> String {
    let body = grouped(report, "- [ ] ", |severity| severity != Severity::Advice);
    if body.is_empty() { body } else { format!("\n### Problems\n\n{body}") }
}

fn suggestions_section(report: &Report) -> String {
    folded("Suggestions", &grouped(report, "- ", |severity| severity == Severity::Advice))
}

/// Problems as list items; those with the same hint together, and the hint once.
fn grouped(report: &Report, mark: &str, is_shown: impl Fn(Severity) -> bool) -> String {
    let all = problems(report);
    let shown: Vec<&Problem<'_>> = all.iter().filter(|problem| is_shown(problem.main.severity)).collect();
    let mut groups: Vec<(String, Vec<&Problem<'_>>)> = Vec::new();
    for problem in shown.iter().take(MAX_ROWS) {
        let hint = report.hint(problem.main);
        match groups.iter_mut().find(|(known, _)| *known == hint) {
            Some((_, group)) => group.push(problem),
            None => groups.push((hint, vec![problem])),
        }
    }
    let mut out = String::new();
    for (hint, group) in groups {
        out.extend(group.iter().map(|problem| problem_item(report, problem, mark)));
        let what = if group.len() > 1 { format!(" for these {}", group.len()) } else { String::new() };
        out.push_str(&format!("\n  hint{what}: {}\n\n", code(&hint)));
    }
    out + &more_rows_note(shown.len())
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

fn fixes_section(report: &Report) -> String {
    let rows = report.fixes.iter().map(|fix| {
        let sides = [&fix.from, &fix.to].into_iter().flatten().map(|path| cell_code(path));
        let path = sides.collect::<Vec<_>>().join(" → ");
        vec![fix.kind.to_string(), path, inline(&fix.reason), inline(&short(&fix.file))]
    });
    table("Changes", &["change", "path", "why", "manifest"], rows.collect())
}

/// The size of a file; empty without a file.
fn size_of(file: Option<&str>, bytes: Option<u64>) -> String {
    file.map_or_else(String::new, |_| maybe(bytes))
}

/// Most dependents in a cell.
const MAX_NAMES: usize = 4;

fn libraries_section(report: &Report) -> String {
    let has_before = report.no_sizes_before.is_none();
    let row = |library: LibraryChange<'_>| {
        let mut names: Vec<String> =
            library.needed_by.iter().take(MAX_NAMES).map(|path| cell_code(path)).collect();
        let more = library.needed_by.len().saturating_sub(MAX_NAMES);
        names.extend((more > 0).then(|| format!("and {more} more")));
        let side = |name: Option<&str>| name.map(cell_code).unwrap_or_default();
        let mut row = vec![
            cell_code(library.name),
            side(library.from),
            side(library.to),
            size_of(library.to, library.total.after),
        ];
        row.extend(has_before.then(|| change(library.total.before, library.total.after)));
        row.push(names.join(", "));
        row
    };
    let mut columns = vec!["library", "file before", "file after", "size"];
    columns.extend(has_before.then_some("difference"));
    columns.push("needed by");
    table("Libraries", &columns, libraries(report).into_iter().map(row).collect())
}

fn sizes_section(report: &Report) -> String {
    let has_before = report.no_sizes_before.is_none();
    let row = |what: String, board: &str, Total { before, after }| {
        let mut row = vec![what, board.to_owned()];
        row.extend(has_before.then(|| maybe(before)));
        row.push(maybe(after));
        row.extend(has_before.then(|| change(before, after)));
        row
    };
    let flavors = rootfs(report).into_iter().map(|(board, flavor, total)| {
        row(format!("**root filesystem of {}**", inline(flavor.as_str())), board.id(), total)
    });
    let manifests = report
        .sizes
        .iter()
        .map(|manifest| row(inline(&short(&manifest.file)), manifest.board.id(), total(manifest)));
    let columns: &[&str] = match has_before {
        true => &["files of", "board", "before", "after", "difference"],
        false => &["files of", "board", "size"],
    };
    let body = rows_of(columns, flavors.chain(manifests).collect());
    let reason = report.no_sizes_before.as_ref().filter(|_| !body.is_empty());
    let reason = reason.map(|reason| format!("Sizes before are left out: {}.\n\n", inline(reason)));
    folded("Size", &(reason.unwrap_or_default() + &body))
}

fn dependencies_section(report: &Report) -> String {
    if report.needs.is_empty() {
        return String::new();
    }
    folded("New dependencies", &format!("```mermaid\n{}```\n", mermaid(&report.needs)))
}

/// Most edges of a drawing; more are not legible.
const MAX_EDGES: usize = 60;

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
fn provenance(report: &Report) -> String {
    folded("Provenance", &report.images.iter().map(image).collect::<String>())
}

fn image(image: &ImageOrigin) -> String {
    let mut out = format!("- **{}**: {}\n  - {}\n", image.board, code(&image.source), code(&image.digest));
    match &image.signature {
        None => out.push_str("  - not signed\n"),
        Some(signer) => {
            let name = signer.name.as_deref().map(|name| format!("{}, ", inline(name))).unwrap_or_default();
            let (primary, subkey) = (code(&signer.primary), code(&signer.subkey));
            let at = inline(&signer.signed_at);
            out.push_str(&format!(
                "  - signed {at} by {name}primary key {primary}, {} {subkey}\n",
                signer.key_kind()
            ));
        }
    }
    out
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

fn table(title: &str, columns: &[&str], rows: Vec<Vec<String>>) -> String {
    let title = format!("{title} ({})", rows.len());
    folded(&title, &rows_of(columns, rows))
}

fn rows_of(columns: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut out = format!("| {} |\n|{}\n", columns.join(" | "), " --- |".repeat(columns.len()));
    let more = more_rows_note(rows.len());
    out.extend(rows.iter().take(MAX_ROWS).map(|cells| line(cells)));
    out.push_str(&more);
    out
}

fn more_rows_note(rows: usize) -> String {
    match rows.saturating_sub(MAX_ROWS) {
        0 => String::new(),
        more => format!("\n… and {more} more.\n"),
    }
}

#[cfg(test)]
mod tests;
