//! Rule: the program of a listed unit is listed. Without a fix: removing the unit may be the right decision.

use super::lint_state::Lint;
use crate::finding::{FindingKind, Severity};
use crate::suggestion::Suggestion;

/// Reports programs of units that are not listed. The severity is advice for a command with the
/// prefix `-`, and for one that the unit starts without.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    for reference in lint.exec_references.iter().filter(|reference| !reference.is_script) {
        let Some((program, in_image)) = reference.find_unlisted(lint.selection) else { continue };
        let Some(mut location) = lint.selection.location(&reference.referrer) else { continue };
        let (kind, suggestion) = if in_image {
            location = lint.selection.neighbor_for_addition(&program, location);
            let kind = if reference.may_fail { FindingKind::Advice } else { FindingKind::NeedsUnlisted };
            (kind, Suggestion::add(location.file, [&program]))
        } else if reference.is_needed_to_start() {
            (FindingKind::NeedsNowhere, lint.dependents.suggest_removal([&reference.referrer], None))
        } else if reference.may_fail {
            continue;
        } else {
            // The unit works without the program, so its line is not removed.
            (FindingKind::Advice, Suggestion::ChangeRelease)
        };
        let state = if in_image { "listed" } else { "in the image" };
        let message =
            format!("{} has {:?}, and {program} is not {state}", reference.referrer, reference.directive);
        let finding = lint.finding(kind, location, &program, message, suggestion);
        let severity = if kind == FindingKind::Advice { Severity::Advice } else { Severity::Warning };
        lint.emit(finding.needed_by([&reference.referrer]).severity(severity));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_rows;

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
