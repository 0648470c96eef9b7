//! The paths that the stage1 takes from the images of a run, and the packages that own them.

use std::collections::{BTreeMap, BTreeSet};

use crate::images::ImageSet;
use coreos_types::release::Board;
use manifest::file::ManifestFile;
use manifest::plan::stage1_sources::Stage1Sources;
use manifest::selection::{ManifestSet, Selection};
use packages::changes::{PackageChange, TakenPaths, package_changes};
use usr::tree::{NodeKind, UsrTree};

/// The files and links of an image that the manifests of a board take, each with the flavors that take it.
pub(crate) fn taken_paths(sources: &Stage1Sources, board: Board, tree: &UsrTree) -> TakenPaths {
    let files: BTreeMap<&str, ManifestFile> =
        sources.manifests.iter().map(|(path, bytes)| (path.as_str(), ManifestFile::parse(bytes))).collect();
    let files = files.iter().map(|(path, file)| (*path, file)).collect();
    let mut taken = TakenPaths::new();
    for set in ManifestSet::from_board(board, &sources.listings) {
        for path in Selection::new(&set, &files, tree).paths {
            let is_directory = tree.get(path.as_str()).is_none_or(|node| node.kind == NodeKind::Directory);
            if !is_directory {
                taken.entry(path).or_default().insert(set.flavor.clone());
            }
        }
    }
    taken
}

/// Package changes between the images of two releases, of all boards; `None` if one of them has no package list.
///
/// The same change on several boards is one entry, with the paths and flavors of all of them.
pub(crate) fn changes_between(
    (old, before): (&ImageSet<'_>, &Stage1Sources),
    (new, after): (&ImageSet<'_>, &Stage1Sources),
) -> Option<Vec<PackageChange>> {
    let mut merged: BTreeMap<(bool, String, Option<String>, Option<String>), PackageChange> = BTreeMap::new();
    let trees = old.trees();
    for (board, tree) in new.trees() {
        let old_tree = trees.get(&board)?;
        let (old_packages, new_packages) = (old.packages(board)?, new.packages(board)?);
        if old_packages.is_empty() || new_packages.is_empty() {
            return None;
        }
        let old_side = (old_packages, &taken_paths(before, board, old_tree));
        for change in package_changes(old_side, (new_packages, &taken_paths(after, board, tree))) {
            let key = (change.taken.is_empty(), change.name.clone(), change.from.clone(), change.to.clone());
            match merged.entry(key) {
                std::collections::btree_map::Entry::Vacant(entry) => drop(entry.insert(change)),
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    let known = entry.get_mut();
                    let paths: BTreeSet<_> = known.taken.drain(..).chain(change.taken).collect();
                    known.taken = paths.into_iter().collect();
                    known.flavors.extend(change.flavors);
                }
            }
        }
    }
    Some(merged.into_values().collect())
}
