//! systemd as process 1: nspawn starts it without the `LD_LIBRARY_PATH` of the other programs of a stage1.

use std::sync::Arc;

use super::{Checker, LinkResult, SearchMode};
use crate::smoketest::rootfs::Rootfs;
use coreos_types::Result;
use usr::{
    UsrPath,
    ldso::{self, MissingSymlink, UnreachableLibrary},
};

pub(super) fn is_pid1(rootfs: &Rootfs, file: &UsrPath) -> bool {
    rootfs.systemd_file("systemd").and_then(|path| rootfs.resolve_file(&path)).as_ref() == Some(file)
}

/// Adds the further problems without `LD_LIBRARY_PATH` to a result, and the missing links that would fix them.
pub(super) fn check_pid1(checker: Checker<'_>, result: &mut LinkResult) -> Result<()> {
    let mut problems = checker.link_file(&result.file, SearchMode::DefaultPath)?.problems;
    problems.retain(|problem| !result.problems.contains(problem));
    for problem in problems {
        let name = problem.strip_suffix(" is not found");
        let found_at = name.and_then(|name| find_unreachable_library(checker.rootfs, &result.file, name));
        let mut text = format!("{problem} by process 1, which has no LD_LIBRARY_PATH");
        if let Some(UnreachableLibrary { file, missing_symlink: way }) = found_at {
            text.push_str(&format!(": the file is {file}"));
            if let Some(MissingSymlink { directory, link }) = way {
                text.push_str(&format!(", and {directory} resolves to its directory through {link} only"));
                result.missing_symlinks.push(link);
            }
        }
        result.problems.push(text);
    }
    result.missing_symlinks.dedup();
    Ok(())
}

/// The library that a program did not find although the root filesystem has a file of that name; else `None`.
pub(crate) fn find_unreachable_library(
    rootfs: &Rootfs,
    program: &UsrPath,
    name: &str,
) -> Option<UnreachableLibrary> {
    let loader = ldso::DynamicLoader::new(&rootfs.tree, rootfs.board, Vec::new(), None);
    let load = loader.load(program);
    let missing = load.missing.iter().find(|missing| missing.name == name).cloned();
    let unknown =
        || ldso::NotFound { name: name.to_owned(), needed_by: program.clone(), searched: Arc::default() };
    loader.find_unreachable(&missing.unwrap_or_else(unknown))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use expect_test::expect;

    use super::super::LoaderRunner;
    use super::super::loader_health::LoaderHealth;
    use super::*;
    use coreos_types::Board;
    use usr::{ElfInfo, FileInfo, Node, NodeKind, UsrTree};

    /// Debian's systemd, without the link that its RUNPATH goes through.
    fn rootfs() -> Rootfs {
        let mut tree = UsrTree::new();
        let mut put = |path: &str, kind| tree.insert(UsrPath::new(path).unwrap(), Node { mode: 0o755, kind });
        let elf = |needed: &[&str], runpath: &[&str]| ElfInfo {
            is_64: true,
            machine: Board::Amd64.elf_machine(),
            has_dynamic_section: true,
            needed: needed.iter().map(|&name| name.to_owned()).collect(),
            runpath: Some(runpath.iter().map(|&name| name.to_owned()).collect()),
            ..ElfInfo::default()
        };
        for (path, info) in [
            ("lib64/systemd/systemd", elf(&["libcore.so"], &["/usr/lib/x86_64-linux-gnu/systemd"])),
            ("lib64/systemd/systemd-executor", elf(&["libcore.so"], &["/usr/lib/x86_64-linux-gnu/systemd"])),
            ("lib64/systemd/libcore.so", elf(&[], &[])),
        ] {
            put(path, NodeKind::file(1, FileInfo::Elf(Box::new(info))));
        }
        put("lib", NodeKind::Symlink("lib64".into()));
        Rootfs { path: "/nowhere".into(), board: Board::Amd64, tree, build_files: Default::default() }
    }

    #[test]
    fn pid1_ignores_ld_library_path() {
        let rootfs = rootfs();
        let (runner, health) = (LoaderRunner::Simulated("a test".into()), LoaderHealth::new(rootfs.loader()));
        let checker = Checker { rootfs: &rootfs, runner: &runner, health: &health };
        let check = |path: &str| checker.check_file(&UsrPath::new(path).unwrap()).unwrap();
        assert_eq!(check("lib64/systemd/systemd-executor").problems, [""; 0]);
        let systemd = check("lib64/systemd/systemd");
        expect!["libcore.so is not found by process 1, which has no LD_LIBRARY_PATH: the file is lib64/systemd/libcore.so, and /usr/lib/x86_64-linux-gnu/systemd (RUNPATH of lib64/systemd/systemd) resolves to its directory through lib64/x86_64-linux-gnu only"].assert_eq(&systemd.problems.join("\n"));
        assert_eq!(systemd.missing_symlinks, [UsrPath::new("lib64/x86_64-linux-gnu").unwrap()]);
    }

    #[test]
    fn boot_that_misses_a_present_library_names_link() {
        let line = "/usr/lib/systemd/systemd: error while loading shared libraries: libcore.so: cannot open shared object \
                    file: No such file or directory";
        let items = crate::smoketest::boot::diagnosis::diagnose(&rootfs(), None, &[line.to_owned()]);
        let item = items.iter().find(|item| item.what == "libcore.so").unwrap();
        let way = item.found_at.as_ref().and_then(|there| there.missing_symlink.as_ref()).unwrap();
        assert_eq!(way.link.as_str(), "lib64/x86_64-linux-gnu");
    }
}
