//! Package changes between two releases.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::http::Client;
use crate::images::{ImageSet, ReleaseLocations};
use crate::taken_paths::taken_paths;
use coreos_types::{Board, Release, Result};
use manifest::stage1_sources::Stage1Sources;
use packages::package_changes::{ComparisonSide, PackageChange, TakenPaths, package_changes};
use packages::{Package, PackageSet, parse_packages};

/// Two releases, and the images of them that are open.
pub(crate) struct PackageComparison<'a> {
    /// The context of the run.
    pub(crate) context: &'a Context<'a>,
    /// The old release.
    pub(crate) from: &'a Release,
    /// The images of the old release; `None` if they are not available.
    pub(crate) old: Option<&'a ImageSet>,
    pub(crate) new: &'a ImageSet,
    /// The manifests after.
    pub(crate) after: &'a Stage1Sources,
}

impl PackageComparison<'_> {
    /// The paths that the manifests after take from each new image.
    pub(crate) fn taken_after(&self) -> BTreeMap<Board, TakenPaths> {
        let take = |(board, tree)| (board, taken_paths(self.after, board, tree));
        self.new.trees().into_iter().map(take).collect()
    }

    /// Package changes of all boards; `None` if the packages of a release are not known.
    ///
    /// The same change on several boards is one entry, with the paths and flavors of all of them.
    pub(crate) fn changes(&self, taken_after: &BTreeMap<Board, TakenPaths>) -> Option<Vec<PackageChange>> {
        let mut merged: BTreeMap<_, PackageChange> = BTreeMap::new();
        for (&board, taken_after) in taken_after {
            for change in self.board_changes(board, taken_after)? {
                let PackageChange { name, from, to, taken, .. } = &change;
                let key = (taken.is_empty(), name.clone(), from.clone(), to.clone());
                let known = merged.entry(key).or_insert_with(|| change.clone());
                known.taken.extend(change.taken);
                known.taken.sort();
                known.taken.dedup();
                known.flavors.extend(change.flavors);
            }
        }
        Some(merged.into_values().collect())
    }

    /// Compares the packages of both images, else the signed lists of both releases, else list and image as far as both
    /// have the package.
    fn board_changes(&self, board: Board, taken_after: &TakenPaths) -> Option<Vec<PackageChange>> {
        let none = PackageSet::new();
        let old_tree = self.old.and_then(|old| old.trees().get(&board).copied());
        let old = self.old.and_then(|old| old.packages(board)).unwrap_or(&none);
        let new = self.new.packages(board).unwrap_or(&none);
        let taken_before =
            old_tree.map_or_else(TakenPaths::new, |tree| taken_paths(&self.context.sources, board, tree));
        let in_image = |set: &PackageSet| Some(set.packages().to_vec()).filter(|list| !list.is_empty());
        let (old_image, new_image) = (in_image(old), in_image(new));
        let has_both_images = old_image.is_some() && new_image.is_some();
        let fetch = |release| (!has_both_images).then(|| self.fetch_package_list(board, release)).flatten();
        let (old_list, new_list) = (fetch(self.from), fetch(&self.new.release));
        let is_partial = !has_both_images && (old_list.is_none() || new_list.is_none());
        let (old_list, new_list) = (old_list.or(old_image)?, new_list.or(new_image)?);
        let mut changes = package_changes(
            ComparisonSide { installed: &old_list, owners: old, taken: &taken_before },
            ComparisonSide { installed: &new_list, owners: new, taken: taken_after },
        );
        changes.retain(|change| !is_partial || change.from.is_some() && change.to.is_some());
        Some(changes)
    }

    /// The signed list of a release's packages; `None` for a run from local files, and if the list is not available.
    fn fetch_package_list(&self, board: Board, release: &Release) -> Option<Vec<Package>> {
        let (context, args) = (self.context, &self.context.image_args);
        let is_local = !args.images.is_empty() && context.settings.mirror.is_none();
        if is_local || args.offline {
            return None;
        }
        let read = || -> Result<Option<Vec<Package>>> {
            let locations = ReleaseLocations::new(context)?;
            for dir in locations.candidates(board, release, None)? {
                let url = dir.file_url(locations.vendor.packages_list);
                if let Some((list, _)) = self.new.store.fetch_signed(&url, Client::get_bytes_without_retry)? {
                    return Ok(Some(parse_packages(&String::from_utf8_lossy(&list))));
                }
            }
            Ok(None)
        };
        read().unwrap_or_else(|error| {
            context.term.detail("packages", format!("the list of {release} is not available: {error}"));
            None
        })
    }
}
