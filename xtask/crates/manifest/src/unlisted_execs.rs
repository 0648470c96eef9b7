//! Programs that selected programs start and that are not selected.

use super::selection::Selection;
use usr::file_info::FileInfo;
use usr::known_execs::{KnownExec, known_execs};
use usr::path::UsrPath;
use usr::tree::UsrTree;

/// A program that a selected program starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlistedExec {
    /// The selected program.
    pub by: UsrPath,
    /// The row of the table.
    pub row: &'static KnownExec,
    /// Every symlink on the path, then the program.
    pub chain: Vec<UsrPath>,
}

/// The programs of the table that the image has and the selection does not.
pub fn unlisted(selection: &Selection<'_>) -> Vec<UnlistedExec> {
    let mut unlisted = Vec::new();
    for (by, info) in selection.files() {
        let FileInfo::Elf(elf) = info else { continue };
        for (row, chain) in started_by(selection.tree, by, &elf.exec_paths) {
            if !chain.iter().all(|path| selection.paths.contains(path)) {
                unlisted.push(UnlistedExec { by: by.clone(), row, chain });
            }
        }
    }
    unlisted
}

/// The programs of the image that `starter` starts according to the table, each with every symlink on the path.
/// `exec_paths` are the paths in the text of `starter`.
pub fn started_by(
    tree: &UsrTree,
    starter: &UsrPath,
    exec_paths: &[String],
) -> Vec<(&'static KnownExec, Vec<UsrPath>)> {
    let chains = |row: &'static KnownExec| match locate_by_paths(tree, exec_paths, row.program) {
        Some(chains) => chains,
        None => locate_by_name(tree, starter, row.program).into_iter().collect(),
    };
    known_execs(starter).flat_map(|row| chains(row).into_iter().map(move |chain| (row, chain))).collect()
}

/// The program at each path in the text of the starter; `None` without such a path.
fn locate_by_paths(tree: &UsrTree, paths: &[String], program: &str) -> Option<Vec<Vec<UsrPath>>> {
    let mut matching = paths.iter().filter(|path| path.rsplit('/').next() == Some(program)).peekable();
    matching.peek()?;
    let chain = |path: &String| {
        let resolved = tree.resolve_rootfs(path);
        let end = resolved.end.node().filter(|end| is_program(tree, end))?.clone();
        Some(resolved.links.into_iter().chain([end]).collect())
    };
    Some(matching.filter_map(chain).collect())
}

/// The program next to the starter, or the only one of its name.
fn locate_by_name(tree: &UsrTree, starter: &UsrPath, program: &str) -> Option<Vec<UsrPath>> {
    let sibling = starter.parent().map(|directory| directory.join(program));
    if let Some(sibling) = sibling.filter(|path| is_program(tree, path)) {
        return Some(vec![sibling]);
    }
    let mut matching = tree.with_name(program).into_iter();
    let only = matching.by_ref().find(|path| is_program(tree, path))?;
    let is_ambiguous = matching.any(|path| is_program(tree, path));
    (!is_ambiguous).then(|| vec![only.clone()])
}

fn is_program(tree: &UsrTree, path: &UsrPath) -> bool {
    tree.get(path.as_str()).is_some_and(|node| node.kind.is_file() && node.mode & 0o111 != 0)
}
