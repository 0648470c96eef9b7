//! Rule: of several copies of a library, the listed one is the copy that the image's loader finds first. Advice: the
//! listed copy works.

use super::lint_state::{Lint, join};
use usr::UsrPath;

pub(super) fn check(lint: &mut Lint<'_, '_>) {
    for ((selected, chain), load) in &lint.dependencies.different_providers {
        let (needed_by, how) = (&load.needed_by, &load.how);
        let Some(location) = lint.selection.location(selected) else { continue };
        let unlisted: Vec<&UsrPath> =
            chain.iter().filter(|path| !lint.selection.paths.contains(*path)).collect();
        let (names, file) = (join(&unlisted, ", "), location.file);
        let message =
            format!("{needed_by} loads {names} in the image, by the {how}; {file} lists {selected} instead");
        lint.advise_adding(location, chain.last().unwrap_or(selected), needed_by, &unlisted, message);
    }
}
