//! Rule: libraries that a listed file may load with dlopen(3) should be listed: those of a table, and those of
//! `.note.dlopen` entries below the minimum priority of dependencies. Advice.

use std::collections::HashSet;

use super::lint_state::{Lint, join};
use crate::known_dlopens;
use usr::{DlopenPriority, UsrPath, elf::DlopenNote};

/// Reports the libraries, unless the option excludes all `.note.dlopen` entries.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    if let Some(min_priority) = lint.index.min_dlopen_priority {
        check_table(lint);
        check_notes_below(lint, min_priority);
    }
}

fn check_table(lint: &mut Lint<'_, '_>) {
    for (by, mut libraries, reason) in known_dlopens::find_unlisted(lint.selection, lint.index) {
        let Some(location) = lint.selection.location(by) else { continue };
        libraries.retain(|library| lint.claim(library, location));
        if let Some(first) = libraries.first() {
            let names = join(&libraries, ", ");
            let message = format!("{by} may load {names} with dlopen(3): {reason}");
            lint.advise_adding(location, first, by, &libraries, message);
        }
    }
}

fn check_notes_below(lint: &mut Lint<'_, '_>, min_priority: DlopenPriority) {
    let (selection, index) = (lint.selection, lint.index);
    let selected_names: HashSet<&str> = selection.paths.iter().map(UsrPath::name).collect();
    let is_selected =
        |note: &DlopenNote| note.sonames.iter().any(|name| selected_names.contains(name.as_str()));
    for (path, elf) in selection.elf_files() {
        let Some(location) = selection.location(path) else { continue };
        let notes = elf.dlopen_notes.iter().filter(|note| note.priority > min_priority && !is_selected(note));
        let (mut libraries, mut entries) = (Vec::new(), Vec::new());
        for note in notes {
            let library = note.sonames.iter().find_map(|name| index.names.with_name(name).next());
            if let Some(library) = library.filter(|library| lint.claim(library, location)) {
                libraries.push(library);
                entries.push(format!("{library} for {} ({})", note.feature, note.priority.id()));
            }
        }
        if let Some(first) = libraries.first() {
            let message = format!("{path} may load with dlopen(3) {}", entries.join(", "));
            lint.advise_adding(location, first, path, &libraries, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_rows;

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
