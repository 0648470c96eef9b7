//! The build as a check: runs it, and explains a failure.

use std::collections::BTreeSet;

use super::build::{Build, BuildFailure, Cause};
use super::check_log::CheckLog;
use crate::context::Context;
use crate::images::ImageSet;
use coreos_types::error::{Error, Result};
use coreos_types::shell::quote;
use manifest::suggestion::Suggestion;

/// Builds from verified images; returns whether that succeeded. A failure that no change of the tree can fix is also
/// an error: a missing program or library, a failed download, a full disk.
///
/// # Errors
/// The build cannot be started; a program, the network or space is missing.
pub(super) fn run(build: &Build<'_>, images: &ImageSet<'_>, checks: &mut CheckLog<'_>) -> Result<bool> {
    let context = checks.context;
    let steps = if build.is_rkt() { "autogen.sh, configure, make" } else { "make -C stage1" };
    if !build.is_rkt() && !build.configure.is_empty() {
        context.term.warn("arguments for configure have no effect: the tree has no configure.ac");
    }
    context.term.stage("building", format!("clean, with {steps}"));
    let outcome = build.run(images)?;
    outcome.commands.iter().for_each(|command| context.term.detail("ran", command));
    if !outcome.restored.is_empty() {
        let files = outcome.restored.join(", ");
        context.term.stage("restored", format!("{files}: the build had changed them in the checkout"));
    }
    let log = outcome.log.display();
    let Some(failure) = outcome.failure else {
        checks.pass("build", steps, &format!("{:.1} s, log: {log}", outcome.took.as_secs_f64()));
        return Ok(true);
    };
    let BuildFailure { command, status, last_lines, cause } = &failure;
    let (why, hint) = explain(build, cause, checks);
    let mut message = format!("{command} failed ({status})");
    if let Some(why) = &why {
        message.push_str(&format!(": {why}"));
    }
    message.push('\n');
    last_lines.lines().for_each(|line| message.push_str(&format!("  | {line}\n")));
    message.push_str(&format!("full log: {log}"));
    let is_outside = matches!(
        cause,
        Cause::ProgramNotInstalled(_) | Cause::Configure(_) | Cause::Network { .. } | Cause::NoSpace
    );
    if let Some(hint) = hint.as_ref().filter(|_| !is_outside) {
        message.push_str(&format!("\nhint: {hint}"));
    }
    checks.fail("build", steps, None, &message);
    match (why.filter(|_| is_outside), hint) {
        (Some(why), Some(hint)) => Err(Error::failed(why).with_hint(hint)),
        (Some(why), None) => Err(Error::failed(why)),
        (None, _) => Ok(false),
    }
}

/// The cause of the failure and a hint, if known.
fn explain(build: &Build<'_>, cause: &Cause, checks: &CheckLog<'_>) -> (Option<String>, Option<String>) {
    let context = checks.context;
    let this_run = || context.rerun(&[], &[]);
    match cause {
        Cause::PathNotInImage => (
            Some("a manifest lists a path that the image does not have".into()),
            Some(checks.fix.hint(&Suggestion::RunFixDropMissing)),
        ),
        Cause::ProgramNotInstalled(program) => (
            Some(format!("the build needs {program}, which is not installed")),
            Some(format!("install {program}, then: {}", this_run())),
        ),
        Cause::Configure(message) => {
            let hint = match disabling_configure_option(message) {
                Some(option) => {
                    format!(
                        "install what configure reports as missing, or: {}",
                        context.rerun(&[option], &[])
                    )
                }
                None => {
                    "install what configure reports as missing, or add an argument for it: --configure=ARG"
                        .to_owned()
                }
            };
            (Some(message.clone()), Some(hint))
        }
        Cause::Network { url, flavor } => {
            let (cause, hint) = explain_network(context, build, url.as_deref(), flavor.as_deref());
            (Some(cause), Some(hint))
        }
        Cause::NoSpace => (
            Some("the disk is full".into()),
            Some(format!("free space on the disk of {}", build.tree.display())),
        ),
        Cause::GoModules => (
            Some("Go looked for a module, and the tree is older than Go modules".into()),
            Some(format!("GO111MODULE=off {}", this_run())),
        ),
        Cause::FlavorsJoined => (
            Some("GNU make 4.3 or later joined the names of the flavors".into()),
            Some(context.rerun(&["--make", "_MISC_CTS_SPACE_=$() "], &[])),
        ),
        Cause::StaleBuild => {
            let directory = quote(&build.directory().display().to_string());
            let hint = format!("rm -rf {directory} && {}", this_run());
            (Some("files of an earlier build may be in the way".into()), Some(hint))
        }
        Cause::Unknown => (None, None),
    }
}

/// Message and hint for a build that needs the network: which flavor downloads what, and how to build the others.
fn explain_network(
    context: &Context<'_>,
    build: &Build<'_>,
    url: Option<&str>,
    flavor: Option<&str>,
) -> (String, String) {
    let url = url.unwrap_or("a file");
    let cause = match flavor {
        Some(flavor) => format!("the build of flavor {flavor} downloads {url}, and that failed"),
        None => format!("the build downloads {url}, and that failed"),
    };
    let others = flavor.and_then(|flavor| without_flavor(context, build, flavor));
    let connect = || "connect to the network, or set the proxy variables of the environment".to_owned();
    (cause, others.unwrap_or_else(connect))
}

/// The option that turns off the feature of a message of rkt's `configure`.
fn disabling_configure_option(message: &str) -> Option<&'static str> {
    match message {
        _ if message.starts_with("TPM ") => Some("--configure=--disable-tpm"),
        _ if message.starts_with("Host systemd-journal") => Some("--configure=--disable-sdjournal"),
        _ => None,
    }
}

/// This run with all flavors but one; `None` if no flavor remains.
fn without_flavor(context: &Context<'_>, build: &Build<'_>, flavor: &str) -> Option<String> {
    let boards = build.boards();
    let built = boards.iter().flat_map(|&board| build.flavors(board));
    let others: BTreeSet<String> =
        built.map(|built| built.to_string()).filter(|other| other != flavor).collect();
    let options: Vec<&str> = others.iter().flat_map(|other| ["--flavor", other]).collect();
    (!options.is_empty()).then(|| context.rerun(&options, &["flavors"]))
}
