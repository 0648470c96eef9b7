//! `smoketest`: clean build, comparison of the result with manifests and image, link check, and run.

mod boot;
mod build;
mod build_check;
mod check_log;
mod host;
mod link_check;
mod loader_run;
mod no_follow;
mod rootfs;
mod rootfs_check;
mod run_check;
pub(crate) mod sandbox;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::cli::{FixArgs, Smoketest};
use crate::commands::check_manifests;
use crate::context::Context;
use crate::images::ImageSet;
use crate::report::Report;
use crate::smoketest::build::Build;
use crate::smoketest::rootfs::Rootfs;
use crate::trusted_owners::TrustedOwners;
use check_log::CheckLog;
use coreos_types::{Board, Error, ErrorExt, Flavor, Result};
use manifest::finding::Severity;
use manifest::suggestion::Suggestion;

/// A root filesystem under test, and its files.
struct RootfsUnderTest {
    /// The whole root filesystem: for boots and the loader.
    rootfs: Rootfs,
    /// The files from the image alone, if the build adds files of its own.
    image_files: Option<Rootfs>,
    flavor: Flavor,
    /// The unpacked image, if the build left one.
    squashfs: Option<PathBuf>,
    rkt_program: Option<PathBuf>,
    /// The directory for logs and files of a boot.
    work_directory: PathBuf,
}

impl RootfsUnderTest {
    fn read(path: &Path, flavor: Flavor, work_directory: PathBuf) -> Result<RootfsUnderTest> {
        let mut rootfs = Rootfs::read(path)?;
        let image_files =
            build::find_image_rootfs(&rootfs.path).map(|path| Rootfs::read(&path)).transpose()?;
        if let Some(image_files) = &image_files {
            rootfs = rootfs.mark_build_files(image_files);
        }
        Ok(RootfsUnderTest { rootfs, image_files, flavor, squashfs: None, rkt_program: None, work_directory })
    }

    fn name(&self) -> String {
        format!("{} {}", self.rootfs.board, self.flavor)
    }
}

/// Runs every selected check. Errors in the manifests end the run before the build, unless `--no-static` skips their
/// check.
///
/// # Errors
/// An error that prevents further checks; without `--no-run`, also that no root filesystem could be run.
pub(crate) fn smoketest(context: &Context<'_>, flags: &Smoketest, report: &mut Report) -> Result<()> {
    let boards = context.boards()?;
    let release = context.pins.release().clone();
    report.release = Some((release.clone(), release.clone()));
    report.systemd = Some((context.pins.systemd(), context.pins.systemd()));
    report.invocation = context.command_invocation(&["verify-manifests", "--fix"]);
    let mut manifest_flavors: BTreeMap<Board, BTreeSet<Flavor>> = BTreeMap::new();
    for manifest_ref in context.sources.manifest_refs.iter().filter(|one| boards.contains(&one.board)) {
        manifest_flavors.entry(manifest_ref.board).or_default().insert(manifest_ref.flavor.clone());
    }
    let build = Build {
        tree: context.tree.root(),
        manifest_flavors,
        selected_flavors: &flags.flavors,
        systemd: context.pins.systemd(),
        configure: [&context.settings.configure[..], &flags.configure].concat(),
        make: [&context.settings.make[..], &flags.make].concat(),
    };
    build.check_selected_flavors()?;
    let is_static = !flags.no_static && flags.rootfs.is_none();
    let is_built = !flags.no_build && flags.rootfs.is_none();
    let mut images = None;
    if is_static || is_built {
        let images = images.insert(ImageSet::open_and_prune_cache(context, Some(context.pins.release()))?);
        report.images = images.origins();
        if is_static {
            check_manifests(context, images, FixArgs::default(), report)?;
        }
    }
    if is_built || flags.rootfs.is_none() && !flags.no_run {
        // The tree's Makefile runs as this user, and so may programs that it built.
        TrustedOwners::from_env().check_tree(context.tree.root())?;
    }
    let mut checks = CheckLog { context, fix_invocation: report.invocation.clone(), checks: Vec::new() };
    let outcome = if report.findings.iter().any(|finding| finding.severity == Severity::Error) {
        skip_after_errors(flags, report, &mut checks);
        Ok(())
    } else {
        let to_build = images.as_ref().filter(|_| is_built);
        run_checks(flags, &build, to_build, is_static.then_some(&*report), &mut checks)
    };
    if let Some(images) = images {
        images.store_trees();
    }
    report.checks = checks.checks;
    outcome
}

/// Reports why nothing is built, and the next step.
fn skip_after_errors(flags: &Smoketest, report: &Report, checks: &mut CheckLog<'_>) {
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let suggestions: BTreeSet<&Suggestion> = errors.map(|finding| &finding.suggestion).collect();
    // `--fix --drop-missing` includes `--fix`, so it is preferred.
    let fixes = [&Suggestion::RunFixDropMissing, &Suggestion::RunFix];
    let best = fixes.into_iter().find(|fix| suggestions.contains(fix)).or(suggestions.first().copied());
    let hint = best.map(|suggestion| checks.hint_line(suggestion)).unwrap_or_default();
    let problems = report.describe_problems();
    let anyway = checks.context.rerun_command(&["--no-static"], &["no_static"]);
    let name = if flags.no_build { "link" } else { "build" };
    checks.skip(name, "stage1", &format!("nothing is built or run: the manifests have {problems}\n{hint}\nto go on without fixing them: {anyway}"));
}

fn run_checks(
    flags: &Smoketest,
    build: &Build<'_>,
    to_build: Option<&ImageSet>,
    static_check: Option<&Report>,
    checks: &mut CheckLog<'_>,
) -> Result<()> {
    let context = checks.context;
    let tested = match &flags.rootfs {
        Some(path) => vec![read_given_rootfs(build, path)?],
        None => {
            match to_build {
                None => checks.skip("build", "make", "--no-build"),
                Some(images) if !build_check::check(build, images, checks)? => return Ok(()),
                Some(_) => {}
            }
            let found = find_rootfses(build, checks);
            if flags.no_build { found.with_hint(context.rerun_command(&[], &["no_build"]))? } else { found? }
        }
    };
    if !(flags.no_link && flags.no_run) {
        reject_stubs(context, &tested)?;
    }
    let accepted = static_check.map_or(&[][..], |report| &report.accepted);
    for tested in &tested {
        let is_as_listed = flags.rootfs.is_some() || rootfs_check::check(tested, accepted, checks)?;
        if flags.no_link {
            checks.skip("link", tested.flavor.as_str(), "--no-link");
            continue;
        }
        let is_verified = static_check.is_some() && is_as_listed;
        link_check::check(tested, flags.jobs, accepted, is_verified, checks)?;
    }
    if flags.no_run {
        checks.skip("run", "boot", "--no-run");
        return Ok(());
    }
    run_check::check(&tested, flags, checks)
}

/// Rejects root filesystems of stub programs: these can be neither linked nor run.
fn reject_stubs(context: &Context<'_>, rootfses: &[RootfsUnderTest]) -> Result<()> {
    if !rootfses.iter().any(|tested| tested.rootfs.has_stub_loader()) {
        return Ok(());
    }
    let reason = "the programs of this image are stubs without code: they can be built and compared, not linked or run";
    Err(Error::failed(reason)
        .with_hint(context.rerun_command(&["--no-link", "--no-run"], &["no_link", "no_run"])))
}

/// The results of the last build, per flavor and board. A flavor that has manifests and was not built is named.
fn find_rootfses(build: &Build<'_>, checks: &mut CheckLog<'_>) -> Result<Vec<RootfsUnderTest>> {
    let mut tested = Vec::new();
    for board in build.buildable_boards() {
        let directory = build.build_directory(board);
        let before = tested.len();
        for flavor in build.flavors_to_build(board) {
            let path = directory.join(format!("aci-for-{flavor}-flavor/rootfs"));
            if !path.join("usr").is_dir() {
                let subject = format!("{board} {flavor}");
                checks.skip("rootfs", &subject, "the build made no root filesystem of it");
                continue;
            }
            let work_directory = build.create_log_directory()?.join(format!("{board}-{flavor}"));
            let is_file = |path: &PathBuf| path.is_file();
            tested.push(RootfsUnderTest {
                squashfs: Some(directory.join("tmp/coreos-common/usr.squashfs")).filter(is_file),
                rkt_program: Some(directory.join("target/bin/rkt")).filter(is_file),
                ..RootfsUnderTest::read(&path, flavor, work_directory)?
            });
        }
        if tested.len() == before {
            let why = format!("{} has no aci-for-FLAVOR-flavor/rootfs", directory.display());
            return Err(Error::failed(format!("no root filesystem of {board} was built: {why}")));
        }
    }
    if tested.is_empty() {
        return Err(Error::failed("rkt's build makes the board of this machine only")
            .with_hint("leave --board out, or use the stage1 build of a tree without autogen.sh"));
    }
    Ok(tested)
}

/// The root filesystem of `--rootfs`; its flavor is the target of its `flavor` symlink.
fn read_given_rootfs(build: &Build<'_>, path: &Path) -> Result<RootfsUnderTest> {
    let link = std::fs::read_link(path.join("flavor")).ok();
    let is_name = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let word = link.as_deref().and_then(Path::to_str).filter(is_name).unwrap_or("coreos");
    let flavor = Flavor::from_dir_name(&format!("usr_from_{word}"));
    let flavor = flavor.ok_or_else(|| Error::failed(format!("{} has no flavor", path.display())))?;
    RootfsUnderTest::read(path, flavor, build.create_log_directory()?.join("given"))
}
