//! `diff RELEASE RELEASE`: changes of the paths in the manifests and their dependencies.

use std::path::PathBuf;

use crate::advisories;
use crate::cli::{Diff, ImageArgs};
use crate::context::Context;
use crate::images::ImageSet;
use crate::package_comparison::PackageComparison;
use crate::report::Report;
use crate::report::image_diff::{ImageDiff, compare, render, to_json};
use coreos_types::{Error, Release, Result};

/// Compares the images of two releases. With `--image`, the first half is of the first release.
pub(crate) fn diff(context: &Context<'_>, flags: &Diff, report: &mut Report) -> Result<()> {
    advisories::check_source(context, flags.advisories.as_ref())?;
    let [old_images, new_images] = split_images(&context.image_args.images)?;
    let open = |images: &[PathBuf], release: &Release| {
        let image_args = ImageArgs { images: images.to_vec(), ..context.image_args.clone() };
        ImageSet::open_and_prune_cache(&Context { image_args, ..context.clone() }, Some(release))
    };
    let (old, new) = (open(old_images, &flags.from)?, open(new_images, &flags.to)?);
    report.images = [old.origins(), new.origins()].concat();
    report.release = Some((flags.from.clone(), flags.to.clone()));
    let before = old.trees();
    let both = new.trees().into_iter().filter_map(|(board, tree)| Some((board, *before.get(&board)?, tree)));
    let changes: Vec<ImageDiff> =
        both.map(|(board, before, tree)| compare(board, &context.sources, before, tree)).collect();
    let comparison =
        PackageComparison { context, from: &flags.from, old: Some(&old), new: &new, after: &context.sources };
    advisories::fill_packages_and_advisories(&comparison, flags.advisories.as_ref(), report)?;
    old.check_read_errors()?;
    new.check_read_errors()?;
    old.store_trees();
    new.store_trees();
    report.extra.insert("changes", to_json(&changes));
    report.styled_output = render(&changes);
    Ok(())
}

/// The local images of the first release and of the second.
fn split_images(images: &[PathBuf]) -> Result<[&[PathBuf]; 2]> {
    if images.len() % 2 == 1 {
        let message = "diff compares two releases, and --image was given an odd number of times";
        return Err(Error::failed(message)
            .with_hint("pass the images of the first release first, then those of the second"));
    }
    Ok(images.split_at(images.len() / 2).into())
}
