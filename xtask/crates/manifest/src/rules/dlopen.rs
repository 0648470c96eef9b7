//! Rule: libraries that a listed file may load with dlopen(3) should be listed: those of a table, and those of
//! `.note.dlopen` entries below the minimum priority of dependencies. Advice.

use std::collections::HashSet;

use super::lint_state::{Lint, Problem};
use crate::finding::FindingKind;
use crate::known_dlopens;
use crate::suggestion::Suggestion;
use usr::elf::{DlopenNote, DlopenPriority};
use usr::file_info::FileInfo;
use usr::path::UsrPath;

/// Reports the libraries, unless the option excludes all `.note.dlopen` entries.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    if let Some(min_priority) = lint.dlopen {
        check_table(lint);
        check_notes(lint, min_priority);
    }
}

fn check_table(lint: &mut Lint<'_, '_>) {
    let index = lint.index;
    let with_stem = |stem: &str| index.libraries_with_stem(stem).iter().map(|path| (*path).clone()).collect();
    for mut found in known_dlopens::unlisted(lint.selection, with_stem) {
        let Some(location) = lint.location(&found.by) else { continue };
        found.libraries.retain(|library| lint.claim(library, location));
        if let Some(first) = found.libraries.first() {
            let names = found.libraries.iter().map(UsrPath::as_str).collect::<Vec<_>>().join(", ");
            let message = format!("{} may load {names} with dlopen(3): {}", found.by, found.reason);
            let suggestion = Suggestion::add(location.file, &found.libraries);
            let problem = Problem::new(FindingKind::Advice, message, suggestion);
            lint.emit(location, first.as_str(), problem.needed_by([&found.by]).candidates(&found.libraries));
        }
    }
}

fn check_notes(lint: &mut Lint<'_, '_>, min_priority: DlopenPriority) {
    let (selection, index) = (lint.selection, lint.index);
    let selected_names: HashSet<&str> = selection.paths.iter().map(UsrPath::name).collect();
    let is_selected =
        |note: &&DlopenNote| note.sonames.iter().any(|name| selected_names.contains(name.as_str()));
    let in_image = |note: &DlopenNote| {
        note.sonames.iter().find_map(|name| index.get(name).first().map(|path| (*path).clone()))
    };
    for (path, info) in selection.files() {
        let FileInfo::Elf(elf) = info else { continue };
        let Some(location) = lint.location(path) else { continue };
        let notes = elf.dlopen.iter().filter(|note| note.priority > min_priority && !is_selected(note));
        let mut found: Vec<(UsrPath, &DlopenNote)> =
            notes.filter_map(|note| in_image(note).map(|library| (library, note))).collect();
        found.retain(|(library, _)| lint.claim(library, location));
        let Some((first, _)) = found.first() else { continue };
        let entry = |(library, note): &(UsrPath, &DlopenNote)| {
            format!("{library} for {} ({})", note.feature, note.priority.id())
        };
        let entries: Vec<String> = found.iter().map(entry).collect();
        let message = format!("{path} may load with dlopen(3) {}", entries.join(", "));
        let libraries: Vec<&UsrPath> = found.iter().map(|(library, _)| library).collect();
        let suggestion = Suggestion::add(location.file, &libraries);
        let problem = Problem::new(FindingKind::Advice, message, suggestion);
        lint.emit(location, first.as_str(), problem.needed_by([path]).candidates(libraries.iter().copied()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_case::check_rows;

    #[test]
    fn noted_library_in_the_image_is_advice() {
        check_rows(&[
            (
                &["bin/x ?libk.so.2", "lib64/libk.so.2"],
                "bin/x\n",
                &["advice advice 1 lib64/libk.so.2"],
                "bin/x\n",
                &["advice advice 1 lib64/libk.so.2"],
            ),
            (
                &["bin/x ?libk.so.2", "lib64/libk.so.2"],
                "bin/x\nlib64/libk.so.2\n",
                &[],
                "bin/x\nlib64/libk.so.2\n",
                &[],
            ),
            (&["bin/x ?libk.so.2"], "bin/x\n", &[], "bin/x\n", &[]),
        ]);
    }
}
