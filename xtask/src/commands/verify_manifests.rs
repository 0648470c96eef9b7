//! `verify-manifests`: the check alone, against the pinned release; with `--fix`, what `bump-coreos` would fix.

use super::bump_coreos::{fill_sizes, fix_and_apply};
use crate::cli::{ReleaseSpec, VerifyManifests};
use crate::context::Context;
use crate::images::ImageSet;
use crate::report::Report;
use coreos_types::error::Result;
use manifest::plan::bump::{BumpOptions, verify};

/// Checks every manifest of the tree.
///
/// # Errors
/// Whatever stops the work.
pub fn verify_manifests(context: &Context<'_>, flags: &VerifyManifests, report: &mut Report) -> Result<()> {
    report.dry_run = flags.dry_run || flags.check;
    report.check = flags.check;
    report.flavors = context.flavors();
    report.again = context.replay(&["verify-manifests", "--fix"]);
    let pinned = context.pins.release().clone();
    let images = ImageSet::open(context, &flags.image, &ReleaseSpec::Number(pinned.clone()))?;
    report.images = images.origins();
    images.one_channel()?;
    report.channel = images.channel.or(context.pins.channel());
    report.release = Some((pinned.clone(), pinned.clone()));
    let request = BumpOptions {
        release: pinned,
        channel: images.channel,
        brand: flags.image.brand,
        systemd: flags.fix_args.systemd,
        reach: flags.fix_args.to_options(),
    };
    if flags.fix {
        let done = fix_and_apply(context, &images, None, &request, false, report);
        images.keep();
        return done;
    }
    report.systemd = Some((context.pins.systemd(), context.pins.systemd()));
    report.findings = verify(&context.sources, &request, &images.trees())?;
    fill_sizes(context, &context.sources, &images, Some(&images), &[], report);
    images.keep();
    Ok(())
}
