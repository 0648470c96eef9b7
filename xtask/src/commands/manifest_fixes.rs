//! The check and the fixes of the manifests, for every command that has open images.

use std::thread;

use crate::cli::FixArgs;
use crate::context::Context;
use crate::git;
use crate::images::ImageSet;
use crate::repo::transaction;
use crate::report::commit_message::commit_message;
use crate::report::sizes::{self, TreeState};
use crate::report::{Report, added_dependents};
use coreos_types::{Board, Result, Vendor, error::panic_to_error};
use manifest::accepted_findings::AcceptedFinding;
use manifest::finding::FindingKind;
use manifest::plan::bump::{BumpOptions, BumpPlan, plan_bump};
use manifest::plan::check_stage1_sources::check_stage1_sources;
use manifest::plan::edit_plan::EditPlan;
use manifest::rules::lint_and_fix::FixOptions;
use manifest::stage1_sources::Stage1Sources;
use manifest::suggestion::Suggestion;
use pxe_image::spawn_scoped;

/// The options of a bump to open images, whose origin is added to the report.
pub(super) fn prepare_bump_options(
    context: &Context<'_>,
    images: &ImageSet,
    args: FixArgs,
    report: &mut Report,
) -> Result<BumpOptions> {
    report.images = images.origins();
    images.ensure_one_channel()?;
    report.channel = images.channel.or(context.pins.channel());
    Ok(BumpOptions {
        release: images.release.clone(),
        channel: images.channel,
        vendor: context.requested_vendor(),
        systemd: args.systemd,
        min_dlopen_priority: args.dlopen.min_priority(),
        fix_options: FixOptions { drop_missing: args.drop_missing, by_names_only: false },
    })
}

/// Checks every manifest against open images of the pinned release, and writes nothing.
pub(crate) fn check_manifests(
    context: &Context<'_>,
    images: &ImageSet,
    args: FixArgs,
    report: &mut Report,
) -> Result<()> {
    let options = prepare_bump_options(context, images, args, report)?;
    report.release = Some((options.release.clone(), options.release.clone()));
    report.systemd = Some((context.pins.systemd(), context.pins.systemd()));
    let trees = images.trees();
    let state = TreeState { sources: &context.sources, trees: &trees };
    let (findings, sizes) = thread::scope(|scope| {
        let sizes = spawn_scoped(scope, || sizes::compare(state, state));
        (
            check_stage1_sources(&context.sources, &options, &trees),
            sizes.and_then(|sizes| panic_to_error("adding up sizes", sizes.join())),
        )
    });
    (report.findings, report.sizes) = (findings?, sizes?);
    set_aside_accepted(context, &images.boards(), &options, report);
    Ok(())
}

/// Plans the fixes, fills in the report, and returns the sources after them. With `commit`, the files that change must
/// be committed.
pub(super) fn plan_fixes(
    context: &Context<'_>,
    images: &ImageSet,
    options: &BumpOptions,
    commit: bool,
    report: &mut Report,
) -> Result<Stage1Sources> {
    let bump = plan_bump(&context.sources, options, &images.trees())?;
    let plan = EditPlan::between(&context.sources, &bump.after);
    plan.ensure_inside_tree(&context.sources, |link| {
        report.invocation.hint(&Suggestion::RunFix.after_copying(link))
    })?;
    if commit && !plan.is_empty() && !report.dry_run {
        git::check_committable(context.tree.root(), &paths(&plan))?;
    }
    report.plan = plan;
    Ok(fill_fixes(context, bump, &images.boards(), options, report))
}

/// Adds the fixes of a plan and the remaining findings to the report, and returns the sources after the fixes.
pub(super) fn fill_fixes(
    context: &Context<'_>,
    bump: BumpPlan,
    boards: &[Board],
    options: &BumpOptions,
    report: &mut Report,
) -> Stage1Sources {
    report.findings = if report.dry_run { bump.findings_on_disk(&context.sources) } else { bump.findings };
    set_aside_accepted(context, boards, options, report);
    report.release = Some(bump.release);
    report.systemd = Some(bump.systemd);
    report.fixes = bump.fixes;
    bump.after
}

/// Moves the accepted findings of a report aside. `boards` are those of the run.
fn set_aside_accepted(context: &Context<'_>, boards: &[Board], options: &BumpOptions, report: &mut Report) {
    let has_all_boards = context.sources.boards().iter().all(|board| boards.contains(board));
    let can_match = |entry: &AcceptedFinding| {
        let has_board = entry.board.map_or(has_all_boards, |board| boards.contains(&board));
        let has_kind = entry.kind != FindingKind::Advice || options.min_dlopen_priority.is_some();
        has_board && has_kind && !options.fix_options.by_names_only
    };
    let findings = std::mem::take(&mut report.findings);
    report.flavor_count = context.sources.flavors().len();
    (report.findings, report.accepted) = context.sources.accepted.split_and_warn(findings, can_match);
}

/// Adds sizes and the dependents of added paths to the report.
pub(super) fn fill_sizes_and_dependents(before: TreeState<'_>, after: TreeState<'_>, report: &mut Report) {
    report.sizes = sizes::compare(before, after);
    report.added_dependents = added_dependents::edges(&report.fixes, after.sources, after.trees);
}

pub(super) fn write_unless_dry_run(context: &Context<'_>, commit: bool, report: &mut Report) -> Result<()> {
    if report.dry_run {
        // A dry run has the result of a real one; `--check` only reports whether a file would change.
        return if report.check { Ok(()) } else { transaction::preflight(&context.tree, &report.plan) };
    }
    let done = write_and_commit(context, commit, report);
    // The tree is then unchanged, so the report has no fixes and no findings.
    done.inspect_err(|_| {
        (report.plan, report.fixes, report.findings, report.accepted) = Default::default();
    })
}

/// Writes the plan, and commits it on request. If git refuses the commit, the files are restored, so that the same
/// command can be repeated.
fn write_and_commit(context: &Context<'_>, commit: bool, report: &Report) -> Result<()> {
    let plan = &report.plan;
    transaction::apply(&context.tree, plan)?;
    for edit in &plan.edits {
        context.term.detail("wrote", format!("{}: {} bytes", edit.path, edit.after.len()));
    }
    if !commit || plan.is_empty() {
        return Ok(());
    }
    let id = report.images.iter().find_map(|image| image.os_release.get("ID"));
    let vendor = id.and_then(|id| context.settings.vendors.get(id)).unwrap_or(Vendor::COREOS);
    let error = match git::commit(context.tree.root(), &paths(plan), &commit_message(report, vendor.name)) {
        Ok(name) => {
            context.term.stage("committed", name);
            return Ok(());
        }
        Err(error) => error,
    };
    Err(match transaction::apply(&context.tree, &plan.reversed()) {
        Ok(()) => error.with_cause("nothing was changed"),
        // The caller reports a failed run as one without changes; these causes correct that.
        Err(second) => error
            .with_cause(format!("the files are changed: {}", paths(plan).join(", ")))
            .with_cause(format!("restoring them failed: {second}")),
    })
}

fn paths(plan: &EditPlan) -> Vec<&str> {
    plan.edits.iter().map(|edit| edit.path.as_str()).collect()
}
