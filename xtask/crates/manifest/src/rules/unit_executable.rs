//! Rule: the program of a listed unit is listed. Without a fix: removing the unit may be the right decision.

use super::lint_state::{Lint, Problem};
use crate::finding::{FindingKind, Severity};
use crate::selection::Location;
use crate::suggestion::Suggestion;
use crate::unit_and_script_execs::MissingExecutable;

/// Reports programs of units that are not listed. A command that may fail, or that the unit works without, is advice.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    let references = lint.exec_references;
    for missing in references.iter().filter_map(|reference| reference.missing(lint.selection)) {
        if !missing.reference.is_script
            && let Some(location) = lint.location(&missing.reference.referrer)
        {
            report(lint, &missing, location);
        }
    }
}

fn report<'a>(lint: &mut Lint<'a, '_>, missing: &MissingExecutable, unit: Location<'a>) {
    let reference = &missing.reference;
    let program = &missing.executable;
    let state = if missing.in_image { "listed" } else { "in the image" };
    let message =
        format!("{} has {:?}, and {program} is not {state}", reference.referrer, reference.directive);
    let (location, problem) = if missing.in_image {
        let location = lint.preferred_location(program, unit);
        let kind = if reference.may_fail { FindingKind::Advice } else { FindingKind::NeedsUnlisted };
        (location, Problem::new(kind, message, Suggestion::add(location.file, [program])))
    } else if reference.is_needed_to_start() {
        (unit, Problem::new(FindingKind::NeedsNowhere, message, lint.removal([&reference.referrer])))
    } else if reference.may_fail {
        return;
    } else {
        // The unit works without the program, so its line is not removed.
        (unit, Problem::new(FindingKind::Advice, message, Suggestion::ChangeRelease))
    };
    let is_advice = reference.may_fail || !missing.in_image && !reference.is_needed_to_start();
    let severity = if is_advice { Severity::Advice } else { Severity::Warning };
    lint.emit(location, program.as_str(), problem.needed_by([&reference.referrer]).severity(severity));
}

#[cfg(test)]
mod tests {
    use super::super::test_case::check_rows;

    #[test]
    fn program_of_a_unit_is_listed() {
        check_rows(&[
            (
                &["bin/x", "lib/systemd/system/a.service = [Service]\\nExecStart=/bin/x\\n"],
                "lib/systemd/system/a.service\n",
                &["warning needs-unlisted 1 bin/x"],
                "lib/systemd/system/a.service\n",
                &["warning needs-unlisted 1 bin/x"],
            ),
            (
                &[
                    "lib/systemd/system/a.service = [Service]\\nExecStart=/bin/x\\nExecStop=/bin/y\\nExecStopPost=-/bin/z\\n",
                ],
                "lib/systemd/system/a.service\n",
                &["warning needs-nowhere 1 bin/x", "advice advice 1 bin/y"],
                "lib/systemd/system/a.service\n",
                &["warning needs-nowhere 1 bin/x", "advice advice 1 bin/y"],
            ),
            (
                &["bin/x", "lib/systemd/system/a.service = [Service]\\nExecStart=-/bin/x\\n"],
                "lib/systemd/system/a.service\n",
                &["advice advice 1 bin/x"],
                "lib/systemd/system/a.service\n",
                &["advice advice 1 bin/x"],
            ),
        ]);
    }
}
