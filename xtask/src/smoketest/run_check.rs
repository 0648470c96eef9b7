//! Run check: `rkt run` if the build made rkt, else a boot of the stage1 itself.

use std::fs;
use std::time::Duration;

use super::RootfsUnderTest;
use super::check_log::CheckLog;
use super::{host, no_follow};
use crate::cli::Smoketest;
use crate::context::Context;
use crate::smoketest::boot::{Boot, BootOutcome, diagnosis::MissingItem, namespaces, rkt, vm};
use coreos_types::{Error, Result, SystemdVersion};
use manifest::suggestion::Suggestion;
use usr::ldso::{MissingSymlink, UnreachableLibrary};

/// Runs every root filesystem of this machine's board; at least one must run.
pub(super) fn check(
    rootfses: &[RootfsUnderTest],
    flags: &Smoketest,
    checks: &mut CheckLog<'_>,
) -> Result<()> {
    let context = checks.context;
    let (mut ran, mut reason) = (false, "no root filesystem of this machine's board".to_owned());
    for tested in rootfses {
        let what = tested.name();
        if tested.rootfs.board.uname_machine() != std::env::consts::ARCH {
            checks.skip("run", &what, "a board of another machine");
            continue;
        }
        if tested.rkt_program.is_some() && !flags.vm && tested.flavor.as_str() != "coreos" {
            checks.skip("run", &what, "rkt runs the coreos flavor; --vm boots this one");
            continue;
        }
        match run_once(context, tested, flags)? {
            BootOutcome::Passed { method, took } => {
                ran = true;
                let message = format!("{method}: the marker was printed, {:.1} s", took.as_secs_f64());
                checks.pass("run", &what, &message);
            }
            BootOutcome::Failed { method, why, missing, tail, log } => {
                ran = true;
                let mut message = format!("{why} ({method})\n");
                message.extend(missing.iter().map(|item| describe_missing(tested, item, checks)));
                message.push_str(&tail);
                message.extend(log.map(|log| format!("full log: {}", log.display())));
                let file = missing.first().map(|item| manifest_of(tested, item, checks));
                checks.fail("run", &what, file, message.trim_end());
            }
            BootOutcome::Unsupported(why) => {
                checks.skip("run", &what, &why);
                reason = why;
            }
        }
    }
    if ran {
        return Ok(());
    }
    let option = if flags.vm || host::is_root() { "--no-run" } else { "--vm" };
    Err(Error::failed("the stage1 was not run")
        .with_cause(reason)
        .with_hint(context.rerun_command(&[option], &["no_run", "vm"])))
}

fn run_once(context: &Context<'_>, tested: &RootfsUnderTest, flags: &Smoketest) -> Result<BootOutcome> {
    let work_directory = &tested.work_directory;
    no_follow::create_dir_all(context.tree.root(), work_directory)?;
    let limit = Duration::from_secs(flags.timeout);
    let boot = Boot { rootfs: &tested.rootfs, systemd: read_systemd_version(tested), work_directory, limit };
    match &tested.rkt_program {
        _ if flags.vm => vm::run(&boot),
        Some(rkt) => rkt::run(&boot, rkt, flags.app.as_deref()),
        None => namespaces::run(&boot),
    }
}

/// The systemd version in the root filesystem, as recorded by the build.
fn read_systemd_version(tested: &RootfsUnderTest) -> Option<SystemdVersion> {
    let path = tested.rootfs.path.join("systemd-version");
    // A pipe might never be closed.
    let is_line = fs::symlink_metadata(&path).is_ok_and(|file| file.is_file() && file.len() < 100);
    is_line.then(|| fs::read_to_string(path).ok()?.trim().parse().ok()).flatten()
}

/// The manifest that should list the item: that of the file, or of the program that needs it.
fn manifest_of(tested: &RootfsUnderTest, item: &MissingItem, checks: &CheckLog<'_>) -> String {
    let file = item.found_at.as_ref().map(|found| &found.file).or(item.needed_by.as_ref());
    match file {
        Some(file) => checks.listing_manifest(tested, file.as_str()),
        None => checks.suggested_manifest(tested, &item.what),
    }
}

fn describe_missing(tested: &RootfsUnderTest, item: &MissingItem, checks: &CheckLog<'_>) -> String {
    let MissingItem { what, why, found_at, .. } = item;
    let manifest = manifest_of(tested, item, checks);
    match found_at {
        None => {
            let is_needed = what.contains(".so") || !what.contains('/');
            let suggestion = if is_needed { Suggestion::RunFix } else { Suggestion::add(&manifest, [what]) };
            let hint = checks.hint_line(&suggestion);
            format!("{what} is missing ({why}): {manifest} does not list it\n{hint}\n")
        }
        Some(UnreachableLibrary { file, missing_symlink: None }) => {
            format!("{what} was not found ({why}), although it exists: {file}\n")
        }
        Some(UnreachableLibrary { file, missing_symlink: Some(MissingSymlink { directory, link }) }) => {
            let hint = checks.hint_line(&Suggestion::add(&manifest, [link.as_str()]));
            format!(
                "{what} was not found ({why}): it is {file}, which {directory} reaches only through {link}: {manifest} \
                 does not list that\n{hint}\n"
            )
        }
    }
}
