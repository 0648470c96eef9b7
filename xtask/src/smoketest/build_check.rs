//! The build as a check: runs it, and explains a failure.

use std::collections::BTreeSet;

use super::build::{Build, FailureCause};
use super::check_log::CheckLog;
use crate::context::Context;
use crate::images::ImageSet;
use coreos_types::{Error, Result, shell::quote};
use manifest::suggestion::Suggestion;

/// Builds from verified images; returns whether that succeeded. A failure that no change of the tree can fix is also
/// an error: a missing program or library, a failed download, a full disk.
///
/// # Errors
/// The build cannot be started; a program, the network or space is missing.
pub(super) fn check(build: &Build<'_>, images: &ImageSet<'_>, checks: &mut CheckLog<'_>) -> Result<bool> {
    let context = checks.context;
    let steps = if build.uses_autotools() { "autogen.sh, configure, make" } else { "make -C stage1" };
    if !build.uses_autotools() && !build.configure.is_empty() {
        context.term.warn("arguments for configure have no effect: the tree has no configure.ac");
    }
    context.term.stage("building", format!("clean, with {steps}"));
    let outcome = build.clean_and_build(images)?;
    outcome.log.commands.iter().for_each(|command| context.term.detail("ran", command));
    if !outcome.restored.is_empty() {
        let files = outcome.restored.join(", ");
        context.term.stage("restored", format!("{files}: the build had changed them in the checkout"));
    }
    let log = outcome.log.path.display();
    let Some(failure) = outcome.failure else {
        checks.pass("build", steps, &format!("{:.1} s, log: {log}", outcome.took.as_secs_f64()));
        return Ok(true);
    };
    let cause = failure.cause(build);
    let explained = explain(build, &cause, checks);
    let why = explained.as_ref().map(|(why, _)| format!(": {why}")).unwrap_or_default();
    let lines: String = failure.last_lines().iter().map(|line| format!("  | {line}\n")).collect();
    let mut message = format!("{} failed ({}){why}\n{lines}full log: {log}", failure.command, failure.status);
    let is_outside = matches!(
        cause,
        FailureCause::ProgramNotInstalled(_)
            | FailureCause::Configure(_)
            | FailureCause::Network { .. }
            | FailureCause::NoSpace
    );
    if let Some((_, hint)) = explained.as_ref().filter(|_| !is_outside) {
        message.push_str(&format!("\nhint: {hint}"));
    }
    checks.fail("build", steps, None, &message);
    match explained.filter(|_| is_outside) {
        Some((why, hint)) => Err(Error::failed(why).with_hint(hint)),
        None => Ok(false),
    }
}

/// The cause of the failure and a hint, if known.
fn explain(build: &Build<'_>, cause: &FailureCause, checks: &CheckLog<'_>) -> Option<(String, String)> {
    let context = checks.context;
    let this_run = || context.rerun_command(&[], &[]);
    let text = |text: &str| text.to_owned();
    Some(match cause {
        FailureCause::PathNotInImage => (
            text("a manifest lists a path that the image does not have"),
            checks.fix_invocation.hint(&Suggestion::RunFixDropMissing),
        ),
        FailureCause::ProgramNotInstalled(program) => (
            format!("the build needs {program}, which is not installed"),
            format!("install {program}, then: {}", this_run()),
        ),
        FailureCause::Configure(message) => {
            let option = match message {
                _ if message.starts_with("TPM ") => Some("--configure=--disable-tpm"),
                _ if message.starts_with("Host systemd-journal") => Some("--configure=--disable-sdjournal"),
                _ => None,
            };
            let other = text("add an argument for it: --configure=ARG");
            let other = option.map_or(other, |option| context.rerun_command(&[option], &[]));
            (message.clone(), format!("install what configure reports as missing, or: {other}"))
        }
        FailureCause::Network { url, flavor } => {
            let who = flavor.as_ref().map_or_else(String::new, |flavor| format!(" of flavor {flavor}"));
            let url = url.as_deref().unwrap_or("a file");
            let others = flavor.as_ref().and_then(|flavor| rerun_without_flavor(context, build, flavor));
            let connect = || text("connect to the network, or set the proxy variables of the environment");
            (format!("the build{who} downloads {url}, and that failed"), others.unwrap_or_else(connect))
        }
        FailureCause::NoSpace => {
            (text("the disk is full"), format!("free space on the disk of {}", build.tree.display()))
        }
        FailureCause::GoModules => (
            text("Go looked for a module, and the tree is older than Go modules"),
            format!("GO111MODULE=off {}", this_run()),
        ),
        FailureCause::FlavorsJoined => (
            text("GNU make 4.3 or later joined the names of the flavors"),
            context.rerun_command(&["--make", "_MISC_CTS_SPACE_=$() "], &[]),
        ),
        FailureCause::StaleBuild => {
            let directory = quote(&build.native_build_directory().display().to_string());
            (
                text("files of an earlier build may be in the way"),
                format!("rm -rf {directory} && {}", this_run()),
            )
        }
        FailureCause::Unknown => return None,
    })
}

/// This run with all flavors but one; `None` if no flavor remains.
fn rerun_without_flavor(context: &Context<'_>, build: &Build<'_>, flavor: &str) -> Option<String> {
    let boards = build.buildable_boards();
    let built = boards.iter().flat_map(|&board| build.flavors_to_build(board));
    let others: BTreeSet<String> =
        built.map(|built| built.to_string()).filter(|other| other != flavor).collect();
    let options: Vec<&str> = others.iter().flat_map(|other| ["--flavor", other]).collect();
    (!options.is_empty()).then(|| context.rerun_command(&options, &["flavors"]))
}
