//! `verify-manifests`: checks the manifests against the pinned release; with `--fix` also fixes them.

use super::manifest_fixes::{
    check_manifests, fill_sizes_and_dependents, plan_fixes, prepare_bump_options, write_unless_dry_run,
};
use crate::cli::{FixArgs, VerifyManifests};
use crate::context::Context;
use crate::images::ImageSet;
use crate::report::Report;
use crate::report::sizes::TreeState;
use coreos_types::Result;

/// Checks every manifest of the tree.
///
/// # Errors
/// An image is not available or not trusted, or a file cannot be written.
pub fn verify_manifests(context: &Context<'_>, flags: &VerifyManifests, report: &mut Report) -> Result<()> {
    report.invocation = context.command_invocation(&["verify-manifests", "--fix"]);
    let images = ImageSet::open_and_prune_cache(context, Some(context.pins.release()))?;
    let check_or_fix = if flags.fix { fix_manifests } else { check_manifests };
    let done = check_or_fix(context, &images, flags.fix_args, report);
    images.store_trees();
    done
}

fn fix_manifests(context: &Context<'_>, images: &ImageSet, args: FixArgs, report: &mut Report) -> Result<()> {
    let options = prepare_bump_options(context, images, args, report)?;
    report.release = Some((options.release.clone(), options.release.clone()));
    let after = plan_fixes(context, images, &options, false, report)?;
    let trees = &images.trees();
    let before = TreeState { sources: &context.sources, trees };
    fill_sizes_and_dependents(before, TreeState { sources: &after, trees }, report);
    write_unless_dry_run(context, false, report)
}
