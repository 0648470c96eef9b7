//! What no ELF header tells: programs of units, interpreters of scripts, libraries that are loaded by name.

use super::Checker;
use super::describe::Telling;
use crate::dependencies::other_copies;
use crate::exec_references;
use crate::finding::FindingKind;
use crate::known_dlopens;
use crate::known_execs;
use crate::selection::Location;
use usr::elf::{DlopenNote, DlopenPriority};
use usr::file_info::FileInfo;
use usr::path::UsrPath;

impl<'a> Checker<'a, '_> {
    /// Programs of units and interpreters of scripts.
    pub(super) fn units(&mut self) {
        for absent in exec_references::programs(self.stage) {
            let Some(by) = self.stage.home(&absent.by) else { continue };
            let (home, telling) = if absent.in_image {
                let home = self.beside_its_like(&absent.program, by);
                (home, Telling::unit(&absent, home.file))
            } else {
                let nothing = |_: &_| false;
                (by, Telling::unit_without_program(&absent, self.giving_up([&absent.by], nothing)))
            };
            let kind = if absent.in_image { FindingKind::NeedsUnlisted } else { FindingKind::NeedsNowhere };
            let kind = if absent.optional { FindingKind::Advice } else { kind };
            self.tell(kind, home, absent.program.as_str(), telling);
        }
        for absent in exec_references::interpreters(self.stage) {
            let Some(home) = self.stage.home(&absent.by) else { continue };
            let telling = Telling::script(&absent, home.file);
            self.tell(FindingKind::Advice, home, absent.program.as_str(), telling);
        }
        if let Some((there, lacking)) = exec_references::journald_halves(self.stage)
            && let Some(by) = self.stage.home(&there)
        {
            let home = self.beside_its_like(&lacking, by);
            let telling = Telling::journald(&there, &lacking, home.file);
            self.tell(FindingKind::NeedsUnlisted, home, lacking.as_str(), telling);
        }
    }

    /// Where a file belongs that is needed by another of its own kind or not: to the manifest that lists most of its
    /// directory, else to that of what needs it. The line is that of the neighbour.
    fn beside_its_like(&self, path: &UsrPath, needed_by: Location<'a>) -> Location<'a> {
        self.stage.neighbour(path, needed_by.file).unwrap_or(needed_by)
    }

    /// Programs that a selected program starts on request.
    pub(super) fn started_on_request(&mut self) {
        for exec in known_execs::missing(self.stage).into_iter().filter(|exec| !exec.row.is_certain) {
            let (Some(home), Some(program)) = (self.stage.home(&exec.by), exec.chain.last()) else {
                continue;
            };
            let telling = Telling::started_on_request(&exec, home.file);
            self.tell(FindingKind::Advice, home, program.as_str(), telling);
        }
    }

    /// Libraries of which the manifests list another copy than the image's loader takes.
    pub(super) fn other_copies(&mut self) {
        let has_copies = |path: &UsrPath| self.index.get(path.name()).len() > 1;
        for copy in other_copies(self.stage, has_copies) {
            let Some(home) = self.stage.home(&copy.selected) else { continue };
            let path = copy.chain.last().unwrap_or(&copy.selected).clone();
            self.tell(FindingKind::Advice, home, path.as_str(), Telling::other_copy(&copy, home.file));
        }
    }

    pub(super) fn loaded_by_name(&mut self, level: DlopenPriority) {
        let of_stem = |stem: &str| self.index.libraries_with_stem(stem).into_iter().cloned().collect();
        for mut found in known_dlopens::advice(self.stage, of_stem) {
            let Some(home) = self.stage.home(&found.by) else { continue };
            found.libraries.retain(|library| self.offers(library, home));
            if let Some(first) = found.libraries.first() {
                self.tell(FindingKind::Advice, home, first.as_str(), Telling::by_name(&found, home.file));
            }
        }
        for (path, facts) in self.stage.files() {
            let FileInfo::Elf(elf) = facts else { continue };
            let Some(home) = self.stage.home(path) else { continue };
            let held = |note: &&DlopenNote| {
                note.sonames
                    .iter()
                    .any(|name| self.stage.present.iter().any(|present| present.name() == name))
            };
            let in_image = |note: &DlopenNote| {
                note.sonames.iter().find_map(|name| self.index.get(name).first().map(|path| (*path).clone()))
            };
            let notes: Vec<(UsrPath, &DlopenNote)> = elf
                .dlopen
                .iter()
                .filter(|note| note.priority > level && !held(note))
                .filter_map(|note| in_image(note).map(|library| (library, note)))
                .filter(|(library, _)| self.offers(library, home))
                .collect();
            if let Some((first, _)) = notes.first() {
                self.tell(FindingKind::Advice, home, first.as_str(), Telling::notes(path, &notes, home.file));
            }
        }
    }

    /// Offers a library to one manifest of a flavor, unless it was offered to another one: a line there serves it all. What
    /// a file needs by `DT_NEEDED` too is told as a need.
    fn offers(&mut self, library: &UsrPath, home: Location<'_>) -> bool {
        if self.needs.unmet.iter().any(|unmet| unmet.chain.contains(library)) {
            return false;
        }
        let elsewhere = self.told.serves(library.as_str(), self.stage.of, |file| file != home.file);
        if !elsewhere {
            self.told.names(library.as_str(), home.file);
        }
        !elsewhere
    }
}
