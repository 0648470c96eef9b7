//! Lines of libraries that vanished without a successor of their own, and lines that nobody wants to keep.

use std::collections::BTreeMap;

use super::{Mend, listed, rank};
use crate::check::listed_paths;
use crate::editor::ManifestEditor;
use crate::finding::{Finding, FindingKind, Fix, FixKind};
use crate::image_index::ImageIndex;
use crate::known_dlopens::is_loaded_by_name;
use crate::library_name::{LibraryName, NameKind};
use crate::replacement::{Outcome, Replacement, ReplacementContext, find_replacement};
use usr::file_info::FileInfo;
use usr::path::UsrPath;

impl Mend<'_> {
    /// Gives vanished libraries the name of what was added in their place.
    ///
    /// That something else was added does not tell that a library is no longer wanted: only a name that speaks of the
    /// old one does. What files load by name stays for a person: its loss is the loss of a feature.
    pub(super) fn replaced(&mut self) {
        self.replaced_by_additions();
        self.replaced_elsewhere();
    }

    /// One library has one answer: what another manifest of the run calls it now is its name here too.
    fn replaced_elsewhere(&mut self) {
        let renames =
            self.drafts.values().flat_map(ManifestEditor::fixes).filter(|fix| fix.kind == FixKind::Rename);
        let answers: BTreeMap<String, (String, String)> = renames
            .filter_map(|fix| Some((fix.from.clone()?, (fix.to.clone()?, fix.because.clone()))))
            .filter(|(_, (to, _))| self.index.tree.get(to).is_some())
            .collect();
        for file in &self.files {
            let Some(draft) = self.drafts.get_mut(file) else { continue };
            for path in vanished(draft, self.index) {
                if let Some((to, because)) = answers.get(path.as_str()) {
                    draft.rename(path.as_str(), to, FixKind::Rename, because);
                }
            }
        }
    }

    fn replaced_by_additions(&mut self) {
        for file in &self.files {
            let Some(draft) = self.drafts.get_mut(file) else { continue };
            for path in vanished(draft, self.index) {
                let Some(name) = LibraryName::parse(path.name()) else { continue };
                if self.asked.contains(name.stem) || is_loaded_by_name(name.stem) {
                    continue;
                }
                if let Some(heir) = heir_among_additions(&path, draft, self.index) {
                    let because =
                        format!("{} is needed now, and the image has no {}", heir.name(), path.name());
                    draft.rename(path.as_str(), heir.as_str(), FixKind::Rename, &because);
                } else if name.kind == NameKind::LinkerName
                    && let Some(heir) = heir_of_stem(name.stem, draft)
                {
                    let because = format!(
                        "{heir} took the place of {}, and no link that names no version leads to it",
                        name.stem
                    );
                    draft.drop_line(path.as_str(), FixKind::Drop, &because);
                }
            }
        }
    }

    /// `--drop-missing`.
    pub(super) fn drop_vanished(&mut self) {
        let on_board = self.listed_on_board();
        let moved_directories = self.moved_directories();
        for file in &self.files {
            let Some(draft) = self.drafts.get_mut(file) else { continue };
            let listed = listed_paths(draft.text().entries().map(|(_, line)| line), self.index);
            let around = ReplacementContext {
                index: self.index,
                listed: &listed,
                listed_on_board: &on_board,
                moved_directories: &moved_directories,
                unresolved_sonames: &self.asked,
            };
            let is_gone = |line: &str| match UsrPath::new(line) {
                Ok(path) => {
                    matches!(
                        find_replacement(&path, &around),
                        Some(Replacement { outcome: Outcome::NotFound(_), .. })
                    )
                }
                Err(_) => true,
            };
            let entries = draft.text().entries().filter(|(_, line)| is_gone(line));
            let gone: Vec<String> = entries.map(|(_, line)| line.to_owned()).collect();
            for line in gone {
                draft.drop_line(&line, FixKind::Drop, "it is not in the image, and --drop-missing was given");
            }
        }
    }
}

/// The entries of a draft that the image does not have, sonames first.
fn vanished(draft: &ManifestEditor, index: &ImageIndex<'_>) -> Vec<UsrPath> {
    let mut gone = listed(draft);
    gone.retain(|path| index.tree.get(path.as_str()).is_none());
    gone.sort_by_cached_key(|path| (rank(path), path.clone()));
    gone
}

/// Adds candidates to each missing library without one: libraries of the same family and kind of name that were added
/// to the same manifest.
pub fn offer_additions(findings: &mut [Finding], fixes: &[Fix]) {
    for finding in findings.iter_mut().filter(|finding| finding.kind == FindingKind::NotFound) {
        let Some(name) = finding.path.rsplit('/').next().and_then(LibraryName::parse) else { continue };
        let added = fixes.iter().filter(|fix| fix.kind == FixKind::Add && fix.file == finding.file);
        let alike = added.filter_map(|fix| fix.to.as_deref()).filter(|line| {
            line.rsplit('/').next().and_then(LibraryName::parse).is_some_and(|new| {
                new.kind.same_kind(name.kind) && LibraryName::is_same_family(new.stem, name.stem)
            })
        });
        if finding.candidates.is_empty() {
            finding.candidates.extend(alike.map(str::to_owned));
        }
    }
}

fn additions_of(draft: &ManifestEditor) -> impl Iterator<Item = UsrPath> + '_ {
    let added = draft.fixes().iter().filter(|fix| fix.kind == FixKind::Add);
    added.filter_map(|fix| UsrPath::new(fix.to.as_deref()?).ok())
}

/// The addition that takes a vanished line's place: of the same stem, or else of that stem with a version. It is the
/// only one of the same shape, or the only one at all, if that is soname and file in one: the file behind a soname does
/// not stand in for it, nor the soname for the file.
fn heir_among_additions(path: &UsrPath, draft: &ManifestEditor, index: &ImageIndex<'_>) -> Option<UsrPath> {
    let name = LibraryName::parse(path.name())?;
    let with_stem = |is_heir: &dyn Fn(&str) -> bool| -> Vec<UsrPath> {
        additions_of(draft)
            .filter(|added| LibraryName::parse(added.name()).is_some_and(|other| is_heir(other.stem)))
            .collect()
    };
    let mut heirs = with_stem(&|stem| stem == name.stem);
    if heirs.is_empty() {
        heirs = with_stem(&|stem| is_version_of(stem, name.stem));
    }
    let is_alike = |heir: &&UsrPath| {
        LibraryName::parse(heir.name()).is_some_and(|other| other.kind.same_kind(name.kind))
    };
    let alike: Vec<&UsrPath> = heirs.iter().filter(is_alike).collect();
    match (alike.as_slice(), heirs.as_slice()) {
        ([only], _) => Some((*only).clone()),
        ([], [only]) if name.kind != NameKind::LinkerName && is_its_own_soname(only, index) => {
            Some(only.clone())
        }
        _ => None,
    }
}

fn is_its_own_soname(path: &UsrPath, index: &ImageIndex<'_>) -> bool {
    matches!(index.tree.file_info(path.as_str()), Some(FileInfo::Elf(elf)) if elf.soname.as_deref() == Some(path.name()))
}

/// What the soname of this stem became, where this mending found that out.
fn heir_of_stem(stem: &str, draft: &ManifestEditor) -> Option<UsrPath> {
    let is_soname = |line: &str| {
        let name = line.rsplit('/').next().and_then(LibraryName::parse);
        name.is_some_and(|name| name.stem == stem && matches!(name.kind, NameKind::Soname(_)))
    };
    let renamed = draft.fixes().iter().find(|fix| fix.from.as_deref().is_some_and(is_soname))?;
    UsrPath::new(renamed.to.as_deref()?).ok()
}

/// `libpcre2-8` is a `libpcre`, `libfuse3` a `libfuse`; `libzstd` is no `libz`.
fn is_version_of(stem: &str, of: &str) -> bool {
    let rest = stem.strip_prefix(of).unwrap_or_default();
    rest.contains(|c: char| c.is_ascii_digit())
        && rest.chars().all(|c| c.is_ascii_digit() || "-.".contains(c))
}
