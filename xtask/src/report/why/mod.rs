//! Who lists a path, who needs it, and how the loader finds it.

mod render;
mod survey;

use std::collections::{BTreeMap, BTreeSet};

pub use self::render::{document, dot, mermaid, tree};
use self::survey::Survey;
use coreos_types::release::Board;
use manifest::plan::bump::ImageTrees;
use manifest::plan::sources::Stage1Sources;
use usr::path::UsrPath;
use usr::tree::{NodeKind, Target, UsrTree};

/// The answer, one per board.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Why {
    /// What was asked about, as typed.
    pub subject: String,
    /// The answers.
    pub boards: Vec<BoardWhy>,
}

/// The answer for one board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardWhy {
    /// The board.
    pub board: Board,
    /// The files that the subject names, links followed.
    pub targets: Vec<UsrPath>,
    /// Every name of a target: its path, and the symlinks that resolve to it.
    pub names: BTreeMap<UsrPath, Vec<UsrPath>>,
    /// Where each listed path is listed.
    pub listed: BTreeMap<UsrPath, Vec<Place>>,
    /// Who needs each file directly.
    pub needed_by: BTreeMap<UsrPath, BTreeSet<Edge>>,
    /// Paths that the subject names and that resolve to no file of the image.
    pub absent: BTreeMap<UsrPath, Absent>,
    /// The subject as a soname that listed files need and the image does not have.
    pub missing: Option<BrokenPath>,
}

/// A line of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The manifest, at its real path.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
}

/// One direct need of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Who needs it.
    pub by: UsrPath,
    /// The reference: a soname, `#!/bin/sh`, `ExecStart=…`.
    pub says: String,
    /// How that was found; empty where a path says it all.
    pub how: String,
}

/// A path behind which the image has nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// `not in the image`, or where its links lead.
    pub how: String,
    /// Where it is listed all the same.
    pub listed: Vec<Place>,
}

/// A name that was found nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BrokenPath {
    /// The files that need it.
    pub needed_by: BTreeSet<UsrPath>,
    /// Where it was looked for.
    pub searched: Vec<String>,
}

impl BoardWhy {
    /// Whether nothing is known of the subject.
    pub fn is_unknown(&self) -> bool {
        self.targets.is_empty() && self.absent.is_empty() && self.missing.is_none()
    }
}

/// Answers for every board.
pub fn why(subject: &str, sources: &Stage1Sources, trees: &ImageTrees<'_>) -> Why {
    let mut answer = Why { subject: subject.to_owned(), boards: Vec::new() };
    for (&board, &tree) in trees {
        let survey = Survey::of(board, sources, tree);
        answer.boards.push(of_board(subject, board, tree, &survey));
    }
    answer
}

fn of_board(subject: &str, board: Board, tree: &UsrTree, survey: &Survey) -> BoardWhy {
    let (targets, absent) = named(subject, tree, &survey.lines);
    let names = targets.iter().map(|target| (target.clone(), names_of(target, tree))).collect();
    BoardWhy {
        board,
        missing: survey.missing.get(subject).filter(|_| targets.is_empty()).cloned(),
        targets,
        names,
        absent,
        listed: survey.listed.clone(),
        needed_by: survey.needed_by.clone(),
    }
}

/// The files that a subject names, symlinks followed, and the paths that resolve to no file.
fn named(
    subject: &str,
    tree: &UsrTree,
    lines: &BTreeMap<UsrPath, Vec<Place>>,
) -> (Vec<UsrPath>, BTreeMap<UsrPath, Absent>) {
    let (mut files, mut absent) = (BTreeSet::new(), BTreeMap::new());
    for path in paths(subject, tree, lines) {
        let listed = lines.get(&path).cloned().unwrap_or_default();
        let how = match tree.resolve(&path).end {
            Target::Node(node) => {
                files.insert(node);
                continue;
            }
            Target::Missing(end) if end == path && listed.is_empty() => continue,
            Target::Missing(end) if end == path => "not in the image".to_owned(),
            Target::Missing(end) => format!("points to {end}, which is not in the image"),
            Target::UsrRoot | Target::OutsideUsr => "leads out of the image".to_owned(),
            Target::TooManySymlinks => "leads in a circle".to_owned(),
        };
        absent.insert(path, Absent { how, listed });
    }
    (files.into_iter().collect(), absent)
}

/// The one path that is given, or all of the image and the manifests that bear a name.
fn paths(subject: &str, tree: &UsrTree, lines: &BTreeMap<UsrPath, Vec<Place>>) -> BTreeSet<UsrPath> {
    if subject.contains('/') {
        return UsrPath::from_rootfs_path(subject).or_else(|_| UsrPath::new(subject)).into_iter().collect();
    }
    let known = tree.iter().map(|(path, _)| path).chain(lines.keys());
    known.filter(|path| path.name() == subject).cloned().collect()
}

/// The target and every symlink that resolves to it.
fn names_of(target: &UsrPath, tree: &UsrTree) -> Vec<UsrPath> {
    let is_name_of_target = |path: &UsrPath| tree.resolve(path).end.node() == Some(target);
    tree.iter()
        .filter(|(path, node)| {
            *path == target || (matches!(node.kind, NodeKind::Symlink(_)) && is_name_of_target(path))
        })
        .map(|(path, _)| path.clone())
        .collect()
}

#[cfg(test)]
mod tests;
