//! Rule: a listed ELF file is for the board's machine, and can be loaded. Without a fix.

use super::lint_state::{Lint, subject_and_verb};
use crate::finding::FindingKind;
use usr::FileInfo;

/// `e_machine` of eBPF objects, which are for every board (`EM_BPF`).
const EM_BPF: u16 = 247;

/// Reports files for another machine, files that are not valid ELF, and files that the loader would stop at.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    let (board, selection) = (lint.selection.manifest_set.board, lint.selection);
    for (path, info) in selection.files() {
        let message = match info {
            FileInfo::Elf(elf)
                if elf.has_dynamic_section && ![board.elf_machine(), EM_BPF].contains(&elf.machine) =>
            {
                let (machine, expected) = (elf.machine, board.elf_machine());
                format!(
                    "{path} is for ELF machine {machine}; {board} is {expected} ({})",
                    board.uname_machine()
                )
            }
            FileInfo::MalformedElf(error) => {
                format!("{path} has an ELF magic and is not a valid ELF file: {error}")
            }
            _ => continue,
        };
        let Some(location) = selection.location(path) else { continue };
        let removal = lint.dependents.suggest_removal([path], None);
        lint.emit(lint.finding(FindingKind::WrongMachine, location, path, message, removal));
    }
    for (path, (needed_by, error)) in &lint.dependencies.unloadable {
        let is_reported =
            matches!(selection.tree.read_file_info(path.as_str()), Some(FileInfo::MalformedElf(_)));
        let Some(location) = selection.location(path).filter(|_| !is_reported) else { continue };
        let message = format!("{} {path}, which cannot be loaded: {error}", subject_and_verb(needed_by));
        let removal = lint.dependents.suggest_removal(needed_by.iter().chain([path]), None);
        let finding = lint.finding(FindingKind::WrongMachine, location, path, message, removal);
        lint.emit(finding.needed_by(needed_by));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_rows;

    #[test]
    fn file_for_another_machine_is_an_error() {
        check_rows(&[
            (
                &["bin/x arm64"],
                "bin/x\n",
                &["error wrong-machine 1 bin/x"],
                "bin/x\n",
                &["error wrong-machine 1 bin/x"],
            ),
            (
                &["bin/x = \x7fELF"],
                "bin/x\n",
                &["error wrong-machine 1 bin/x"],
                "bin/x\n",
                &["error wrong-machine 1 bin/x"],
            ),
        ]);
    }
}
