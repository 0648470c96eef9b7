//! `smoketest`: build it clean, hold it against the lists, link all of it, and boot it.

pub mod boot;
pub mod build;
mod checks;
mod host;
mod link;
pub mod link_check;
pub mod rootfs;
mod rootfs_check;
mod run;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::{FixArgs, ImageArgs, ReleaseSpec, Smoketest, VerifyManifests};
use crate::commands::verify_manifests;
use crate::context::Context;
use crate::images::ImageSet;
use crate::report::{ImageOrigin, Report};
use crate::smoketest::build::{Build, BuildSystem, BuiltRootfs};
use crate::smoketest::rootfs::Rootfs;
use checks::Checks;
use coreos_types::error::{Result, ResultExt};
use coreos_types::release::{Board, Flavor};
use manifest::suggestion::Suggestion;

/// One root filesystem under test, and what belongs to it.
struct Subject {
    rootfs: Rootfs,
    flavor: Flavor,
    /// The image it was cut out of, where the build left it.
    squashfs: Option<PathBuf>,
    rkt: Option<PathBuf>,
    /// For logs, and for what a boot writes.
    work: PathBuf,
}

/// Runs every check that was not left out.
///
/// # Errors
/// Whatever stops the work; also that nothing could be run, unless that was not wanted.
pub fn smoketest(context: &Context<'_>, flags: &Smoketest, report: &mut Report) -> Result<()> {
    let boards = context.boards(&flags.image)?;
    let release = context.pins.release().clone();
    report.release = Some((release.clone(), release));
    report.systemd = Some((context.pins.systemd(), context.pins.systemd()));
    let check = static_check(flags);
    report.again = context.again(&["verify-manifests", "--fix"], &check.image, check.mend);
    if !flags.no_static && flags.rootfs.is_none() {
        verify_manifests(context, &check, report)?;
    }
    if flags.image.images.len() > 1 && report.images.is_empty() && builds(flags) {
        let images = ImageSet::open(
            context,
            &flags.image,
            FixArgs::default(),
            &ReleaseSpec::Number(context.pins.release().clone()),
        )?;
        report.images = images.origins();
        images.keep();
    }
    let options = |board: Board| Ok((board, fetch_options(&flags.image, board, &report.images)?));
    let build = Build {
        tree: context.tree.root(),
        boards: boards.into_iter().map(options).collect::<Result<BTreeMap<_, _>>>()?,
        systemd: context.pins.systemd(),
        make: context.settings.make.as_deref(),
        configure: context.settings.configure.as_deref(),
    };
    let mut checks = Checks::new(context, report.again.clone());
    let outcome = carry_out(context, flags, &build, &report.findings, &mut checks);
    report.checks = checks.into_inner();
    outcome
}

fn carry_out(
    context: &Context<'_>,
    flags: &Smoketest,
    build: &Build<'_>,
    findings: &[manifest::finding::Finding],
    checks: &mut Checks<'_>,
) -> Result<()> {
    let subjects = match &flags.rootfs {
        Some(path) => vec![given(build, path)?],
        None => {
            if flags.no_build {
                checks.skip("build", "make", "--no-build");
            } else if !built(context, build, checks)? {
                return Ok(());
            }
            found(build).map_err(|fault| {
                if flags.no_build { fault.with_hint(build_first(context, flags)) } else { fault }
            })?
        }
    };
    for subject in &subjects {
        if flags.rootfs.is_none() {
            rootfs_check::check(context, subject, checks)?;
        }
        if flags.no_link {
            checks.skip("link", subject.flavor.to_string(), "--no-link");
            continue;
        }
        let static_findings = (!flags.no_static && flags.rootfs.is_none()).then_some(findings);
        link::check(context, subject, flags.jobs, static_findings, checks)?;
    }
    if flags.no_run {
        checks.skip("run", "boot", "--no-run");
        return Ok(());
    }
    run::check(context, &subjects, flags, checks)
}

/// Whether this run builds.
fn builds(flags: &Smoketest) -> bool {
    !flags.no_build && flags.rootfs.is_none()
}

/// This run, and its build before it.
fn build_first(context: &Context<'_>, flags: &Smoketest) -> String {
    again(context, &Smoketest { no_build: false, ..flags.clone() })
}

/// The command line of a smoketest, called as this run was.
fn again(context: &Context<'_>, flags: &Smoketest) -> String {
    let mut again = context.again(&["smoketest"], &flags.image, static_check(flags).mend);
    again.command.extend(flags.words());
    again.hint(&Suggestion::Mend)
}

fn static_check(flags: &Smoketest) -> VerifyManifests {
    VerifyManifests { image: flags.image.clone(), mend: FixArgs::default(), fix: false, report: None }
}

/// Builds; whether that went well.
fn built(context: &Context<'_>, build: &Build<'_>, checks: &mut Checks<'_>) -> Result<bool> {
    let what = match build.kind() {
        BuildSystem::Stage1 => "make -C stage1",
        BuildSystem::Rkt => "autogen.sh, configure, make",
    };
    context.term.stage("building", format!("clean, by {what} ([workspace.metadata.stage1] can change it)"));
    let built = build.run()?;
    built.commands.iter().for_each(|command| context.term.detail("ran", command));
    let log = built.log.display();
    match built.failure {
        None => checks.pass("build", what, format!("{:.1} s, {log}", built.took.as_secs_f64())),
        Some(tail) => {
            // This tree's build and rkt's say it with these words; mending finds no successor for all of them.
            let is_missing = ["not in the image", "missing from"].iter().any(|words| tail.contains(words));
            let hint = checks.hint(if is_missing { &Suggestion::DropMissing } else { &Suggestion::Mend });
            checks.fail("build", what, None, format!("{tail}\nall of it: {log}\n{hint}"));
            return Ok(false);
        }
    }
    Ok(true)
}

fn found(build: &Build<'_>) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for &board in build.boards.keys() {
        for BuiltRootfs { path, flavor, squashfs, rkt } in build.rootfses(board)? {
            let work = build.log_directory()?.join(format!("{board}-{flavor}"));
            subjects.push(Subject {
                rootfs: Rootfs::read(&path)?,
                flavor,
                squashfs: Some(squashfs),
                rkt,
                work,
            });
        }
        // rkt's own build makes one board, whatever is asked for.
        if build.kind() == BuildSystem::Rkt {
            break;
        }
    }
    Ok(subjects)
}

/// A root filesystem from elsewhere; its flavor is where its `flavor` link points.
fn given(build: &Build<'_>, path: &Path) -> Result<Subject> {
    let rootfs = Rootfs::read(path)?;
    let word = std::fs::read_link(rootfs.path.join("flavor")).ok();
    let word = word.as_deref().and_then(Path::to_str).unwrap_or("coreos");
    let flavor = Flavor::from_dir_name(&format!("usr_from_{word}"))
        .or_else(|| Flavor::from_dir_name("usr_from_coreos"))
        .ok_or_else(|| coreos_types::error::Error::failed(format!("{} has no flavor", path.display())))?;
    let work = build.log_directory()?.join("given");
    Ok(Subject { rootfs, flavor, squashfs: None, rkt: None, work })
}

/// The options of this command that `fetch` knows too, as words that hold in any directory, with the one image of
/// several that is for this board. The build names the board.
fn fetch_options(image: &ImageArgs, board: Board, origins: &[ImageOrigin]) -> Result<Vec<String>> {
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).with_context(|| format!("cannot place {}", path.display()))
    };
    let is_for_board = |path: &&PathBuf| {
        let source = path.display().to_string();
        image.images.len() == 1
            || origins.iter().any(|origin| origin.board == board && origin.source == source)
    };
    let image = ImageArgs {
        signing_key: image.signing_key.as_ref().map(absolute).transpose()?,
        signature: image.signature.as_ref().map(absolute).transpose()?,
        images: image.images.iter().filter(is_for_board).map(absolute).collect::<Result<_>>()?,
        boards: Vec::new(),
        ..image.clone()
    };
    Ok([image.source(), image.image()].concat())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_board_is_built_from_the_image_that_is_for_it() {
        let origin = |board, source: &str| ImageOrigin {
            board,
            source: source.into(),
            digest: String::new(),
            signature: None,
            os_release: BTreeMap::new(),
        };
        let origins = [origin(Board::Amd64, "/i/b.gz"), origin(Board::Arm64, "/i/a.gz")];
        let flags = |images: &[&str]| ImageArgs {
            images: images.iter().map(PathBuf::from).collect(),
            offline: true,
            ..Default::default()
        };
        let several = flags(&["/i/a.gz", "/i/b.gz"]);
        for (flags, board, origins, options) in [
            (&several, Board::Amd64, &origins[..], "--image /i/b.gz --offline"),
            (&several, Board::Arm64, &origins, "--image /i/a.gz --offline"),
            // A single one is for the board that is built, or fetch says that it is not.
            (&flags(&["/i/a.gz"]), Board::Amd64, &[], "--image /i/a.gz --offline"),
            (&flags(&[]), Board::Amd64, &[], "--offline"),
        ] {
            assert_eq!(fetch_options(flags, board, origins).unwrap().join(" "), options);
        }
    }
}
