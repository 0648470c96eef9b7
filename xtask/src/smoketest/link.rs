//! Whether every program and library of a root filesystem links, and whether the check of the manifests agrees.

use std::collections::BTreeMap;
use std::thread::available_parallelism;

use super::RootfsUnderTest;
use super::check_log::{self, CheckLog};
use crate::context::Context;
use crate::report::Report;
use crate::smoketest::link_check::{self, LinkCheck, LinkOutcome, LinkResult, LoaderRunner};
use coreos_types::error::{Error, Result};
use manifest::finding::{Finding, Severity};
use manifest::suggestion::Suggestion;
use usr::path::UsrPath;

/// Runs the loader on every file: one check for each that links, one for each problem, and a sum. `static_check`
/// has the findings of the manifests, where these were checked for this root filesystem; the problem of an accepted one is
/// skipped.
pub(super) fn check(
    context: &Context<'_>,
    tested: &RootfsUnderTest,
    jobs: Option<usize>,
    static_check: Option<&Report>,
    checks: &mut CheckLog<'_>,
) -> Result<()> {
    let jobs = jobs.or_else(|| available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let name = tested.name();
    let mut linked = match link_check::check(&tested.rootfs, jobs)? {
        LinkOutcome::Checked(linked) => linked,
        LinkOutcome::LoaderFailed(failure) => {
            checks.fail("link", failure.loader.as_str(), None, format!("the loader {}", failure.reason));
            return Ok(());
        }
        LinkOutcome::Unconfined(reason) => {
            checks.skip("link", name, reason.clone());
            return Err(Error::failed(
                "the link check was not run: the image's loader cannot be confined here",
            )
            .with_cause(reason)
            .with_hint(context.rerun(&["--no-link"], &[])));
        }
    };
    let accepted = static_check.map_or(&[][..], |report| &report.accepted);
    skip_accepted(&name, &mut linked, accepted, checks);
    let good = linked.files.iter().filter(|file| file.is_good()).count();
    linked.files.iter().filter(|file| file.is_good()).for_each(|file| record_good(&name, file, checks));
    record_problems(context, tested, &linked, checks);
    let seconds = linked.took.as_secs_f64();
    let sum = format!("{good} of {} files link, {seconds:.2} s ({})", linked.files.len(), linked.runner);
    if good == linked.files.len() {
        checks.pass("link", name, sum);
    } else {
        context.term.warn(format!("link {name}: {sum}"));
    }
    if let Some(report) = static_check.filter(|_| !matches!(linked.runner, LoaderRunner::Simulated(_))) {
        record_disagreements(context, tested, &linked, &report.findings, checks);
    }
    Ok(())
}

fn record_good(name: &str, linked: &LinkResult, checks: &mut CheckLog<'_>) {
    let file = linked.file.as_str();
    if linked.problems.is_empty() {
        return checks.pass_quietly("link", file, name);
    }
    let programs = linked.satisfied_by.iter().map(UsrPath::as_str).collect::<Vec<_>>().join(", ");
    let problems = linked.problems.join("; ");
    let message = format!("{name}: alone, {problems}; it links where it is loaded, by {programs}");
    checks.pass_quietly("link", file, message);
}

/// Skips the problems of accepted findings: a file without others counts as one that links.
fn skip_accepted(
    name: &str,
    linked: &mut LinkCheck,
    accepted: &[(Finding, String)],
    checks: &mut CheckLog<'_>,
) {
    for file in linked.files.iter_mut().filter(|file| !file.is_good()) {
        let path = file.file.clone();
        file.problems.retain(|problem| {
            let reason = accepted.iter().find(|(finding, _)| explains(finding, path.as_str(), problem));
            if let Some((_, reason)) = reason {
                checks.skip("link", path.as_str(), format!("{name}: {problem}; accepted: {}", reason.trim()));
            }
            reason.is_none()
        });
    }
    linked.files.retain(|file| file.is_good() || !file.problems.is_empty());
}

/// The files that do not link, by problem: one message per cause.
fn record_problems(
    context: &Context<'_>,
    tested: &RootfsUnderTest,
    linked: &LinkCheck,
    checks: &mut CheckLog<'_>,
) {
    let mut by_problem: BTreeMap<&str, Vec<&LinkResult>> = BTreeMap::new();
    for file in linked.files.iter().filter(|file| !file.is_good()) {
        for problem in &file.problems {
            by_problem.entry(problem).or_default().push(file);
        }
    }
    for (problem, files) in by_problem {
        let first = files[0].file.as_str();
        let manifest = check_log::listing_manifest(context, tested.rootfs.board, &tested.flavor, first);
        let links = files.iter().flat_map(|file| &file.links).map(UsrPath::as_str);
        let links: Vec<&str> = links.filter(|link| problem.contains(*link)).collect();
        let hint = match &links[..] {
            // No change of a manifest fixes a crash.
            _ if is_crash(problem) => String::new(),
            [] => format!("\n{}", checks.hint(&Suggestion::RunFix)),
            links => format!("\n{}", checks.hint(&Suggestion::add(&manifest, links.iter().copied()))),
        };
        let paths: Vec<&str> = files.iter().map(|file| file.file.as_str()).collect();
        let others = check_log::and_others(&paths[1..]);
        let name = tested.name();
        let message = format!("{problem}{others}\n{name}: {manifest} lists {first}{hint}");
        checks.fail("link", first, Some(manifest), message);
    }
}

/// Whether a problem is that the loader itself failed.
fn is_crash(problem: &str) -> bool {
    problem.starts_with("the loader ")
}

/// Reports disagreements: the loader does not find a library that verify-manifests considers resolved.
fn record_disagreements(
    context: &Context<'_>,
    tested: &RootfsUnderTest,
    linked: &LinkCheck,
    findings: &[Finding],
    checks: &mut CheckLog<'_>,
) {
    // A line that two flavors share has one finding, for the first flavor.
    let is_same_board = |finding: &&Finding| finding.board == tested.rootfs.board;
    let errors: Vec<&Finding> =
        findings.iter().filter(is_same_board).filter(|finding| finding.severity == Severity::Error).collect();
    let is_known = |file: &LinkResult, problem: &String| {
        errors.iter().any(|finding| explains(finding, file.file.as_str(), problem))
    };
    let mut by_problem: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in linked.files.iter().filter(|file| !file.is_good()) {
        for problem in file.problems.iter().filter(|problem| !is_crash(problem) && !is_known(file, problem)) {
            by_problem.entry(problem).or_default().push(file.file.as_str());
        }
    }
    for (problem, paths) in by_problem {
        let manifest = check_log::listing_manifest(context, tested.rootfs.board, &tested.flavor, paths[0]);
        let others = check_log::and_others(&paths[1..]);
        let message = format!(
            "the loader and verify-manifests disagree: the loader reports {problem}, verify-manifests found nothing{others}\n\
             {}; please report it, with {}",
            tested.name(),
            tested.rootfs.path.display()
        );
        checks.fail("link", paths[0], Some(manifest), message);
    }
}

/// Whether a finding is the cause of a problem of the file at `path`.
fn explains(finding: &Finding, path: &str, problem: &str) -> bool {
    finding.path == path || finding.needed_by.iter().any(|by| by == path) || mentions(finding, problem)
}

/// Whether a finding is about the library that a problem names first.
fn mentions(finding: &Finding, problem: &str) -> bool {
    let name = problem.split(' ').next().unwrap_or(problem);
    finding.path.ends_with(name)
        || finding.message.contains(name)
        || finding.candidates.iter().any(|candidate| candidate.ends_with(name))
}
