//! Whether it runs: `rkt run` where the build made rkt, else a boot of the stage1 itself.

use std::fs;
use std::time::Duration;

use super::Subject;
use super::checks::{self, Checks};
use crate::cli::Smoketest;
use crate::context::Context;
use crate::smoketest::boot::rkt::{DEFAULT_APP, RktRun};
use crate::smoketest::boot::{Boot, BootOutcome, diagnosis::MissingItem, nspawn, rkt, vm};
use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::release::SystemdVersion;
use manifest::suggestion::Suggestion;
use usr::ldso::{MissingSymlink, UnreachableLibrary};

/// Runs every root filesystem of this machine's board.
///
/// # Errors
/// What stops the work, and that nothing could be run at all.
pub(super) fn check(
    context: &Context<'_>,
    subjects: &[Subject],
    flags: &Smoketest,
    checks: &mut Checks<'_>,
) -> Result<()> {
    let (mut ran, mut reasons) = (false, Vec::new());
    for subject in subjects {
        let (board, flavor) = (subject.rootfs.board, &subject.flavor);
        let what = format!("{board} {flavor}");
        if board.machine() != std::env::consts::ARCH {
            checks.skip("run", what, "a foreign board");
            continue;
        }
        if subject.rkt.is_some() && !flags.vm && flavor.as_str() != "coreos" {
            checks.skip("run", what, "rkt runs the coreos flavor; --vm boots this one");
            continue;
        }
        match one(subject, flags)? {
            BootOutcome::Passed { method, took } => {
                ran = true;
                checks.pass(
                    "run",
                    what,
                    format!("{method}: the token came back, {:.1} s", took.as_secs_f64()),
                );
            }
            BootOutcome::Failed { method, why, missing, tail, log } => {
                ran = true;
                let mut message = format!("{why} ({method})\n");
                for lack in &missing {
                    message.push_str(&lacking(context, subject, lack, checks));
                }
                for line in tail {
                    message.push_str(&format!("  | {line}\n"));
                }
                message.push_str(&format!("all of it: {}", log.display()));
                let file = missing.first().map(|lack| home(context, subject, lack));
                checks.fail("run", what, file, message);
            }
            BootOutcome::Unsupported(reason) => {
                checks.skip("run", what, reason.clone());
                reasons.push(reason);
            }
        }
    }
    if ran {
        return Ok(());
    }
    let reason = reasons.pop().unwrap_or_else(|| "no root filesystem of this machine's board".into());
    Err(Error::failed("the stage1 was not run")
        .with_cause(reason)
        .with_hint(context.rerun(Some("--no-run"), &["no_run"])))
}

fn one(subject: &Subject, flags: &Smoketest) -> Result<BootOutcome> {
    let work = &subject.work;
    fs::create_dir_all(work).with_context(|| format!("cannot make {}", work.display()))?;
    let limit = Duration::from_secs(flags.timeout);
    if let Some(program) = subject.rkt.as_deref().filter(|_| !flags.vm) {
        let app = flags.app.as_deref().unwrap_or(DEFAULT_APP);
        return rkt::run(&RktRun {
            rkt: program,
            app,
            rootfs: &subject.rootfs,
            systemd: systemd(subject),
            work,
            limit,
        });
    }
    let boot = Boot { rootfs: &subject.rootfs, systemd: systemd(subject), work, limit };
    if flags.vm { vm::run(&boot) } else { nspawn::run(&boot) }
}

/// The systemd in the root filesystem, as the build wrote it down.
fn systemd(subject: &Subject) -> Option<SystemdVersion> {
    fs::read_to_string(subject.rootfs.path.join("systemd-version")).ok()?.trim().parse().ok()
}

/// The manifest that lacks it.
fn home(context: &Context<'_>, subject: &Subject, lack: &MissingItem) -> String {
    let (board, flavor) = (subject.rootfs.board, &subject.flavor);
    match &lack.found_at {
        Some(there) => checks::home_beside(context, board, flavor, there.file.as_str()),
        None => checks::home_of(context, board, flavor, &lack.what),
    }
}

fn lacking(context: &Context<'_>, subject: &Subject, lack: &MissingItem, checks: &Checks<'_>) -> String {
    let MissingItem { what, why, found_at: there } = lack;
    if let Some(there) = there {
        return unreached(context, subject, lack, there, checks);
    }
    let file = home(context, subject, lack);
    let is_needed = what.contains(".so") || !what.contains('/');
    let remedy = if is_needed { Suggestion::Mend } else { Suggestion::add(&file, [what]) };
    format!("{what} is missing ({why}): {file} lacks it\n{}\n", checks.hint(&remedy))
}

/// What is there and was not found, and the link that is not there.
fn unreached(
    context: &Context<'_>,
    subject: &Subject,
    lack: &MissingItem,
    UnreachableLibrary { file, way }: &UnreachableLibrary,
    checks: &Checks<'_>,
) -> String {
    let MissingItem { what, why, .. } = lack;
    let Some(MissingSymlink { directory, link }) = way else {
        return format!("{what} was not found ({why}), and it is there: {file}\n");
    };
    let home = home(context, subject, lack);
    let hint = checks.hint(&Suggestion::add(&home, [link.as_str()]));
    format!(
        "{what} was not found ({why}): it is {file}, and {directory} leads there through {link} only: {home} lacks \
         that\n{hint}\n"
    )
}
