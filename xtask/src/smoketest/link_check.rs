//! Whether every program and library of a root filesystem links, and whether the check of the manifests agrees.

use std::collections::BTreeMap;
use std::thread::available_parallelism;
use std::time::Instant;

use super::RootfsUnderTest;
use super::check_log::{self, CheckLog};
use crate::smoketest::loader_run::{self, LinkResult, LoaderRunner};
use coreos_types::{Error, Result};
use manifest::finding::Finding;
use manifest::suggestion::Suggestion;
use usr::UsrPath;

/// Runs the loader on every file: one check for each that links, one for each problem, and a sum. The problem of an
/// accepted finding is skipped. `is_verified` is set where `verify-manifests` found no error in the same files.
pub(super) fn check(
    tested: &RootfsUnderTest,
    jobs: Option<usize>,
    accepted: &[(Finding, String)],
    is_verified: bool,
    checks: &mut CheckLog<'_>,
) -> Result<()> {
    let jobs = jobs.or_else(|| available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let name = tested.name();
    let started = Instant::now();
    let runner = match LoaderRunner::detect(&tested.rootfs) {
        Ok(runner) => runner,
        Err(reason) => {
            checks.skip("link", &name, &reason);
            let error = "the link check was not run: the image's loader cannot be confined here";
            let hint = checks.context.rerun_command(&["--no-link"], &[]);
            return Err(Error::failed(error).with_cause(reason).with_hint(hint));
        }
    };
    let mut linked = match loader_run::check(&tested.rootfs, &runner, jobs)? {
        Ok(linked) => linked,
        Err(failure) => {
            checks.fail("link", &failure.loader, None, &format!("the loader {}", failure.reason));
            return Ok(());
        }
    };
    skip_accepted(&name, &mut linked, accepted, checks);
    let (good, bad): (Vec<_>, Vec<_>) = linked.iter().partition(|file| file.is_good());
    good.iter().for_each(|file| record_good(&name, file, checks));
    let is_disagreement = is_verified && matches!(runner, LoaderRunner::Confined(_));
    record_problems(tested, &bad, is_disagreement, checks);
    let (seconds, all) = (started.elapsed().as_secs_f64(), linked.len());
    let sum = format!("{} of {all} files link, {seconds:.2} s ({runner})", good.len());
    if bad.is_empty() {
        checks.pass("link", &name, &sum);
    } else {
        checks.context.term.warn(format!("link {name}: {sum}"));
    }
    Ok(())
}

fn record_good(name: &str, linked: &LinkResult, checks: &mut CheckLog<'_>) {
    let mut message = name.to_owned();
    if !linked.problems.is_empty() {
        let programs = linked.satisfied_by.iter().map(UsrPath::as_str).collect::<Vec<_>>().join(", ");
        let problems = linked.problems.join("; ");
        message.push_str(&format!(": alone, {problems}; it links where it is loaded, by {programs}"));
    }
    checks.pass_quietly("link", linked.file.as_str(), &message);
}

/// Skips the problems of accepted findings: a file without others counts as one that links.
fn skip_accepted(
    name: &str,
    linked: &mut Vec<LinkResult>,
    accepted: &[(Finding, String)],
    checks: &mut CheckLog<'_>,
) {
    for file in linked.iter_mut().filter(|file| !file.is_good()) {
        let path = file.file.as_str();
        file.problems.retain(|problem| {
            let reason = accepted.iter().find(|(finding, _)| explains(finding, path, problem));
            if let Some((_, reason)) = reason {
                checks.skip("link", path, &format!("{name}: {problem}; accepted: {}", reason.trim()));
            }
            reason.is_none()
        });
    }
    linked.retain(|file| file.is_good() || !file.problems.is_empty());
}

/// Records the files that do not link, by problem: one message per cause.
fn record_problems(
    tested: &RootfsUnderTest,
    bad: &[&LinkResult],
    is_disagreement: bool,
    checks: &mut CheckLog<'_>,
) {
    let mut by_problem: BTreeMap<&str, Vec<&LinkResult>> = BTreeMap::new();
    for file in bad {
        file.problems.iter().for_each(|problem| by_problem.entry(problem).or_default().push(file));
    }
    for (problem, files) in by_problem {
        let first = files[0].file.as_str();
        let manifest = checks.listing_manifest(tested, first);
        let links = files.iter().flat_map(|file| &file.missing_symlinks).map(UsrPath::as_str);
        let links: Vec<&str> = links.filter(|link| problem.contains(*link)).collect();
        // No change of a manifest fixes a loader that fails.
        let is_crash = problem.starts_with("the loader ");
        let hint = match &links[..] {
            _ if is_crash => String::new(),
            [] => format!("\n{}", checks.hint_line(&Suggestion::RunFix)),
            links => format!("\n{}", checks.hint_line(&Suggestion::add(&manifest, links.iter().copied()))),
        };
        let mut message = problem.to_owned();
        if !is_crash && is_disagreement {
            let path = tested.rootfs.path.display();
            message.push_str("\nthe loader and verify-manifests disagree: verify-manifests found nothing; ");
            message.push_str(&format!("please report it, with {path}"));
        }
        let paths: Vec<&str> = files.iter().map(|file| file.file.as_str()).collect();
        message.push_str(&check_log::and_others(&paths[1..]));
        message.push_str(&format!("\n{}: {manifest} lists {first}{hint}", tested.name()));
        checks.fail("link", first, Some(manifest), &message);
    }
}

/// Whether a finding is the cause of a problem of the file at `path`: it is about that file, or about the library that the
/// problem names first.
fn explains(finding: &Finding, path: &str, problem: &str) -> bool {
    if finding.path == path || finding.needed_by.iter().any(|by| by == path) {
        return true;
    }
    let first = problem.split([' ', ':']).next().unwrap_or(problem);
    let library = first.rsplit('/').next().filter(|name| name.contains(".so"));
    library.is_some_and(|name| {
        finding.path.ends_with(name)
            || finding.message.contains(name)
            || finding.candidates.iter().any(|candidate| candidate.ends_with(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    #[test]
    fn finding_explains_problems_of_its_files_and_library() {
        let finding = Finding {
            path: "lib64/libpam.so.0".into(),
            needed_by: vec!["bin/su".into()],
            candidates: Vec::new(),
            message: "the file bin/su needs libpam.so.0".into(),
            ..fixtures::bump().findings.remove(0)
        };
        for (path, problem, expected) in [
            ("bin/su", "the loader was killed by SIGSEGV", true),
            ("lib64/libpam.so.0", "x", true),
            ("bin/login", "libpam.so.0 is not found", true),
            ("bin/login", "/usr/lib64/libpam.so.0: file too short", true),
            ("bin/login", "libz.so.1 is not found", false),
            // The words of a problem are in any message.
            ("bin/login", "the loader was killed by SIGSEGV", false),
            ("bin/login", "file is truncated", false),
        ] {
            assert_eq!(explains(&finding, path, problem), expected, "{path}: {problem}");
        }
    }
}
