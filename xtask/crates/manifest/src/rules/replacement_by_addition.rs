//! Replacements of missing libraries by the libraries that the fixes of the same manifest added.

use std::collections::{BTreeMap, HashMap};

use super::fix_state::{Fixer, entries_sonames_first};
use crate::editor::ManifestEditor;
use crate::exactly_one;
use crate::finding::FixKind;
use crate::image_index::{ImageIndex, MAX_SAME_NAME};
use crate::known_dlopens::is_loaded_by_name;
use usr::{LibraryName, NameKind, UsrPath, library_name::strip_trailing_version};

/// Renames missing libraries to their replacements among the added files.
///
/// Another added library is not evidence that the missing one is obsolete: only the same name with another version
/// is. Libraries that files load with dlopen(3) need a manual decision: without one, a feature is lost.
pub(super) fn fix_by_additions(fixer: &mut Fixer<'_>) {
    let has_missing_entries = fixer.entries().any(|line| fixer.index.tree.get(line).is_none());
    if fixer.options.by_names_only || !has_missing_entries {
        return;
    }
    for file in &fixer.files {
        let Some(editor) = fixer.editors.get_mut(file) else { continue };
        let mut changes = LibraryChanges::new(editor);
        for path in missing_entries(editor, fixer.index) {
            let Some(name) = LibraryName::from_path(&path) else { continue };
            if fixer.requested_stems.contains(name.stem) || is_loaded_by_name(name.stem) {
                continue;
            }
            if let Some(new) = changes.find_replacement(&name, fixer.index) {
                let reason = format!("{} is needed now, and the image has no {}", new.name(), path.name());
                editor.rename(path.as_str(), new.as_str(), rename_or_move(&path, new.as_str()), &reason);
                changes.record_rename(&name, new);
            } else if name.kind == NameKind::LinkerName
                && let Some(new) = changes.renamed_sonames.get(name.stem)
            {
                let reason =
                    format!("{new} replaces {}, and no symlink without a version points to it", name.stem);
                editor.remove(path.as_str(), FixKind::Drop, &reason);
            }
        }
    }
    fix_like_other_manifests(fixer);
}

/// A library has the same replacement in every manifest of the run.
fn fix_like_other_manifests(fixer: &mut Fixer<'_>) {
    let renames = fixer.editors.values().flat_map(ManifestEditor::fixes);
    let renames = renames.filter(|fix| [FixKind::Rename, FixKind::Move].contains(&fix.kind));
    let answers: BTreeMap<String, (String, String)> = renames
        .filter_map(|fix| Some((fix.from.clone()?, (fix.to.clone()?, fix.reason.clone()))))
        .filter(|(_, (to, _))| fixer.index.tree.get(to).is_some())
        .collect();
    for file in &fixer.files {
        let Some(editor) = fixer.editors.get_mut(file) else { continue };
        for path in missing_entries(editor, fixer.index) {
            if let Some((to, reason)) = answers.get(path.as_str()) {
                editor.rename(path.as_str(), to, rename_or_move(&path, to), reason);
            }
        }
    }
}

fn rename_or_move(old: &UsrPath, new: &str) -> FixKind {
    let is_same_name = new.rsplit('/').next() == Some(old.name());
    if is_same_name { FixKind::Move } else { FixKind::Rename }
}

/// The entries that the image does not have, sonames first.
fn missing_entries(editor: &ManifestEditor, index: &ImageIndex<'_>) -> Vec<UsrPath> {
    let mut missing = entries_sonames_first(editor);
    missing.retain(|path| index.tree.get(path.as_str()).is_none());
    missing
}

/// The libraries that the fixes of one manifest added or renamed.
#[derive(Default)]
struct LibraryChanges {
    /// The added libraries by family.
    additions: HashMap<String, Vec<UsrPath>>,
    /// The new names of renamed sonames by stem.
    renamed_sonames: HashMap<String, String>,
}

impl LibraryChanges {
    fn new(editor: &ManifestEditor) -> LibraryChanges {
        let mut changes = LibraryChanges::default();
        for fix in editor.fixes() {
            let Some(to) = &fix.to else { continue };
            if let Some(from) = &fix.from {
                if let Some(name) = LibraryName::from_path(from) {
                    changes.add_renamed_soname(&name, to);
                }
            } else if let (Some(name), Ok(path)) = (LibraryName::from_path(to), UsrPath::new(to)) {
                let family = strip_trailing_version(name.stem).to_owned();
                changes.additions.entry(family).or_default().push(path);
            }
        }
        changes
    }

    fn add_renamed_soname(&mut self, name: &LibraryName<'_>, to: &str) {
        if name.kind == NameKind::Soname {
            self.renamed_sonames.entry(name.stem.to_owned()).or_insert(to.to_owned());
        }
    }

    fn record_rename(&mut self, name: &LibraryName<'_>, new: UsrPath) {
        self.add_renamed_soname(name, new.as_str());
        if let Some(additions) = self.additions.get_mut(strip_trailing_version(name.stem)) {
            additions.retain(|path| *path != new);
        }
    }

    /// The unique addition of the same stem (else of the stem with a version) and the same kind of name. Without one of
    /// that kind, a single addition whose file name is its soname replaces both the soname and the file.
    fn find_replacement(&self, name: &LibraryName<'_>, index: &ImageIndex<'_>) -> Option<UsrPath> {
        let family = self.additions.get(strip_trailing_version(name.stem))?;
        // Of more, none is certain.
        if family.len() > MAX_SAME_NAME {
            return None;
        }
        let with_stem = |is_one: &dyn Fn(&str) -> bool| -> Vec<&UsrPath> {
            let is_one =
                |path: &&UsrPath| LibraryName::from_path(*path).is_some_and(|name| is_one(name.stem));
            family.iter().filter(is_one).collect()
        };
        let mut candidates = with_stem(&|stem| stem == name.stem);
        if candidates.is_empty() {
            candidates = with_stem(&|stem| is_version_of(stem, name.stem));
        }
        let mut alike = candidates.clone();
        alike.retain(|path| LibraryName::from_path(*path).is_some_and(|other| other.kind == name.kind));
        let is_soname_and_file = |path: &UsrPath| index.soname(path) == Some(path.name());
        let found = match alike.as_slice() {
            [] if name.kind != NameKind::LinkerName => {
                exactly_one(candidates).filter(|path| is_soname_and_file(path))
            }
            _ => exactly_one(alike),
        };
        found.cloned()
    }
}

/// `libpcre2-8` is a version of `libpcre`, `libfuse3` of `libfuse`; `libzstd` is not one of `libz`.
fn is_version_of(stem: &str, old: &str) -> bool {
    let rest = stem.strip_prefix(old).unwrap_or_default();
    rest.contains(|c: char| c.is_ascii_digit())
        && rest.chars().all(|c| c.is_ascii_digit() || "-.".contains(c))
}
