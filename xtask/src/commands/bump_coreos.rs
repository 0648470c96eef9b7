//! `bump-coreos RELEASE|latest`: moves the tree to another release and fixes its manifests.

use super::bump_preview::preview;
use super::downgrade;
use super::manifest_fixes::{
    check_manifests, fill_sizes_and_dependents, plan_fixes, prepare_bump_options, write_unless_dry_run,
};
use crate::advisories::{self, fill_packages_and_advisories};
use crate::cli::{BumpCoreos, ReleaseSpec};
use crate::context::Context;
use crate::git;
use crate::images::{ImageSet, fetch_latest_release, open_store};
use crate::package_comparison::PackageComparison;
use crate::report::Report;
use crate::report::sizes::TreeState;
use coreos_types::Result;
use manifest::plan::bump::ImageTrees;

/// Opens the images, plans the bump, and writes it unless `--dry-run` or `--check` is set.
///
/// # Errors
/// Every error of download, verification and writing. `report` has the results up to the error; the tree is unchanged.
pub fn bump_coreos(context: &Context<'_>, flags: &BumpCoreos, report: &mut Report) -> Result<()> {
    advisories::check_source(context, flags.advisories.as_ref())?;
    if flags.preview {
        return preview(context, flags, report);
    }
    if flags.commit {
        // Checked before the download.
        git::check_repository(context.tree.root())?;
    }
    let is_latest = flags.release == ReleaseSpec::Latest;
    let mut release = flags.release.number().cloned();
    if let Some(release) = &release {
        // A release that cannot be pinned is refused before the download.
        context.pins.clone().set_release(release)?;
    } else if context.image_args.images.is_empty() {
        let latest = fetch_latest_release(context, &open_store(context)?)?;
        downgrade::check(context, flags, &latest, report)?;
        release = Some(latest);
    }
    let images = ImageSet::open_and_prune_cache(context, release.as_ref())?;
    if !is_latest || release.is_none() {
        downgrade::check(context, flags, &images.release, report)?;
    }
    let done = if is_latest && is_already_pinned(context, &images) {
        context.term.stage("current", format!("nothing is newer than {}", images.release));
        report.invocation = context.command_invocation(&["verify-manifests", "--fix"]);
        check_manifests(context, &images, flags.fix_args, report)
    } else {
        fix_and_write(context, flags, &images, report)
    };
    images.store_trees();
    done
}

/// Whether the tree pins the release, on the channel and of the vendor that were requested.
fn is_already_pinned(context: &Context<'_>, images: &ImageSet) -> bool {
    let is_same_channel = images.channel.is_none() || images.channel == context.pins.channel();
    let requested = context.requested_vendor();
    let is_same_vendor = requested.is_none() || requested == context.pins.vendor();
    images.release == *context.pins.release() && is_same_channel && is_same_vendor
}

/// Moves the tree to the release of the images.
fn fix_and_write(
    context: &Context<'_>,
    flags: &BumpCoreos,
    images: &ImageSet,
    report: &mut Report,
) -> Result<()> {
    report.invocation = context.bump_invocation(&images.release);
    let options = prepare_bump_options(context, images, flags.fix_args, report)?;
    warn_unchecked_boards(context, images);
    let old = open_old(context, flags, images, report);
    let after = plan_fixes(context, images, &options, flags.commit, report)?;
    let from = context.pins.release();
    let comparison = PackageComparison { context, from, old: old.as_ref(), new: images, after: &after };
    fill_packages_and_advisories(&comparison, flags.advisories.as_ref(), report)?;
    let before = match (&old, &report.no_sizes_before) {
        (Some(old), _) => old.trees(),
        (None, Some(_)) => ImageTrees::new(),
        // The release stays the same.
        (None, None) => images.trees(),
    };
    let before = TreeState { sources: &context.sources, trees: &before };
    fill_sizes_and_dependents(before, TreeState { sources: &after, trees: &images.trees() }, report);
    write_unless_dry_run(context, flags.commit, report)
}

/// Warns of boards without an image: one release is pinned for all boards.
fn warn_unchecked_boards(context: &Context<'_>, images: &ImageSet) {
    let (checked, release) = (images.boards(), &images.release);
    for board in context.sources.boards().iter().filter(|board| !checked.contains(board)) {
        context.term.warn(format!("{board} moves to {release} too, but its manifests were not checked"));
    }
}

/// The images of the pinned release, to compare with; `None` if the release stays the same, or they are not available:
/// the report then has the reason why it has no sizes of them.
fn open_old(
    context: &Context<'_>,
    flags: &BumpCoreos,
    images: &ImageSet,
    report: &mut Report,
) -> Option<ImageSet> {
    let pinned = context.pins.release();
    if *pinned == images.release {
        return None;
    }
    let opened = ImageSet::open_pinned_before_bump(context, flags.compare_sizes);
    report.no_sizes_before = opened.as_ref().err().map(|error| match flags.compare_sizes {
        true => format!("the image of {pinned} is not available: {error}"),
        false => format!("the image of {pinned} is not in the cache; --compare-sizes downloads it"),
    });
    opened.ok()
}
