//! Rule: the dependencies of a listed file are in the image. Without a fix: the suggestion removes the file and its
//! dependents.

use super::lint_state::{Lint, subject_and_verb};
use crate::finding::FindingKind;
use crate::suggestion::Suggestion;
use usr::UsrPath;

/// Most findings of this rule, and most directories that one of them names; real ones have a few.
const MAX_REPORTED: usize = 1000;
const MAX_DIRECTORIES: usize = 16;
/// Most unreachable files of one name that a finding has as candidates.
const MAX_UNREACHABLE: usize = 5;

pub(super) fn check(lint: &mut Lint<'_, '_>) {
    let unresolved = lint.dependencies.unresolved.iter();
    let nowhere = unresolved.filter(|one| one.unlisted(lint.selection).is_empty());
    let nowhere: Vec<_> = nowhere.filter_map(|one| Some((one, one.location(lint.selection)?))).collect();
    for &(unresolved, location) in nowhere.iter().take(MAX_REPORTED) {
        let name = &unresolved.name;
        let needs = subject_and_verb(&unresolved.needed_by);
        let searched = format_searched(&unresolved.searched);
        let unreachable = find_unreachable(lint, name);
        let message = match unreachable.first() {
            Some(file) => {
                format!("{needs} {name}, and the loader does not find {file} (searched: {searched})")
            }
            None => format!("{needs} {name}, which is nowhere in the image (searched: {searched})"),
        };
        let suggestion = lint.dependents.suggest_removal(&unresolved.needed_by, Some(name));
        let finding = lint.finding(FindingKind::NeedsNowhere, location, name, message, suggestion);
        lint.emit(finding.needed_by(&unresolved.needed_by).candidates(unreachable));
    }
    if let Some(&(unresolved, location)) = nowhere.get(MAX_REPORTED) {
        let more = nowhere.len() - MAX_REPORTED;
        let message =
            format!("{more} more names that listed files need are nowhere in the image, this one and others");
        let (kind, suggestion) = (FindingKind::NeedsNowhere, Suggestion::ChangeRelease);
        lint.emit(lint.finding(kind, location, &unresolved.name, message, suggestion));
    }
}

/// The libraries of this name and the board's machine, in directories that the loader does not search.
fn find_unreachable<'a>(lint: &Lint<'_, 'a>, name: &str) -> Vec<&'a UsrPath> {
    let machine = lint.selection.manifest_set.board.elf_machine();
    let is_library = |path: &&UsrPath| {
        let end = lint.index.tree.resolve(path).end;
        let elf = end.node().and_then(|file| lint.index.tree.read_elf_info(file));
        elf.is_some_and(|elf| elf.machine == machine && !elf.is_program())
    };
    lint.index.names.with_name(name).take(MAX_UNREACHABLE).filter(is_library).collect()
}

fn format_searched(directories: &[String]) -> String {
    let shown = &directories[..directories.len().min(MAX_DIRECTORIES)];
    match directories.len() - shown.len() {
        0 if shown.is_empty() => "the whole image".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more directories", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_and_fix, check_rows};
    use super::*;

    #[test]
    fn searched_directories_are_counted_above_16() {
        let directories: Vec<String> = (0..20).map(|at| format!("/{at}")).collect();
        assert_eq!(format_searched(&[]), "the whole image");
        assert_eq!(format_searched(&directories[..2]), "/0, /1");
        assert!(
            format_searched(&directories).ends_with(", /15 and 4 more directories"),
            "{}",
            format_searched(&directories)
        );
    }

    #[test]
    fn dependency_missing_from_image_remains() {
        check_rows(&[(
            &["bin/x libgone.so.1"],
            "bin/x\n",
            &["error needs-nowhere 1 libgone.so.1"],
            "bin/x\n",
            &["error needs-nowhere 1 libgone.so.1"],
        )]);
    }

    #[test]
    fn library_outside_the_search_path_is_named() {
        for (file, is_named) in [
            ("lib/private/liba.so.1", true),
            ("lib/private/liba.so.1 interp=/lib64/ld-linux-x86-64.so.2", true),
            ("lib/private/liba.so.1 arm64", false),
            ("lib/private/liba.so.1/x", false),
        ] {
            let outcome = check_and_fix(&["bin/x liba.so.1", file], "bin/x\n");
            assert_eq!(outcome.remaining, ["error needs-nowhere 1 liba.so.1"]);
            assert_eq!(outcome.message.contains("lib/private/liba.so.1"), is_named, "{}", outcome.message);
        }
    }
}
