//! The answer of `why` as a tree like `cargo tree`, as a graph for Graphviz or Mermaid, and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};

use super::{AbsentPath, BoardAnswer, Edge, ManifestLine, WhyAnswer};
use crate::report::file_and_line;
use crate::report::markdown::mermaid_text;
use crate::report::styled_text::{Style, StyledText};
use usr::UsrPath;

/// A tree: where the file is listed, and its dependents, transitively. `(*)` marks a file that was shown above.
pub(crate) fn render_tree(why: &WhyAnswer) -> StyledText {
    let mut out = StyledText::new();
    for board in &why.boards {
        if board.is_unknown() {
            out.push(Style::Strong, &why.subject);
            let rest = format!(" is not in the {} image, and no listed file needs it", board.board);
            out.push_line(Style::Plain, rest);
        }
        for (target, names) in &board.targets {
            out.push(Style::Strong, target.as_str());
            out.push_line(Style::Faint, format!(" ({})", board.board));
            push_branches(&mut out, "", &target_branches(board, target, names));
        }
        for (path, AbsentPath { how, listed }) in &board.absent {
            out.push(Style::Strong, path.as_str());
            out.push(Style::Faint, format!(" ({}): ", board.board));
            out.push_line(Style::Error, how);
            let branch = match listed.as_slice() {
                [] => Branch::heading("not listed", Vec::new()),
                listed => Branch::heading("listed", vec![listed_at(path, &join_places(listed))]),
            };
            push_branches(&mut out, "", &[branch]);
        }
        if let Some(missing) = &board.missing {
            out.push(Style::Strong, &why.subject);
            out.push_line(Style::Error, format!(" is not in the {} image", board.board));
            let searched = missing.searched.iter().map(|place| Branch::leaf(place)).collect();
            let dependent = |by| dependent_branch(board, by, "", &mut BTreeSet::new());
            let by = missing.needed_by.iter().map(dependent).collect();
            let headings = [Branch::heading("searched", searched), Branch::heading("needed by", by)];
            push_branches(&mut out, "", &headings);
        }
    }
    out
}

struct Branch {
    label: StyledText,
    below: Vec<Branch>,
}

impl Branch {
    fn heading(heading: &str, below: Vec<Branch>) -> Branch {
        Branch { label: StyledText::styled(Style::Advice, heading), below }
    }

    fn leaf(text: &str) -> Branch {
        Branch { label: StyledText::styled(Style::Plain, text), below: Vec::new() }
    }
}

/// `PATH (FILE:LINE)`.
fn listed_at(path: &UsrPath, places: &str) -> Branch {
    let mut branch = Branch::leaf(path.as_str());
    branch.label.push(Style::Faint, format!(" ({places})"));
    branch
}

fn target_branches(board: &BoardAnswer, target: &UsrPath, names: &[UsrPath]) -> Vec<Branch> {
    let (listed, unlisted): (Vec<&UsrPath>, Vec<&UsrPath>) =
        names.iter().partition(|name| !places(board, name).is_empty());
    let listed = listed.into_iter().map(|name| listed_at(name, &places(board, name))).collect();
    let unlisted = unlisted.into_iter().map(|name| Branch::leaf(name.as_str())).collect();
    let needed = dependent_branches(board, target, &mut BTreeSet::from([target.clone()]));
    let heading = if needed.is_empty() { "needed by no listed file" } else { "needed by" };
    let needed = Branch::heading(heading, needed);
    let branches = [Branch::heading("listed", listed), Branch::heading("not listed", unlisted)];
    branches.into_iter().filter(|branch| !branch.below.is_empty()).chain([needed]).collect()
}

fn dependent_branches(board: &BoardAnswer, target: &UsrPath, shown: &mut BTreeSet<UsrPath>) -> Vec<Branch> {
    let edges = board.graph.needed_by.get(target).into_iter().flatten().filter(|edge| edge.by != *target);
    let branch = |Edge { by, reference, how }: &Edge| {
        let how = if how.is_empty() { String::new() } else { format!(", {how}") };
        dependent_branch(board, by, &format!(": {reference}{how}"), shown)
    };
    edges.map(branch).collect()
}

fn dependent_branch(
    board: &BoardAnswer,
    by: &UsrPath,
    reason: &str,
    shown: &mut BTreeSet<UsrPath>,
) -> Branch {
    let mut branch = Branch::leaf(by.as_str());
    branch.label.push(Style::Faint, reason);
    if places(board, by).is_empty() {
        branch.label.push(Style::Warning, " [not listed]");
    }
    if shown.insert(by.clone()) {
        branch.below = dependent_branches(board, by, shown);
    } else if board.graph.needed_by.contains_key(by) {
        branch.label.push(Style::Faint, " (*)");
    }
    branch
}

/// `FILE:LINE`, several with commas.
fn places(board: &BoardAnswer, path: &UsrPath) -> String {
    board.graph.listed.get(path).map_or_else(String::new, |places| join_places(places))
}

fn join_places(places: &[ManifestLine]) -> String {
    places.iter().map(|place| file_and_line(&place.file, Some(place.line))).collect::<Vec<_>>().join(", ")
}

fn push_branches(out: &mut StyledText, indent: &str, branches: &[Branch]) {
    for (at, branch) in branches.iter().enumerate() {
        let (mark, below) =
            if at + 1 == branches.len() { ("└── ", "    ") } else { ("├── ", "│   ") };
        out.push(Style::Faint, format!("{indent}{mark}"));
        out.append(branch.label.clone());
        out.push_line(Style::Plain, "");
        push_branches(out, &format!("{indent}{below}"), &branch.below);
    }
}

/// The edges from the targets up, each once.
fn edges_above(board: &BoardAnswer) -> BTreeSet<(UsrPath, &Edge)> {
    let mut found = BTreeSet::new();
    let mut seen: BTreeSet<&UsrPath> = board.targets.keys().collect();
    let mut next: Vec<&UsrPath> = board.targets.keys().collect();
    while let Some(target) = next.pop() {
        for edge in board.graph.needed_by.get(target).into_iter().flatten() {
            found.insert((target.clone(), edge));
            if seen.insert(&edge.by) {
                next.push(&edge.by);
            }
        }
    }
    found
}

/// A graph for Graphviz (graphviz.org, "DOT Language"): an arrow points from a dependent to its dependency.
pub(crate) fn dot(why: &WhyAnswer) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut out = String::from("digraph why {\n  rankdir=LR;\n  node [shape=box, fontname=monospace];\n");
    for board in &why.boards {
        let name = |path: &UsrPath| format!("\"{}: {}\"", board.board, quoted(path.as_str()));
        for target in board.targets.keys() {
            let _ = writeln!(out, "  {} [label=\"{}\", style=bold];", name(target), quoted(target.as_str()));
        }
        for (path, absent) in &board.absent {
            let label = format!("{}\\n{}", quoted(path.as_str()), quoted(&absent.how));
            let _ = writeln!(out, "  {} [label=\"{label}\", style=dashed];", name(path));
        }
        for (target, edge) in edges_above(board) {
            let by = quoted(edge.by.as_str());
            let _ = writeln!(out, "  {} [label=\"{by}\"];", name(&edge.by));
            let label = quoted(format!("{}\n{}", edge.reference, edge.how).trim_end()).replace('\n', "\\n");
            let _ = writeln!(out, "  {} -> {} [label=\"{label}\"];", name(&edge.by), name(&target));
        }
    }
    out.push_str("}\n");
    out
}

/// A flowchart for mermaid.
pub(crate) fn mermaid(why: &WhyAnswer) -> String {
    let mut out = String::from("flowchart LR\n");
    for (number, board) in why.boards.iter().enumerate() {
        let mut nodes: Vec<UsrPath> = board.targets.keys().chain(board.absent.keys()).cloned().collect();
        let mut node = |path: &UsrPath| {
            let at = nodes.iter().position(|known| known == path).unwrap_or_else(|| {
                nodes.push(path.clone());
                nodes.len() - 1
            });
            format!("b{number}n{at}[\"{}\"]", mermaid_text(path.as_str()))
        };
        for named in board.targets.keys().chain(board.absent.keys()) {
            let _ = writeln!(out, "  {}", node(named));
        }
        for (target, edge) in edges_above(board) {
            let (by, target) = (node(&edge.by), node(&target));
            let _ = writeln!(out, "  {by} -->|\"{}\"| {target}", mermaid_text(&edge.reference));
        }
    }
    out
}

/// The key `why` of the JSON document.
pub(crate) fn to_json(why: &WhyAnswer) -> Value {
    let rows = |places: &[ManifestLine]| -> Vec<Value> {
        places.iter().map(|place| json!({ "file": place.file, "line": place.line })).collect()
    };
    let places = |board: &BoardAnswer, path: &UsrPath| {
        board.graph.listed.get(path).map_or_else(Vec::new, |places| rows(places))
    };
    let board_json = |board: &BoardAnswer| {
        let names = board.targets.values().flatten();
        json!({
            "board": board.board.id(),
            "paths": board.targets.keys().map(UsrPath::as_str).collect::<Vec<_>>(),
            "names": names.map(|name| json!({ "path": name.as_str(), "listed": places(board, name) })).collect::<Vec<_>>(),
            "needs": edges_above(board).into_iter().map(|(target, edge)| json!({
                "from": edge.by.as_str(), "to": target.as_str(), "name": edge.reference, "how": edge.how,
                "listed": places(board, &edge.by),
            })).collect::<Vec<_>>(),
            "absent": board.absent.iter().map(|(path, absent)| json!({
                "path": path.as_str(), "how": absent.how, "listed": rows(&absent.listed),
            })).collect::<Vec<_>>(),
            "missing": board.missing.as_ref().map(|missing| json!({
                "needed_by": missing.needed_by.iter().map(UsrPath::as_str).collect::<Vec<_>>(),
                "searched": *missing.searched,
            })),
        })
    };
    json!({ "subject": why.subject, "boards": why.boards.iter().map(board_json).collect::<Vec<_>>() })
}
