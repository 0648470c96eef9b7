//! Rule: the dependencies of a listed file are in the image. Without a fix: the suggestion removes the file and its
//! dependents.

use super::lint_state::{Lint, Problem, subject};
use crate::finding::FindingKind;

/// Reports each dependency that the image does not have.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    let dependencies = lint.dependencies;
    for unresolved in &dependencies.unresolved {
        let name = &unresolved.name;
        if unresolved.chain.iter().any(|path| !lint.is_selected(path)) {
            continue;
        }
        let Some(location) = unresolved.selected_dependent.as_ref().and_then(|path| lint.location(path))
        else {
            continue;
        };
        let suggestion = lint.removal_without(&unresolved.needed_by, name);
        let searched = if unresolved.searched.is_empty() {
            "the whole image".to_owned()
        } else {
            unresolved.searched.join(", ")
        };
        let needs = subject(&unresolved.needed_by);
        let message = format!("{needs} {name}, which is nowhere in the image (searched: {searched})");
        let problem = Problem::new(FindingKind::NeedsNowhere, message, suggestion);
        lint.emit(location, name, problem.needed_by(&unresolved.needed_by));
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_case::check_rows;

    #[test]
    fn dependency_missing_from_image_remains() {
        check_rows(&[(
            &["bin/x libgone.so.1"],
            "bin/x\n",
            &["error needs-nowhere 1 libgone.so.1"],
            "bin/x\n",
            &["error needs-nowhere 1 libgone.so.1"],
        )]);
    }
}
