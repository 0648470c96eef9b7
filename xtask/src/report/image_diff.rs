//! Differences between two images, for the listed paths and their dependencies.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::count_with_noun;
use super::sizes::{format_bytes, format_size_change};
use super::styled_text::{Style, StyledText};
use coreos_types::Board;
use manifest::stage1_sources::Stage1Sources;
use usr::{DynamicLoader, Node, NodeKind, UsrPath, UsrTree};

/// Differences on one board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageDiff {
    pub board: Board,
    /// Paths that differ, in byte order.
    pub rows: Vec<PathChange>,
    /// Number of paths without a difference.
    pub same: usize,
}

/// A path that differs in its kind, size, link target or dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathChange {
    /// Relative to /usr.
    pub path: UsrPath,
    /// The old node; `None` where the old image does not have the path.
    pub before: Option<NodeSummary>,
    /// The new node; `None` where the new image does not have the path.
    pub after: Option<NodeSummary>,
    /// Names added to `DT_NEEDED`.
    pub new_needs: Vec<String>,
    /// Names removed from `DT_NEEDED`.
    pub old_needs: Vec<String>,
}

/// The compared properties of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeSummary {
    /// The size of a file, else the kind of the node, with the target of a symlink.
    pub text: String,
    /// Bytes of a file.
    pub size: Option<u64>,
}

pub(crate) fn compare(board: Board, sources: &Stage1Sources, old: &UsrTree, new: &UsrTree) -> ImageDiff {
    let mut paths = BTreeSet::new();
    for tree in [old, new] {
        collect_closure(board, sources, tree, &mut paths);
    }
    // A path that is selected in only one image is compared in both.
    [old, new].into_iter().for_each(|tree| tree.read_ahead(&paths));
    let rows: Vec<PathChange> = paths.iter().filter_map(|path| compare_path(path, old, new)).collect();
    ImageDiff { board, same: paths.len() - rows.len(), rows }
}

/// Adds every listed path and the files that the loader resolves for it.
fn collect_closure(board: Board, sources: &Stage1Sources, tree: &UsrTree, paths: &mut BTreeSet<UsrPath>) {
    let loader = DynamicLoader::new(tree, board, DynamicLoader::rkt_library_path(tree), None);
    sources.for_each_selection(board, tree, |selection| {
        for path in selection.dynamic_elf_files() {
            let objects = loader.load(path).objects;
            paths
                .extend(objects.into_iter().flat_map(|object| object.links.into_iter().chain([object.path])));
        }
        paths.extend(selection.paths);
    });
}

fn compare_path(path: &UsrPath, old: &UsrTree, new: &UsrTree) -> Option<PathChange> {
    let [before, after] = [old, new].map(|tree| tree.get(path.as_str()).map(summarize));
    // The dependencies of an added or removed file are not listed.
    let is_in_both = before.is_some() && after.is_some();
    let needed =
        |tree: &UsrTree| tree.read_elf_info(path).into_iter().flat_map(|elf| elf.needed.clone()).collect();
    let [old_names, new_names]: [BTreeSet<String>; 2] = [old, new].map(needed);
    let only = |some: &BTreeSet<String>, others: &BTreeSet<String>| -> Vec<String> {
        some.difference(others).filter(|_| is_in_both).cloned().collect()
    };
    let (new_needs, old_needs) = (only(&new_names, &old_names), only(&old_names, &new_names));
    let differs = before != after || !new_needs.is_empty() || !old_needs.is_empty();
    differs.then(|| PathChange { path: path.clone(), before, after, new_needs, old_needs })
}

fn summarize(node: &Node) -> NodeSummary {
    let (text, size) = match &node.kind {
        NodeKind::File { size, .. } => (format_bytes(*size), Some(*size)),
        NodeKind::Directory => ("directory".to_owned(), None),
        NodeKind::Symlink(target) => (format!("link to {target}"), None),
        NodeKind::Special => ("device, socket or pipe".to_owned(), None),
    };
    NodeSummary { text, size }
}

/// Text like `git diff --stat`: one line per path, then the numbers.
pub(crate) fn render(changes: &[ImageDiff]) -> StyledText {
    let mut out = StyledText::new();
    for board in changes {
        let width = board.rows.iter().map(|row| row.path.as_str().chars().count()).max().unwrap_or(0);
        for row in &board.rows {
            let (style, mark) = match (&row.before, &row.after) {
                (None, _) => (Style::Added, '+'),
                (_, None) => (Style::Removed, '-'),
                _ => (Style::Plain, ' '),
            };
            out.push(style, format!("{mark}{:<width$}", row.path.as_str()));
            out.push(Style::Faint, format!(" | {}", describe_difference(row)));
            row.new_needs.iter().for_each(|name| out.push(Style::Added, format!(" +{name}")));
            row.old_needs.iter().for_each(|name| out.push(Style::Removed, format!(" -{name}")));
            out.push_line(Style::Plain, "");
        }
        let number = |test: fn(&PathChange) -> bool| board.rows.iter().filter(|row| test(row)).count();
        let (added, removed) = (number(|row| row.before.is_none()), number(|row| row.after.is_none()));
        let line = format!(
            "{}: {} changed, {added} added, {removed} removed, {} unchanged",
            board.board,
            count_with_noun(board.rows.len() - added - removed, "path"),
            board.same
        );
        out.push_line(Style::Strong, line);
    }
    out
}

fn describe_difference(row: &PathChange) -> String {
    match (&row.before, &row.after) {
        (Some(before), Some(after)) if before == after => "needs".to_owned(),
        (Some(before), Some(after)) if before.size.is_some() && after.size.is_some() => {
            format!("{} → {} ({})", before.text, after.text, format_size_change(before.size, after.size))
        }
        (Some(before), Some(after)) => format!("{} → {}", before.text, after.text),
        (one, other) => one.iter().chain(other).map(|node| node.text.clone()).collect(),
    }
}

/// The key `changes` of the JSON document.
pub(crate) fn to_json(changes: &[ImageDiff]) -> Value {
    let row_json = |row: &PathChange| {
        json!({
            "path": row.path.as_str(),
            "before": row.before.as_ref().map(|node| &node.text),
            "after": row.after.as_ref().map(|node| &node.text),
            "new_needs": row.new_needs,
            "old_needs": row.old_needs,
        })
    };
    let board_json = |board: &ImageDiff| {
        json!({
            "board": board.board.id(),
            "paths": board.rows.iter().map(row_json).collect::<Vec<_>>(),
            "same": board.same,
        })
    };
    changes.iter().map(board_json).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use expect_test::expect;

    use super::*;
    use coreos_types::Flavor;
    use manifest::stage1_sources::ManifestRef;
    use usr::{ElfInfo, FileInfo};

    fn image(files: &[(&str, u64, &[&str])], links: &[(&str, &str)]) -> UsrTree {
        let mut tree = UsrTree::new();
        let mut put = |path: &str, kind| tree.insert(UsrPath::new(path).unwrap(), Node { mode: 0o755, kind });
        for (path, size, needed) in files {
            let elf = ElfInfo {
                is_64: true,
                machine: 62,
                has_dynamic_section: true,
                needed: needed.iter().map(|name| (*name).to_owned()).collect(),
                ..ElfInfo::default()
            };
            put(path, NodeKind::file(*size, FileInfo::Elf(Box::new(elf))));
        }
        links.iter().for_each(|(path, target)| put(path, NodeKind::Symlink((*target).to_owned())));
        tree
    }

    #[test]
    fn listed_paths_and_dependencies_are_compared() {
        let file = "stage1/usr_from_coreos/manifest-amd64-usr.d/a.manifest";
        let sources = Stage1Sources {
            manifests: [(file.to_owned(), b"bin/init\nbin/same\nlib64/libz.so.1\n".to_vec())].into(),
            manifest_refs: vec![ManifestRef {
                board: Board::Amd64,
                flavor: Flavor::from_dir_name("usr_from_coreos").unwrap(),
                directory_entry: file.into(),
                file: file.into(),
            }],
            ..Stage1Sources::default()
        };
        let old = image(
            &[
                ("bin/init", 1000, &[]),
                ("bin/same", 5, &[]),
                ("lib64/libz.so.1.2.8", 10, &[]),
                ("bin/other", 1, &[]),
            ],
            &[("lib64/libz.so.1", "libz.so.1.2.8")],
        );
        let new = image(
            &[("bin/init", 2500, &["libpam.so.0"]), ("bin/same", 5, &[]), ("lib64/libpam.so.0", 99, &[])],
            &[("lib64/libz.so.1", "libz.so.1.2.11")],
        );
        let changes = compare(Board::Amd64, &sources, &old, &new);
        expect![[r#"
             bin/init          | 1.0 kB → 2.5 kB (+1.5 kB) +libpam.so.0
            +lib64/libpam.so.0 | 99 B
             lib64/libz.so.1   | link to libz.so.1.2.8 → link to libz.so.1.2.11
            amd64-usr: 2 paths changed, 1 added, 0 removed, 1 unchanged
        "#]]
        .assert_eq(&render(&[changes]).to_string());
    }
}
