//! Rule: the library that the loader takes defines each symbol version that its dependents need. Without a fix.

use super::lint_state::{Lint, subject_and_verb};
use crate::finding::FindingKind;

pub(super) fn check(lint: &mut Lint<'_, '_>) {
    for ((library, version), needed_by) in &lint.dependencies.undefined_versions {
        let location = needed_by.iter().chain([library]).find_map(|path| lint.selection.location(path));
        let Some(location) = location else { continue };
        let needs = subject_and_verb(needed_by);
        let message = format!("{needs} version {version} of {library}, which does not define it");
        let removal = lint.dependents.suggest_removal(needed_by, None);
        let finding = lint.finding(FindingKind::VersionUnsatisfied, location, library, message, removal);
        lint.emit(finding.needed_by(needed_by));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_rows;

    #[test]
    fn undefined_version_is_an_error() {
        check_rows(&[
            (
                &["bin/x libv.so.1@V2", "lib64/libv.so.1 +V1"],
                "bin/x\nlib64/libv.so.1\n",
                &["error version-unsatisfied 1 lib64/libv.so.1"],
                "bin/x\nlib64/libv.so.1\n",
                &["error version-unsatisfied 1 lib64/libv.so.1"],
            ),
            (
                &["bin/x libv.so.1@V2", "lib64/libv.so.1 +V1 +V2"],
                "bin/x\nlib64/libv.so.1\n",
                &[],
                "bin/x\nlib64/libv.so.1\n",
                &[],
            ),
        ]);
    }
}
