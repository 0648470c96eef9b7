//! Whether every program and library of a root filesystem links, and whether the check of the manifests knew.

use std::thread::available_parallelism;

use super::Subject;
use super::checks::{self, Checks};
use crate::context::Context;
use crate::smoketest::link_check::{self, LinkCheck, LinkOutcome, LinkResult};
use coreos_types::error::{Error, Result};
use manifest::finding::{Finding, Severity};
use manifest::suggestion::Suggestion;
use usr::path::UsrPath;

/// Asks the loader; one check a file, and one that sums them up. `findings` are those of the check of the manifests,
/// where it was made.
pub(super) fn check(
    context: &Context<'_>,
    subject: &Subject,
    jobs: Option<usize>,
    findings: Option<&[Finding]>,
    checks: &mut Checks<'_>,
) -> Result<()> {
    let jobs = jobs.or_else(|| available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let (board, flavor) = (subject.rootfs.board, &subject.flavor);
    let linked = match link_check::check(&subject.rootfs, jobs)? {
        LinkOutcome::Checked(linked) => linked,
        LinkOutcome::LoaderFailed(failure) => {
            checks.fail("link", failure.loader.as_str(), None, format!("the loader {}", failure.reason));
            return Ok(());
        }
        LinkOutcome::Unconfined(reason) => {
            checks.skip("link", format!("{board} {flavor}"), reason.clone());
            return Err(Error::failed(
                "the link check was not run: the image's loader cannot be confined here",
            )
            .with_cause(reason)
            .with_hint(context.rerun(Some("--no-link"), &[])));
        }
    };
    let good = linked.files.iter().filter(|file| file.is_good()).count();
    for file in &linked.files {
        tell(context, subject, file, checks);
    }
    let sum = format!(
        "{good} of {} files link, {:.2} s ({})",
        linked.files.len(),
        linked.took.as_secs_f64(),
        linked.runner
    );
    if good == linked.files.len() {
        checks.pass("link", format!("{board} {flavor}"), sum);
    } else {
        context.term.warn(format!("link {board} {flavor}: {sum}"));
    }
    let disagreements =
        findings.map(|findings| disagreements(context, subject, &linked, findings)).unwrap_or_default();
    for (path, file, message) in disagreements {
        checks.fail("link", path, Some(file), message);
    }
    Ok(())
}

fn tell(context: &Context<'_>, subject: &Subject, linked: &LinkResult, checks: &mut Checks<'_>) {
    let (board, flavor) = (subject.rootfs.board, &subject.flavor);
    let file = linked.file.as_str();
    if linked.problems.is_empty() {
        return checks.pass_quietly("link", file, format!("{board} {flavor}"));
    }
    let problems = linked.problems.join("; ");
    if linked.is_good() {
        let programs = linked.satisfied_by.iter().map(UsrPath::as_str).collect::<Vec<_>>().join(", ");
        let message =
            format!("{board} {flavor}: alone, {problems}; it links where it is loaded, by {programs}");
        return checks.pass_quietly("link", file, message);
    }
    let home = checks::home_beside(context, board, flavor, file);
    let remedy = match &linked.links[..] {
        [] => Suggestion::Mend,
        links => Suggestion::add(&home, links.iter().map(UsrPath::as_str)),
    };
    let hint = checks.hint(&remedy);
    let message =
        format!("{problems}\n{board} {flavor}: {home} lists {file} and lacks what it needs\n{hint}");
    checks.fail("link", file, Some(home), message);
}

/// Where the real loader and the check of the manifests contradict each other: one of them is wrong, and a person
/// must know. The path, its manifest, and what each says.
fn disagreements(
    context: &Context<'_>,
    subject: &Subject,
    linked: &LinkCheck,
    findings: &[Finding],
) -> Vec<(String, String, String)> {
    let (board, flavor) = (subject.rootfs.board, &subject.flavor);
    // A line that two flavors share is told once, for the first of them: it may be the reason in the other as well.
    let of_board: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.board == board && finding.severity == Severity::Error)
        .collect();
    let knew = |file: &LinkResult| {
        let path = file.file.as_str();
        // One finding stands for a whole chain of needs: any that is open may be the reason.
        of_board.iter().any(|finding| finding.path == path || finding.needed_by.iter().any(|by| by == path))
            || file.problems.iter().all(|problem| of_board.iter().any(|finding| speaks_of(finding, problem)))
    };
    let unknown = linked.files.iter().filter(|file| !file.is_good() && !knew(file)).map(|file| {
        let said = file.problems.join("; ");
        let message = format!(
            "the loader and verify-manifests disagree: the loader says {said}, verify-manifests found nothing\n\
             {board} {flavor}; please report it, with {}",
            subject.rootfs.path.display()
        );
        let home = checks::home_beside(context, board, flavor, file.file.as_str());
        (file.file.to_string(), home, message)
    });
    let links =
        |by: &String| linked.files.iter().any(|file| file.file.as_str() == by && file.problems.is_empty());
    let of_flavor = of_board.iter().filter(|finding| finding.flavor == *flavor && is_about_links(finding));
    let unfounded = of_flavor.filter_map(|finding| {
        let all_link = !finding.needed_by.is_empty() && finding.needed_by.iter().all(links);
        let message = format!(
            "the loader and verify-manifests disagree: verify-manifests says {}, the loader links all that need it\n\
             {board} {flavor}",
            finding.message
        );
        all_link.then(|| (finding.path.clone(), finding.file.clone(), message))
    });
    unknown.chain(unfounded).collect()
}

fn speaks_of(finding: &Finding, problem: &str) -> bool {
    let name = problem.split(' ').next().unwrap_or(problem);
    finding.path.ends_with(name)
        || finding.message.contains(name)
        || finding.candidates.iter().any(|candidate| candidate.ends_with(name))
}

fn is_about_links(finding: &Finding) -> bool {
    matches!(finding.kind.id(), "needs-unlisted" | "needs-nowhere" | "version-unsatisfied")
}
