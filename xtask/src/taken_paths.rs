//! The paths that the stage1 takes from an image.

use coreos_types::Board;
use manifest::stage1_sources::Stage1Sources;
use packages::package_changes::TakenPaths;
use usr::{NodeKind, UsrTree};

/// The files and links of an image that the manifests of a board take, each with the flavors that take it.
pub(crate) fn taken_paths(sources: &Stage1Sources, board: Board, tree: &UsrTree) -> TakenPaths {
    let mut taken = TakenPaths::new();
    sources.for_each_selection(board, tree, |selection| {
        for path in selection.paths {
            if tree.get(path.as_str()).is_some_and(|node| node.kind != NodeKind::Directory) {
                taken.entry(path).or_default().insert(selection.manifest_set.flavor.clone());
            }
        }
    });
    taken
}
