//! Manifest lines and dependents of a path, and how the loader finds each.

mod dependency_graph;
mod render;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::dependency_graph::DependencyGraph;
pub(crate) use self::render::{dot, mermaid, render_tree, to_json};
use coreos_types::Board;
use manifest::plan::bump::ImageTrees;
use manifest::stage1_sources::Stage1Sources;
use usr::{Node, NodeKind, ResolutionEnd, UsrPath, UsrTree};

/// The answer, one per board.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct WhyAnswer {
    /// The subject as typed.
    pub subject: String,
    pub boards: Vec<BoardAnswer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BoardAnswer {
    pub board: Board,
    /// The files that the subject resolves to, each with every name: its path, and the symlinks that resolve to it.
    pub targets: BTreeMap<UsrPath, Vec<UsrPath>>,
    /// The dependencies of all listed files.
    graph: DependencyGraph,
    /// Paths that the subject names and that resolve to no file of the image.
    pub absent: BTreeMap<UsrPath, AbsentPath>,
    /// The subject as a soname that listed files need and the image does not have.
    pub missing: Option<UnresolvedName>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ManifestLine {
    /// Real path of the manifest.
    pub file: String,
    /// Line number, from 1.
    pub line: usize,
}

/// A direct dependency on a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub by: UsrPath,
    /// The reference: a soname, `#!/bin/sh`, `ExecStart=…`.
    pub reference: String,
    /// How the file was found; empty for an absolute path.
    pub how: String,
}

/// A path that does not resolve to a file of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AbsentPath {
    /// `not in the image`, or the end of its symlinks.
    pub how: String,
    /// The manifest lines of the path.
    pub listed: Vec<ManifestLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UnresolvedName {
    pub needed_by: BTreeSet<UsrPath>,
    pub searched: Arc<[String]>,
}

impl BoardAnswer {
    /// Whether the subject is unknown.
    pub(crate) fn is_unknown(&self) -> bool {
        self.targets.is_empty() && self.absent.is_empty() && self.missing.is_none()
    }
}

/// Answers for every board.
pub(crate) fn answer_why(subject: &str, sources: &Stage1Sources, trees: &ImageTrees<'_>) -> WhyAnswer {
    let answer = |(&board, &tree): (&Board, &&UsrTree)| {
        let graph = DependencyGraph::new(board, sources, tree);
        let (targets, absent) = resolve_subject(subject, tree, &graph);
        let missing = graph.missing.get(subject).filter(|_| targets.is_empty()).cloned();
        BoardAnswer { board, targets, graph, absent, missing }
    };
    WhyAnswer { subject: subject.to_owned(), boards: trees.iter().map(answer).collect() }
}

/// The [`BoardAnswer::targets`] that a subject names, and the paths that resolve to no file.
fn resolve_subject(
    subject: &str,
    tree: &UsrTree,
    graph: &DependencyGraph,
) -> (BTreeMap<UsrPath, Vec<UsrPath>>, BTreeMap<UsrPath, AbsentPath>) {
    let (mut targets, mut absent) = (BTreeMap::new(), BTreeMap::new());
    for path in subject_paths(subject, tree, graph) {
        let listed = graph.lines.get(&path).cloned().unwrap_or_default();
        let how = match tree.resolve(&path).end {
            ResolutionEnd::Node(node) => {
                targets.entry(node).or_insert_with_key(|target| target_names(target, tree));
                continue;
            }
            ResolutionEnd::Missing(end) if end == path && listed.is_empty() => continue,
            ResolutionEnd::Missing(end) if end == path => "not in the image".to_owned(),
            ResolutionEnd::Missing(end) => format!("points to {end}, which is not in the image"),
            ResolutionEnd::UsrRoot | ResolutionEnd::OutsideUsr => "points outside the image".to_owned(),
            ResolutionEnd::TooManySymlinks => "symlink loop".to_owned(),
        };
        absent.insert(path, AbsentPath { how, listed });
    }
    (targets, absent)
}

/// The path itself, or every path of the image and the manifests with the file name `subject`.
fn subject_paths(subject: &str, tree: &UsrTree, graph: &DependencyGraph) -> BTreeSet<UsrPath> {
    if subject.contains('/') {
        return UsrPath::from_rootfs_path(subject).or_else(|_| UsrPath::new(subject)).into_iter().collect();
    }
    let known = tree.iter().map(|(path, _)| path).chain(graph.lines.keys());
    known.filter(|path| path.name() == subject).cloned().collect()
}

/// The target and every symlink that resolves to it.
fn target_names(target: &UsrPath, tree: &UsrTree) -> Vec<UsrPath> {
    let is_name_of_target = |path: &UsrPath| tree.resolve(path).end.node() == Some(target);
    let is_alias = |(path, node): &(&UsrPath, &Node)| {
        *path == target || (matches!(node.kind, NodeKind::Symlink(_)) && is_name_of_target(path))
    };
    tree.iter().filter(is_alias).map(|(path, _)| path.clone()).collect()
}

#[cfg(test)]
mod tests;
