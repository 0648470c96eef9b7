//! `verify-manifests`: checks the manifests against the pinned release; with `--fix` also fixes them.

use super::bump_coreos::{begin_check, check_only, fix_and_apply};
use crate::cli::{FixArgs, ImageArgs, ReleaseSpec, VerifyManifests};
use crate::context::Context;
use crate::images::ImageSet;
use crate::report::Report;
use coreos_types::error::Result;

/// Checks every manifest of the tree.
///
/// # Errors
/// An image is not available or not trusted, or a file cannot be written.
pub fn verify_manifests(context: &Context<'_>, flags: &VerifyManifests, report: &mut Report) -> Result<()> {
    report.dry_run = flags.dry_run || flags.check;
    report.check = flags.check;
    report.flavors = context.flavors();
    report.invocation = context.command_invocation(&["verify-manifests", "--fix"]);
    let pinned = ReleaseSpec::Number(context.pins.release().clone());
    let images = ImageSet::open(context, &flags.image, &pinned)?;
    if flags.fix {
        let vendor = context.requested_vendor(&flags.image);
        let request = begin_check(context, &images, flags.fix_args, vendor, report)?;
        let done = fix_and_apply(context, &images, None, &request, false, &|_, _| Ok(()), report);
        images.store_trees();
        return done;
    }
    check_images(context, &images, flags.fix_args, &flags.image, report)?;
    images.store_trees();
    Ok(())
}

/// Checks every manifest against images that are open.
///
/// # Errors
/// A file of an image cannot be read.
pub(crate) fn check_images(
    context: &Context<'_>,
    images: &ImageSet<'_>,
    fix_args: FixArgs,
    image_args: &ImageArgs,
    report: &mut Report,
) -> Result<()> {
    let request = begin_check(context, images, fix_args, context.requested_vendor(image_args), report)?;
    check_only(context, images, &request, report)
}
