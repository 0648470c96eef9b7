//! The build as a check: runs it, and explains a failure.

use std::time::Instant;

use super::build::{Build, Explanation};
use super::check_log::{self, CheckLog};
use crate::images::ImageSet;
use coreos_types::{Error, Result};
use manifest::suggestion::Suggestion;

/// Number of last lines of the output that a failed build's message has.
const LAST_LINES: usize = 30;

/// Builds from verified images; returns whether that succeeded. A failure that no change of the tree can fix is also
/// an error: a missing program or library, a failed download, a full disk.
pub(super) fn check(build: &Build<'_>, images: &ImageSet, checks: &mut CheckLog<'_>) -> Result<bool> {
    let context = checks.context;
    let steps = if build.uses_autotools() { "autogen.sh, configure, make" } else { "make -C stage1" };
    if !build.uses_autotools() && !build.configure.is_empty() {
        context.term.warn("arguments for configure have no effect: the tree has no configure.ac");
    }
    context.term.stage("building", format!("clean, with {steps}"));
    let started = Instant::now();
    let outcome = build.clean_and_build(images)?;
    outcome.log.commands.iter().for_each(|command| context.term.detail("ran", command));
    if !outcome.restored.is_empty() {
        let files = outcome.restored.join(", ");
        context.term.stage("restored", format!("{files}: the build had changed them in the checkout"));
    }
    let log = outcome.log.path.display();
    let Some(failure) = outcome.failure else {
        checks.pass("build", steps, &format!("{:.1} s, log: {log}", started.elapsed().as_secs_f64()));
        return Ok(true);
    };
    let rerun = |with: &[&str], without: &[&str]| context.rerun_command(with, without);
    let drop_missing = checks.fix_invocation.hint(&Suggestion::RunFixDropMissing);
    let explained = build.explain_failure(&failure.output_tail, &rerun, drop_missing);
    let why = explained.as_ref().map(|explained| format!(": {}", explained.why)).unwrap_or_default();
    let lines = check_log::last_lines(failure.output_tail.lines(), LAST_LINES);
    let mut message = format!("{} failed ({}){why}\n{lines}full log: {log}", failure.command, failure.status);
    let in_tree = explained.as_ref().filter(|cause| !cause.is_outside_tree);
    message.extend(in_tree.map(|cause| format!("\nhint: {}", cause.hint)));
    checks.fail("build", steps, None, &message);
    match explained {
        Some(Explanation { why, hint, is_outside_tree: true }) => Err(Error::failed(why).with_hint(hint)),
        _ => Ok(false),
    }
}
