//! Programs that selected programs start and that are not selected.

use super::exactly_one;
use super::selection::Selection;
use usr::{
    UsrPath, UsrTree,
    known_execs::{KnownExec, known_execs},
};

/// The programs of the table that the image has and the selection does not: the selected program that starts one, the
/// row of the table, and every symlink on the path, then the program.
pub fn find_unlisted<'s>(
    selection: &'s Selection<'_>,
) -> impl Iterator<Item = (&'s UsrPath, &'static KnownExec, Vec<UsrPath>)> {
    let execs = selection.elf_files().flat_map(|(by, elf)| {
        let started = started_by(selection.tree, by, &elf.exec_paths);
        started.into_iter().map(move |(row, chain)| (by, row, chain))
    });
    execs.filter(|(_, _, chain)| !chain.iter().all(|path| selection.paths.contains(path)))
}

/// The programs of the image that `starter` starts according to the table, each with every symlink on the path: those at
/// the paths in its text, else the program next to it, or the only one of the name. `exec_paths` are the paths in its text.
pub fn started_by(
    tree: &UsrTree,
    starter: &UsrPath,
    exec_paths: &[String],
) -> Vec<(&'static KnownExec, Vec<UsrPath>)> {
    let by_path = |path: &String| {
        let resolved = tree.resolve_rootfs(path);
        resolved.end.node().filter(|end| is_executable_file(tree, end))?;
        Some(resolved.paths().cloned().collect())
    };
    let by_name = |name: &str| {
        let sibling = starter.parent().map(|directory| directory.join(name));
        let sibling = sibling.filter(|path| is_executable_file(tree, path));
        let programs = || tree.with_name(name).into_iter().filter(|path| is_executable_file(tree, path));
        sibling.or_else(|| exactly_one(programs()).cloned())
    };
    let chains = |row: &'static KnownExec| -> Vec<Vec<UsrPath>> {
        let mut paths =
            exec_paths.iter().filter(|path| path.rsplit('/').next() == Some(row.program)).peekable();
        match paths.peek() {
            Some(_) => paths.filter_map(by_path).collect(),
            None => by_name(row.program).into_iter().map(|path| vec![path]).collect(),
        }
    };
    known_execs(starter).flat_map(|row| chains(row).into_iter().map(move |chain| (row, chain))).collect()
}

fn is_executable_file(tree: &UsrTree, path: &UsrPath) -> bool {
    tree.get(path.as_str()).is_some_and(|node| node.kind.is_file() && node.mode & 0o111 != 0)
}
