//! The report as Markdown fit for the body of a pull request (GitHub's dialect, mermaid included).

use super::added_dependencies::DependencyEdge;
use super::sizes::{change, libraries, maybe, rootfs, total};
use super::summary::{count, fix_counts, remaining};
use super::{Report, short};
use manifest::finding::{Finding, Severity};
use usr::lossless_text;

/// GitHub takes bodies of up to 65,536 characters; the diff, which the pull request shows anyway, goes first.
const MAX_CHARS: usize = 60_000;

/// Rows beyond this many are counted, not shown.
const MAX_ROWS: usize = 200;

/// The whole document.
pub fn render(report: &Report) -> String {
    let mut out = heading(report);
    for section in
        [error(report), left_over(report), changed(report), needs(report), library(report), size(report)]
    {
        out.push_str(&section);
    }
    out.push_str(&provenance(report));
    let mut out = lossless_text::readable(&out).into_owned();
    let diff = diff(report);
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
    let mut out = format!("## {title}\n\n");
    if let Some(channel) = report.channel {
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
    if report.error.is_none() {
        out.push_str(&format!(
            "{} {verb}{kinds}; {}.\n",
            count(report.plan.edits.len(), "file"),
            remaining(report)
        ));
    }
    out
}

fn error(report: &Report) -> String {
    let Some(fault) = &report.error else { return String::new() };
    let mut out = format!("\n> **It stopped:** {}\n", inline(&fault.to_string()));
    if let Some(hint) = &fault.hint {
        out.push_str(&format!(">\n> Hint: {}\n", code(hint)));
    }
    out
}

fn left_over(report: &Report) -> String {
    let open = report.findings.iter().filter(|finding| finding.severity != Severity::Advice);
    let advice = report.findings.iter().filter(|finding| finding.severity == Severity::Advice);
    let items = |findings: Vec<&Finding>, mark: &str| -> String {
        let more = more(findings.len());
        let shown = findings.into_iter().take(MAX_ROWS);
        shown.map(|finding| item(finding, mark, &report.hint(finding))).collect::<String>() + &more
    };
    let mut out = String::new();
    let open = items(open.collect(), "- [ ] ");
    if !open.is_empty() {
        out.push_str(&format!("\n### Left for a person\n\n{open}"));
    }
    let advice = items(advice.collect(), "- ");
    if !advice.is_empty() {
        out.push_str(&format!("\n<details><summary>Advice</summary>\n\n{advice}\n</details>\n"));
    }
    out
}

fn item(finding: &Finding, mark: &str, hint: &str) -> String {
    let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
    let place = code(&format!("{}{line}", finding.file));
    let kind = format!("**{}** ({})", finding.kind.id(), finding.board);
    let (path, message, hint) = (code(&finding.path), inline(&finding.message), code(hint));
    format!("{mark}{kind} {path}: {message}. {place} Hint: {hint}\n")
}

fn changed(report: &Report) -> String {
    let rows = report.fixes.iter().map(|fix| {
        let side = |line: &Option<String>| line.as_deref().map(code).unwrap_or_default();
        vec![short(&fix.file), fix.kind.to_string(), side(&fix.from), side(&fix.to), inline(&fix.because)]
    });
    table("What changed and why", &["manifest", "change", "from", "to", "why"], rows.collect())
}

fn library(report: &Report) -> String {
    let rows = libraries(report).into_iter().map(|library| {
        vec![
            code(library.to.or(library.from).unwrap_or_default()),
            short(library.file),
            library.kind.to_string(),
            maybe(library.before),
            maybe(library.after),
        ]
    });
    table("Libraries", &["library", "manifest", "change", "before", "after"], rows.collect())
}

fn size(report: &Report) -> String {
    let row = |what: String, board: &str, before, after| {
        vec![what, board.to_owned(), maybe(before), maybe(after), change(before, after)]
    };
    let manifests = report.sizes.iter().map(|manifest| {
        let total = total(manifest);
        row(short(&manifest.file), manifest.board.id(), total.before, total.after)
    });
    let flavors = rootfs(report).into_iter().map(|(board, flavor, total)| {
        row(format!("**root filesystem of {flavor}**"), board.id(), total.before, total.after)
    });
    table("Size", &["manifest", "board", "before", "after", "change"], manifests.chain(flavors).collect())
}

fn needs(report: &Report) -> String {
    if report.needs.is_empty() {
        return String::new();
    }
    format!("\n### Needs that were added\n\n```mermaid\n{}```\n", mermaid(&report.needs))
}

/// A node's drawing stays legible up to about this many edges.
const MAX_EDGES: usize = 60;

/// A left-to-right flowchart; nodes are numbered in the order they are named.
fn mermaid(needs: &[DependencyEdge]) -> String {
    let mut nodes: Vec<&str> = Vec::new();
    let mut out = String::from("flowchart LR\n");
    for need in needs.iter().take(MAX_EDGES) {
        let [from, to] = [&need.from, &need.to].map(|path| {
            let at = nodes.iter().position(|known| known == path).unwrap_or_else(|| {
                nodes.push(path);
                nodes.len() - 1
            });
            format!("n{at}[\"{}\"]", quote(path))
        });
        out.push_str(&format!("  {from} -->|\"{}\"| {to}\n", quote(&need.name)));
    }
    out
}

/// Inside a quoted mermaid text.
fn quote(text: &str) -> String {
    text.replace('#', "#35;").replace('"', "#quot;")
}

fn provenance(report: &Report) -> String {
    let rows = report.images.iter().map(|image| {
        let signer = image.signature.as_ref();
        vec![
            image.board.to_string(),
            code(&image.source),
            code(&image.digest),
            signer.map_or_else(
                || "not signed".to_owned(),
                |signer| {
                    let name =
                        signer.name.as_deref().map(|name| format!("{} ", inline(name))).unwrap_or_default();
                    format!("{name}{} by {} {}", code(&signer.primary), signer.key(), code(&signer.subkey))
                },
            ),
            signer.map(|signer| signer.signed_at.clone()).unwrap_or_default(),
        ]
    });
    table("Provenance", &["board", "image", "digest", "signed by", "at"], rows.collect())
}

fn diff(report: &Report) -> String {
    if report.plan.is_empty() {
        return String::new();
    }
    let diff: String = report.plan.edits.iter().map(|edit| edit.diff()).collect();
    let fence = "`".repeat(longest_run(&diff).max(2) + 1);
    format!("\n<details><summary>Diff</summary>\n\n{fence}diff\n{diff}{fence}\n\n</details>\n")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn table(title: &str, columns: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut out =
        format!("\n### {title}\n\n| {} |\n|{}\n", columns.join(" | "), " --- |".repeat(columns.len()));
    let more = more(rows.len());
    out.extend(rows.iter().take(MAX_ROWS).map(|cells| line(cells)));
    out.push_str(&more);
    out
}

fn more(rows: usize) -> String {
    match rows.saturating_sub(MAX_ROWS) {
        0 => String::new(),
        more => format!("\n… and {more} more.\n"),
    }
}

/// Text inside a table cell or a list item: nothing of it is markup.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
    }
    out
}

/// A code span that holds any text, in a table too.
fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{}{pad}{fence}", text.replace(['\n', '\r'], " ").replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::report::fixtures;

    #[test]
    fn a_bump_as_the_body_of_a_pull_request() {
        expect![[r###"
            ## stage1: 991.0.0 → 1032.0.0

            Channel alpha. systemd v225 → v229. 2 files changed (1 added, 1 renamed); 1 problem (1 error), 1 fixable with --fix --drop-missing.

            ### Left for a person

            - [ ] **missing** (amd64-usr) `bin/systemctl`: bin/systemctl is not in the image of 1032.0.0. `stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest:1` Hint: `cargo xtask verify-manifests --fix --drop-missing`

            ### What changed and why

            | manifest | change | from | to | why |
            | --- | --- | --- | --- | --- |
            | coreos/systemd (amd64-usr) | add |  | `lib64/libpam.so.0` | lib64/systemd/systemd needs libpam.so.0 |
            | coreos/systemd (amd64-usr) | rename | `lib64/libz.so.1.2.8` | `lib64/libz.so.1.2.11` | libz.so.1 points to it now |

            ### Needs that were added

            ```mermaid
            flowchart LR
              n0["lib64/systemd/systemd"] -->|"libpam.so.0"| n1["lib64/libpam.so.0"]
            ```

            ### Libraries

            | library | manifest | change | before | after |
            | --- | --- | --- | --- | --- |
            | `lib64/libpam.so.0` | coreos/systemd (amd64-usr) | add | – | 55.0 kB |
            | `lib64/libz.so.1.2.11` | coreos/systemd (amd64-usr) | rename | 88.0 kB | 100.5 kB |

            ### Size

            | manifest | board | before | after | change |
            | --- | --- | --- | --- | --- |
            | coreos/systemd (amd64-usr) | amd64-usr | 588.0 kB | 155.5 kB | -432.5 kB |
            | **root filesystem of coreos** | amd64-usr | 588.0 kB | 155.5 kB | -432.5 kB |

            ### Provenance

            | board | image | digest | signed by | at |
            | --- | --- | --- | --- | --- |
            | amd64-usr | `https://alpha.release.core-os.net/amd64-usr/1032.0.0/x.cpio.gz` | `sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a` | CoreOS Buildbot &lt;buildbot@coreos.com> `04127D0BFABEC8871FFB2CCE50E0885593D2DCB4` by subkey `DBFC52DBB963767AD20BA90807FA9ED31CB5FA26` | 2016-04-28T10:00:00Z |

            <details><summary>Diff</summary>

            ```diff
            --- a/stage1/usr_from_coreos/coreos-common.mk
            +++ b/stage1/usr_from_coreos/coreos-common.mk
            @@ -1,2 +1,2 @@
            -CCN_SYSTEMD_VERSION := v225
            -CCN_IMG_RELEASE := 991.0.0
            +CCN_SYSTEMD_VERSION := v229
            +CCN_IMG_RELEASE := 1032.0.0
            --- a/stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest
            +++ b/stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest
            @@ -1,3 +1,4 @@
             bin/systemctl
             lib64/libmount.so.1
            -lib64/libz.so.1.2.8
            +lib64/libpam.so.0
            +lib64/libz.so.1.2.11
            ```

            </details>
        "###]].assert_eq(&render(&fixtures::bump()));
    }

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(inline("a|b <i> *x* #1\n"), "a\\|b &lt;i> \\*x\\* \\#1 ");
        assert_eq!(code("a`b|c"), "``a`b\\|c``");
        assert_eq!(code("`a"), "`` `a ``");
    }

    #[test]
    fn a_body_of_300_changes_fits() {
        let report = fixtures::with_changes(300);
        let body = render(&report);
        assert!(body.chars().count() < 65_536, "{}", body.chars().count());
        assert!(body.contains("… and 100 more."));
    }
}
