//! `diff RELEASE RELEASE`: what changed, for the paths that the manifests and their closure name.

use std::collections::BTreeMap;

use crate::cli::{Diff, ImageArgs, ReleaseSpec};
use crate::context::Context;
use crate::images::ImageSet;
use crate::report::Report;
use crate::report::image_diff::{ImageDiff, compare, document, render};
use coreos_types::error::{Error, Result};
use coreos_types::release::Release;
use manifest::plan::bump::Unread;

/// Compares the images of two releases. With `--image`, the first half are of the first release.
///
/// # Errors
/// Whatever keeps the images away.
pub fn diff(context: &Context<'_>, flags: &Diff, report: &mut Report) -> Result<()> {
    let (of_old, of_new) = halves(&flags.image)?;
    let open = |release: &Release, flags: &ImageArgs| {
        ImageSet::open(context, flags, &ReleaseSpec::Number(release.clone()))
    };
    let (mut old, mut new) = (open(&flags.from, &of_old)?, open(&flags.to, &of_new)?);
    report.images = [old.origins(), new.origins()].concat();
    report.release = Some((flags.from.clone(), flags.to.clone()));
    let changes = settled(context, &mut old, &mut new)?;
    old.keep();
    new.keep();
    report.extra.insert("changes", document(&changes));
    report.drawing = render(&changes);
    Ok(())
}

/// Each side is read as far as the comparison asks; what one side needs may show more on the other.
fn settled(context: &Context<'_>, old: &mut ImageSet, new: &mut ImageSet) -> Result<Vec<ImageDiff>> {
    loop {
        let mut lacking = Unread::new();
        let changes = new.settle(|trees| {
            let before = old.trees();
            let (mut found, mut unread) = (Vec::new(), BTreeMap::new());
            lacking = Unread::new();
            for (&board, &tree) in trees {
                let Some(before) = before.get(&board) else { continue };
                let (change, [in_old, in_new]) = compare(board, &context.sources, before, tree);
                found.push(change);
                if !in_old.is_empty() {
                    lacking.insert(board, in_old);
                }
                if !in_new.is_empty() {
                    unread.insert(board, in_new);
                }
            }
            Ok((found, unread))
        })?;
        if lacking.is_empty() {
            return Ok(changes);
        }
        let mut asked = Some(lacking);
        old.settle(|_| Ok(((), asked.take().unwrap_or_default())))?;
    }
}

fn halves(flags: &ImageArgs) -> Result<(ImageArgs, ImageArgs)> {
    if flags.images.is_empty() {
        return Ok((flags.clone(), flags.clone()));
    }
    if flags.images.len() % 2 == 1 {
        return Err(Error::failed(
            "diff compares two releases, and --image was given an odd number of times",
        )
        .with_hint("give the images of the first release first, then those of the second"));
    }
    let (old, new) = flags.images.split_at(flags.images.len() / 2);
    let with = |images: &[std::path::PathBuf]| ImageArgs { images: images.to_vec(), ..flags.clone() };
    Ok((with(old), with(new)))
}
