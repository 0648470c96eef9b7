//! Rule: systemd-journald and its unit are listed together. Without a fix.

use super::lint_state::Lint;
use crate::finding::{FindingKind, Severity};
use crate::suggestion::Suggestion;
use crate::unit_and_script_execs::incomplete_journald;

/// Reports the one that is not listed.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    let Some((listed, unlisted)) = incomplete_journald(lint.selection) else { return };
    let Some(location) = lint.selection.location(&listed) else { return };
    let location = lint.selection.nearest_entry(&unlisted, location);
    let message = format!("{listed} is listed without {unlisted}: no output of a unit would be seen");
    let suggestion = Suggestion::add(location.file, [&unlisted]);
    let finding = lint.finding(FindingKind::NeedsUnlisted, location, &unlisted, message, suggestion);
    lint.emit(finding.needed_by([&listed]).severity(Severity::Warning));
}

#[cfg(test)]
mod tests {
    use super::super::test_case::check_rows;

    #[test]
    fn journald_without_its_unit_is_a_warning() {
        check_rows(&[(
            &["lib/systemd/systemd-journald", "lib/systemd/system/systemd-journald.service = x"],
            "lib/systemd/systemd-journald\n",
            &["warning needs-unlisted 1 lib/systemd/system/systemd-journald.service"],
            "lib/systemd/systemd-journald\n",
            &["warning needs-unlisted 1 lib/systemd/system/systemd-journald.service"],
        )]);
    }
}
