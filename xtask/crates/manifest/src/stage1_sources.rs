//! The files of a tree that a bump can change, read once.

use std::collections::{BTreeMap, BTreeSet};

use crate::accepted_findings::AcceptedFindings;
pub use crate::common_mk::COMMON_MK;
use crate::common_mk::{CommonMk, IncludedFiles};
use crate::file::ManifestFile;
pub use crate::selection::ManifestRef;
use crate::selection::{ManifestSet, Selection};
use coreos_types::{Board, Flavor, Result, Vendors};
use usr::UsrTree;

/// The contents of the files, and the manifests of each board and flavor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage1Sources {
    /// The content of coreos-common.mk.
    pub common_mk: Vec<u8>,
    /// The files that coreos-common.mk includes, by the name in the makefile.
    pub included: IncludedFiles,
    /// The real path of coreos-common.mk relative to the tree: [`COMMON_MK`], or the target of a symlink.
    pub common_mk_path: String,
    /// The content of each manifest by its real path relative to the tree: a symlinked manifest is here once.
    pub manifests: BTreeMap<String, Vec<u8>>,
    /// Every file of every manifest directory, symlinks included.
    pub manifest_refs: Vec<ManifestRef>,
    /// The findings that the tree accepts.
    pub accepted: AcceptedFindings,
    /// Files outside the tree, which are read and never written: the path in the tree, and the symlink that points
    /// outside (the file itself or a directory above it).
    pub outside: BTreeMap<String, String>,
    /// The vendors whose names the URL in coreos-common.mk may have.
    pub vendors: Vendors,
}

impl Stage1Sources {
    /// Parses coreos-common.mk.
    pub fn parse_common_mk(&self) -> Result<CommonMk> {
        CommonMk::parse_with_includes(&self.common_mk, &self.included, &self.vendors)
    }

    /// The boards that have a manifest directory.
    pub fn boards(&self) -> BTreeSet<Board> {
        self.manifest_refs.iter().map(|manifest_ref| manifest_ref.board).collect()
    }

    /// The flavors that have manifests.
    pub fn flavors(&self) -> BTreeSet<&Flavor> {
        self.manifest_refs.iter().map(|manifest_ref| &manifest_ref.flavor).collect()
    }

    /// The manifests by their real paths.
    pub fn parse_manifests(&self) -> BTreeMap<String, ManifestFile> {
        self.manifests.iter().map(|(file, bytes)| (file.clone(), ManifestFile::parse(bytes))).collect()
    }

    /// Calls `visit` with what each flavor of a board selects from an image.
    pub fn for_each_selection(&self, board: Board, tree: &UsrTree, mut visit: impl FnMut(Selection<'_>)) {
        let manifests = self.parse_manifests();
        for flavor in &ManifestSet::group_by_flavor(board, &self.manifest_refs) {
            visit(Selection::read(flavor, |file| manifests.get(file), tree));
        }
    }

    /// Every file by its real path relative to the tree, coreos-common.mk first.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        std::iter::once((self.common_mk_path.as_str(), self.common_mk.as_slice()))
            .chain(self.manifests.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))
    }
}
