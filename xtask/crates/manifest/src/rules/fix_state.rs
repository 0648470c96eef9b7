//! The state of a fix: the manifests of one board while they are edited.

use std::collections::{BTreeMap, BTreeSet};

use crate::accepted_findings::AcceptedFindings;
use crate::editor::ManifestEditor;
use crate::image_index::ImageIndex;
use crate::selection::{ManifestSet, Selection};
use usr::{LibraryName, NameKind, UsrPath};

/// Options of the fixes.
#[derive(Debug, Clone, Copy, Default)]
pub struct FixOptions {
    /// Remove missing paths without a replacement.
    pub drop_missing: bool,
    /// Only the names of the image's files are known, so dependencies are not checked.
    pub by_names_only: bool,
}

/// Most passes that add dependencies of added files; a real chain has three.
pub(super) const MAX_PASSES: usize = 32;

/// The state of the fixes of one board.
pub(super) struct Fixer<'a> {
    /// The flavors of the board.
    pub(super) flavors: &'a [ManifestSet],
    /// The manifests of these flavors that may change, each once.
    pub(super) files: BTreeSet<String>,
    /// The manifests of every board, by real path.
    pub(super) editors: &'a mut BTreeMap<String, ManifestEditor>,
    pub(super) index: &'a ImageIndex<'a>,
    pub(super) options: FixOptions,
    /// The findings that are not fixed.
    pub(super) accepted: &'a AcceptedFindings,
    /// The stems that listed files require after all additions: unresolved dependencies, and the sonames of
    /// `.note.dlopen`.
    pub(super) requested_stems: BTreeSet<String>,
}

impl<'a> Fixer<'a> {
    /// The number of changes so far.
    pub(super) fn revision(&self) -> usize {
        self.editors.values().map(ManifestEditor::revision).sum()
    }

    /// The entries of the board's manifests.
    pub(super) fn entries(&self) -> impl Iterator<Item = &str> {
        let files: BTreeSet<&String> = self.flavors.iter().flat_map(|flavor| &flavor.files).collect();
        let editors = files.into_iter().filter_map(|file| self.editors.get(file));
        editors.flat_map(|editor| editor.edited_file().entries().map(|(_, line)| line))
    }

    pub(super) fn selection<'f>(&'f self, flavor: &'f ManifestSet) -> Selection<'f> {
        Selection::read(
            flavor,
            |file| self.editors.get(file).map(ManifestEditor::edited_file),
            self.index.tree,
        )
    }
}

/// The entries of a manifest that are paths in normal form: sonames before the files that they point to, because a file
/// is found through its soname.
pub(super) fn entries_sonames_first(editor: &ManifestEditor) -> Vec<UsrPath> {
    let rank = |path: &UsrPath| match LibraryName::from_path(path).map(|name| name.kind) {
        Some(NameKind::Soname) => 0,
        Some(NameKind::LinkerName) => 1,
        Some(_) => 2,
        None => 3,
    };
    let paths = editor.edited_file().entries().filter_map(|(_, line)| UsrPath::from_normalized(line));
    let mut paths: Vec<UsrPath> = paths.collect();
    paths.sort_by_cached_key(|path| (rank(path), path.clone()));
    paths
}
