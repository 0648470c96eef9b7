//! Rule: systemd-journald and its unit are listed together: without both, no output of a unit is ever seen. Without a
//! fix.

use super::lint_state::Lint;
use crate::finding::{FindingKind, Severity};
use crate::suggestion::Suggestion;
use usr::UsrPath;

const PROGRAM: &str = "/systemd/systemd-journald";
const UNIT: &str = "/systemd/system/systemd-journald.service";

pub(super) fn check(lint: &mut Lint<'_, '_>) {
    let selection = lint.selection;
    let listed = |end: &str| selection.paths.iter().find(|path| path.as_str().ends_with(end));
    let (listed, end) = match (listed(PROGRAM), listed(UNIT)) {
        (Some(program), None) => (program, UNIT),
        (None, Some(unit)) => (unit, PROGRAM),
        _ => return,
    };
    let in_image = selection.tree.paths().find(|path| path.as_str().ends_with(end));
    // Without one in the image, it belongs in the same top directory, `lib` or `lib64`.
    let top = listed.components().next().unwrap_or_default();
    let Some(unlisted) = in_image.cloned().or_else(|| UsrPath::new(&format!("{top}{end}")).ok()) else {
        return;
    };
    let Some(location) = selection.location(listed) else { return };
    let location = selection.neighbor_for_addition(&unlisted, location);
    let message = format!("{listed} is listed without {unlisted}: no output of a unit would be seen");
    let suggestion = Suggestion::add(location.file, [&unlisted]);
    let finding = lint.finding(FindingKind::NeedsUnlisted, location, &unlisted, message, suggestion);
    lint.emit(finding.needed_by([listed]).severity(Severity::Warning));
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_rows;

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
