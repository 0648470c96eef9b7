//! `bump-coreos RELEASE|latest`: from a release number to a mended tree.

use super::context::Context;
use super::images::Images;
use super::preview::preview;
use crate::edge::apply;
use crate::fault::Result;
use crate::flags::BumpCoreos;
use crate::plan::bump::{Request, bump, relocated};
use crate::plan::edit::EditPlan;
use crate::report::Report;

/// Brings the images, plans the bump, and writes it unless asked not to.
///
/// # Errors
/// Whatever stops the work. `report` holds what was known by then, and the tree is as it was.
pub fn bump_coreos(context: &Context<'_>, flags: &BumpCoreos, report: &mut Report) -> Result<()> {
    report.dry_run = flags.dry_run || flags.check;
    report.check = flags.check;
    if flags.preview {
        return preview(context, flags, report);
    }
    let mut images = Images::open(context, &flags.image, &flags.release)?;
    report.images = images.origins();
    warn_of_unchecked(context, &images);
    report.channel = images.channel.or(context.pins.channel());
    let request = Request {
        release: images.release.clone(),
        channel: images.channel,
        brand: flags.image.brand,
        systemd: flags.mend.systemd,
        reach: flags.mend.reach(),
    };
    let done = mend_and_apply(context, &mut images, &request, report);
    images.keep();
    done
}

/// One release is pinned for every board: a board that was left out goes along unseen.
fn warn_of_unchecked(context: &Context<'_>, images: &Images<'_>) {
    let seen = images.trees();
    for board in context.sources.boards().iter().filter(|board| !seen.contains_key(board)) {
        context
            .term
            .warn(format!("{board} moves to {} too, and its manifests were not checked", images.release));
    }
}

/// The road that `bump-coreos` and `verify-manifests --fix` share.
pub(super) fn mend_and_apply(
    context: &Context<'_>,
    images: &mut Images<'_>,
    request: &Request,
    report: &mut Report,
) -> Result<()> {
    let bump = images.settle(|trees| {
        let bump = bump(&context.sources, request, trees)?;
        let unread = bump.unread.clone();
        Ok((bump, unread))
    })?;
    report.release = Some(bump.release);
    report.systemd = Some(bump.systemd);
    report.plan = EditPlan::between(&context.sources, &bump.after);
    report.fixes = bump.fixes;
    report.findings = if report.dry_run { relocated(bump.findings, &context.sources) } else { bump.findings };
    if !report.dry_run {
        apply::apply(&context.tree, &report.plan)?;
    }
    Ok(())
}
