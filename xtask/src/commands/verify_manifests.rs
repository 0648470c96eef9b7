//! `verify-manifests`: checks the manifests against the pinned release; with `--fix` also fixes them.

use super::bump_coreos::{begin_check, check_only, fix_and_apply};
use crate::cli::{ReleaseSpec, VerifyManifests};
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
    report.invocation = context.replay(&["verify-manifests", "--fix"]);
    let pinned = ReleaseSpec::Number(context.pins.release().clone());
    let images = ImageSet::open(context, &flags.image, &pinned)?;
    let request =
        begin_check(context, &images, flags.fix_args, context.requested_vendor(&flags.image), report)?;
    if flags.fix {
        let done = fix_and_apply(context, &images, None, &request, false, &|_, _| Ok(()), report);
        images.store_trees();
        return done;
    }
    check_only(context, &images, &request, report)?;
    images.store_trees();
    Ok(())
}
