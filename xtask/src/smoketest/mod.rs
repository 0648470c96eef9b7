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
pub mod sandbox;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::{FixArgs, GivenArgs, ImageArgs, ReleaseSpec, Smoketest, VerifyManifests};
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
    report.again = context.replay(&["verify-manifests", "--fix"]);
    if !flags.no_static && flags.rootfs.is_none() {
        verify_manifests(context, &check, report)?;
    }
    if flags.image.images.len() > 1 && report.images.is_empty() && builds(flags) {
        let images =
            ImageSet::open(context, &flags.image, &ReleaseSpec::Number(context.pins.release().clone()))?;
        report.images = images.origins();
        images.keep();
    }
    let options =
        |board: Board| Ok((board, fetch_options(&context.given, &flags.image, board, &report.images)?));
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
                if flags.no_build { fault.with_hint(context.rerun(None, &["no_build"])) } else { fault }
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
        link::check(context, subject, flags.jobs.map(usize::from), static_findings, checks)?;
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

fn static_check(flags: &Smoketest) -> VerifyManifests {
    VerifyManifests { image: flags.image.clone(), fix_args: FixArgs::default(), ..Default::default() }
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
fn fetch_options(
    given: &GivenArgs,
    image: &ImageArgs,
    board: Board,
    origins: &[ImageOrigin],
) -> Result<Vec<String>> {
    let mut words = given.image_without(&["signing_key", "signature", "images", "boards"]);
    let mut push_absolute = |name: &str, path: &PathBuf| {
        let absolute =
            std::path::absolute(path).with_context(|| format!("cannot place {}", path.display()))?;
        words.extend([name.to_owned(), absolute.display().to_string()]);
        Ok(())
    };
    let is_for_board = |path: &&PathBuf| {
        let source = path.display().to_string();
        image.images.len() == 1
            || origins.iter().any(|origin| origin.board == board && origin.source == source)
    };
    image.signing_key.iter().try_for_each(|path| push_absolute("--signing-key", path))?;
    image.images.iter().filter(is_for_board).try_for_each(|path| push_absolute("--image", path))?;
    image.signature.iter().try_for_each(|path| push_absolute("--signature", path))?;
    Ok(words)
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
        let several = "--image /i/a.gz --image /i/b.gz";
        for (images, board, origins, options) in [
            (several, Board::Amd64, &origins[..], "--offline --image /i/b.gz"),
            (several, Board::Arm64, &origins, "--offline --image /i/a.gz"),
            // A single one is for the board that is built, or fetch says that it is not.
            ("--image /i/a.gz", Board::Amd64, &[], "--offline --image /i/a.gz"),
            ("", Board::Amd64, &[], "--offline"),
        ] {
            let line = format!("xtask smoketest --board amd64-usr --offline {images}");
            let cli = crate::cli::parse(line.split_whitespace().map(Into::into)).unwrap();
            let crate::cli::Command::Smoketest(flags) = cli.command else { panic!("{line}") };
            let words = fetch_options(&cli.given, &flags.image, board, origins).unwrap();
            assert_eq!(words.join(" "), options);
        }
    }
}
