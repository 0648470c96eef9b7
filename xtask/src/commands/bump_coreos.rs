//! `bump-coreos RELEASE|latest`: moves the tree to another release and fixes its manifests.

use std::cell::OnceCell;

use super::downgrade;
use super::preview::preview;
use super::set_aside_accepted::set_aside_accepted;
use crate::advisories;
use crate::cli::{BumpCoreos, FixArgs, ReleaseSpec};
use crate::context::Context;
use crate::git;
use crate::images::{ImageSet, latest_release};
use crate::repo::transaction;
use crate::report::commit::message;
use crate::report::sizes::{self, TreeState};
use crate::report::{Report, dependency_graph};
use crate::taken_paths::PackageComparison;
use coreos_types::error::Result;
use coreos_types::vendor::Vendor;
use manifest::finding::Fix;
use manifest::plan::bump::{BumpOptions, ImageTrees, bump};
use manifest::plan::edit_plan::EditPlan;
use manifest::plan::stage1_sources::Stage1Sources;
use manifest::plan::verify::verify;
use manifest::suggestion::Suggestion;

/// Opens the images, plans the bump, and writes it unless `--dry-run` or `--check` is set.
///
/// # Errors
/// Every error of download, verification and writing. `report` has the results up to the error; the tree is unchanged.
pub fn bump_coreos(context: &Context<'_>, flags: &BumpCoreos, report: &mut Report) -> Result<()> {
    report.dry_run = flags.dry_run || flags.check;
    report.check = flags.check;
    report.flavors = context.flavors();
    advisories::check(context, &flags.image, flags.advisories.as_ref())?;
    if flags.preview {
        return preview(context, flags, report);
    }
    if flags.commit {
        // Checked before the download.
        git::check_repository(context.tree.root())?;
    }
    let mut spec = flags.release.clone();
    match &spec {
        // A release that cannot be pinned is refused before the download.
        ReleaseSpec::Number(release) => context.pins.clone().set_release(release)?,
        ReleaseSpec::Latest if flags.image.images.is_empty() => {
            let release = latest_release(context, &flags.image)?;
            downgrade::check(context, flags, &release, report)?;
            spec = ReleaseSpec::Number(release);
        }
        ReleaseSpec::Latest => {}
    }
    let images = ImageSet::open(context, &flags.image, &spec)?;
    if flags.release != ReleaseSpec::Latest || !flags.image.images.is_empty() {
        downgrade::check(context, flags, &images.release, report)?;
    }
    if flags.release == ReleaseSpec::Latest && is_unchanged(context, flags, &images) {
        context.term.stage("current", format!("nothing is newer than {}", images.release));
        return check(context, images, flags.fix_args, context.requested_vendor(&flags.image), report);
    }
    report.invocation = context.bump_invocation(&images.release);
    report.images = images.origins();
    images.ensure_one_channel()?;
    warn_unchecked_boards(context, &images);
    report.channel = images.channel.or(context.pins.channel());
    let request = BumpOptions {
        release: images.release.clone(),
        channel: images.channel,
        vendor: context.requested_vendor(&flags.image),
        systemd: flags.fix_args.systemd,
        reach: flags.fix_args.to_options(),
    };
    let old = open_old(context, flags, &images, report);
    let compare = |after: &Stage1Sources, report: &mut Report| {
        compare_packages(context, flags, (old.as_ref(), &images), after, report)
    };
    let done = fix_and_apply(context, &images, old.as_ref(), &request, flags.commit, &compare, report);
    images.store_trees();
    done
}

/// The images of the pinned release, to compare with. If they are not available, the report has the reason why it has
/// no sizes of them.
fn open_old<'t>(
    context: &Context<'t>,
    flags: &BumpCoreos,
    images: &ImageSet<'_>,
    report: &mut Report,
) -> Option<ImageSet<'t>> {
    let pinned = context.pins.release();
    match ImageSet::open_pinned_before(context, &flags.image, &images.release, flags.compare_sizes) {
        Ok(old) => return old,
        Err(error) if flags.compare_sizes => {
            report.no_sizes_before = Some(format!("the image of {pinned} is not available: {error}"));
        }
        Err(_) => {
            report.no_sizes_before =
                Some(format!("the image of {pinned} is not in the cache; --compare-sizes downloads it"));
        }
    }
    None
}

/// Adds the package changes between the old and the new images, and the security fixes, to the report.
fn compare_packages(
    context: &Context<'_>,
    flags: &BumpCoreos,
    (old, new): (Option<&ImageSet<'_>>, &ImageSet<'_>),
    after: &Stage1Sources,
    report: &mut Report,
) -> Result<()> {
    let comparison = PackageComparison {
        context,
        args: &flags.image,
        from: context.pins.release(),
        old,
        before: &context.sources,
        new,
        after,
        taken_after: OnceCell::new(),
    };
    report.packages = comparison.changes();
    report.advisories = advisories::find(&comparison, flags.advisories.as_ref())?;
    Ok(())
}

/// Whether the tree pins the release, on the channel and of the vendor that were requested.
fn is_unchanged(context: &Context<'_>, flags: &BumpCoreos, images: &ImageSet<'_>) -> bool {
    let is_same_channel = images.channel.is_none() || images.channel == context.pins.channel();
    let requested = context.requested_vendor(&flags.image);
    let is_same_vendor = requested.is_none() || requested == context.pins.vendor();
    images.release == *context.pins.release() && is_same_channel && is_same_vendor
}

/// Checks the manifests against open images of the pinned release, and writes nothing.
///
/// # Errors
/// An image cannot be read, or the images are on several channels.
fn check(
    context: &Context<'_>,
    images: ImageSet<'_>,
    fix_args: FixArgs,
    vendor: Option<&'static Vendor>,
    report: &mut Report,
) -> Result<()> {
    let request = begin_check(context, &images, fix_args, vendor, report)?;
    check_only(context, &images, &request, report)?;
    images.store_trees();
    Ok(())
}

/// Fills in the report of a check before it starts.
pub(super) fn begin_check(
    context: &Context<'_>,
    images: &ImageSet<'_>,
    fix_args: FixArgs,
    vendor: Option<&'static Vendor>,
    report: &mut Report,
) -> Result<BumpOptions> {
    report.invocation = context.command_invocation(&["verify-manifests", "--fix"]);
    report.images = images.origins();
    images.ensure_one_channel()?;
    report.channel = images.channel.or(context.pins.channel());
    let pinned = context.pins.release().clone();
    report.release = Some((pinned.clone(), pinned.clone()));
    Ok(BumpOptions {
        release: pinned,
        channel: images.channel,
        vendor,
        systemd: fix_args.systemd,
        reach: fix_args.to_options(),
    })
}

/// Checks the manifests without fixing them.
pub(super) fn check_only(
    context: &Context<'_>,
    images: &ImageSet<'_>,
    request: &BumpOptions,
    report: &mut Report,
) -> Result<()> {
    report.systemd = Some((context.pins.systemd(), context.pins.systemd()));
    report.findings = verify(&context.sources, request, &images.trees())?;
    set_aside_accepted(context, &images.boards(), request.reach, report);
    fill_sizes(context, &context.sources, images, Some(images), &[], report);
    Ok(())
}

/// Warns of boards without an image: one release is pinned for all boards.
fn warn_unchecked_boards(context: &Context<'_>, images: &ImageSet<'_>) {
    let seen = images.trees();
    for board in context.sources.boards().iter().filter(|board| !seen.contains_key(board)) {
        context
            .term
            .warn(format!("{board} moves to {} too, but its manifests were not checked", images.release));
    }
}

/// Fixes and writes, for `bump-coreos` and `verify-manifests --fix`. `compare` adds to the report what else differs, given
/// the sources after the fixes.
pub(super) fn fix_and_apply(
    context: &Context<'_>,
    images: &ImageSet<'_>,
    old: Option<&ImageSet<'_>>,
    request: &BumpOptions,
    commit: bool,
    compare: &dyn Fn(&Stage1Sources, &mut Report) -> Result<()>,
    report: &mut Report,
) -> Result<()> {
    let bump = bump(&context.sources, request, &images.trees())?;
    let plan = EditPlan::between(&context.sources, &bump.after);
    plan.ensure_inside_tree(&context.sources, |link| {
        report.invocation.hint(&Suggestion::RunFix.after_copying(link))
    })?;
    let files: Vec<String> = plan.edits.iter().map(|edit| edit.path.clone()).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let commit = commit && !files.is_empty() && !report.dry_run;
    if commit {
        git::check_clean(context.tree.root(), &files)?;
    }
    report.findings = if report.dry_run { bump.findings_on_disk(&context.sources) } else { bump.findings };
    set_aside_accepted(context, &images.boards(), request.reach, report);
    report.release = Some(bump.release);
    report.systemd = Some(bump.systemd);
    report.plan = plan;
    compare(&bump.after, report)?;
    fill_sizes(context, &bump.after, images, old, &bump.fixes, report);
    report.fixes = bump.fixes;
    if report.dry_run {
        // A dry run has the result of a real one; `--check` only reports whether a file would change.
        return if report.check { Ok(()) } else { transaction::preflight(&context.tree, &report.plan) };
    }
    let id = report.images.iter().find_map(|image| image.os_release.get("ID"));
    let vendor = id.and_then(|id| context.settings.vendors.get(id)).unwrap_or(Vendor::COREOS);
    let message = commit.then(|| message(report, vendor.name));
    let done = write(context, &report.plan, message, &files);
    if done.is_err() {
        // The tree is unchanged, so the report has no fixes and no findings.
        (report.plan, report.fixes, report.findings, report.accepted) = Default::default();
    }
    done
}

/// Writes the plan, and commits it if there is a message. If git refuses the commit, the files are restored, so that
/// the same command can be repeated.
fn write(context: &Context<'_>, plan: &EditPlan, message: Option<String>, files: &[&str]) -> Result<()> {
    transaction::apply(&context.tree, plan)?;
    for edit in &plan.edits {
        context.term.detail("wrote", format!("{}: {} bytes", edit.path, edit.after.len()));
    }
    let Some(message) = message else { return Ok(()) };
    match git::commit(context.tree.root(), files, &message) {
        Ok(name) => {
            context.term.stage("committed", name);
            Ok(())
        }
        Err(error) => match transaction::apply(&context.tree, &plan.reversed()) {
            Ok(()) => Err(error.with_cause("nothing was changed")),
            Err(second) => {
                // The caller reports a failed run as one without changes; these causes correct that.
                let files = files.join(", ");
                Err(error
                    .with_cause(format!("the files are changed: {files}"))
                    .with_cause(format!("restoring them failed: {second}")))
            }
        },
    }
}

/// Adds sizes and the dependents of added paths to the report. `old` has the images of the previous release; `None`
/// compares with `images`, unless the report has a reason for missing sizes.
pub(super) fn fill_sizes(
    context: &Context<'_>,
    after: &Stage1Sources,
    images: &ImageSet,
    old: Option<&ImageSet>,
    fixes: &[Fix],
    report: &mut Report,
) {
    let trees = images.trees();
    let old = match (old, &report.no_sizes_before) {
        (Some(old), _) => old.trees(),
        (None, Some(_)) => ImageTrees::new(),
        (None, None) => images.trees(),
    };
    report.sizes = sizes::compare(
        TreeState { sources: &context.sources, trees: &old },
        TreeState { sources: after, trees: &trees },
    );
    report.needs = dependency_graph::edges(fixes, after, &trees);
}
