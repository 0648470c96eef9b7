//! Programs that selected programs start and that are not selected.

use std::cell::RefCell;
use std::collections::HashMap;

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
    let programs = StartedPrograms::new(selection.tree);
    let execs = selection.elf_files().flat_map(move |(by, elf)| {
        let started = programs.started_by(by, &elf.exec_paths);
        started.into_iter().map(move |(row, chain)| (by, row, chain))
    });
    execs.filter(|(_, _, chain)| !chain.iter().all(|path| selection.paths.contains(path)))
}

/// Finds the programs of an image that others start according to the table.
pub struct StartedPrograms<'t> {
    tree: &'t UsrTree,
    /// The only program of a name. A search reads every path of the image, which may have thousands of starters.
    only_by_name: RefCell<HashMap<&'static str, Option<&'t UsrPath>>>,
}

impl<'t> StartedPrograms<'t> {
    /// Nothing is searched yet.
    pub fn new(tree: &'t UsrTree) -> StartedPrograms<'t> {
        StartedPrograms { tree, only_by_name: RefCell::default() }
    }

    /// The programs that `starter` starts, each with every symlink on the path: those at the paths in its text
    /// (`exec_paths`), else the program next to it, or the only one of the name.
    pub fn started_by(
        &self,
        starter: &UsrPath,
        exec_paths: &[String],
    ) -> Vec<(&'static KnownExec, Vec<UsrPath>)> {
        let chains = |row: &'static KnownExec| -> Vec<Vec<UsrPath>> {
            let mut paths =
                exec_paths.iter().filter(|path| path.rsplit('/').next() == Some(row.program)).peekable();
            match paths.peek() {
                Some(_) => paths.filter_map(|path| self.by_path(path)).collect(),
                None => self.by_name(starter, row.program).into_iter().map(|path| vec![path]).collect(),
            }
        };
        known_execs(starter).flat_map(|row| chains(row).into_iter().map(move |chain| (row, chain))).collect()
    }

    fn by_path(&self, path: &str) -> Option<Vec<UsrPath>> {
        let resolved = self.tree.resolve_rootfs(path);
        resolved.end.node().filter(|end| is_executable_file(self.tree, end))?;
        Some(resolved.paths().cloned().collect())
    }

    fn by_name(&self, starter: &UsrPath, name: &'static str) -> Option<UsrPath> {
        let sibling = starter.parent().map(|directory| directory.join(name));
        let search = || {
            let found = self.tree.with_name(name).into_iter();
            exactly_one(found.filter(|path| is_executable_file(self.tree, path)))
        };
        sibling
            .filter(|path| is_executable_file(self.tree, path))
            .or_else(|| self.only_by_name.borrow_mut().entry(name).or_insert_with(search).cloned())
    }
}

fn is_executable_file(tree: &UsrTree, path: &UsrPath) -> bool {
    tree.get(path.as_str()).is_some_and(|node| node.kind.is_file() && node.mode & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::image;

    /// A search in 60,000 paths for each of 20,000 programs would take a minute.
    #[test]
    fn only_program_of_a_name_is_searched_once() {
        let starters = (0..20_000).map(|number| format!("libexec/{number}/sshd"));
        let others = (0..40_000).map(|number| format!("share/{number}"));
        let paths: Vec<String> = starters.chain(others).chain(["lib/ssh/sshd-session".to_owned()]).collect();
        let tree = image(&paths.iter().map(String::as_str).collect::<Vec<_>>());
        let programs = StartedPrograms::new(&tree);
        for starter in tree.with_name("sshd") {
            let found = programs.started_by(starter, &[]);
            let found: Vec<&str> = found.iter().flat_map(|(_, chain)| chain).map(UsrPath::as_str).collect();
            assert_eq!(found, ["lib/ssh/sshd-session"], "{starter}");
        }
    }
}
