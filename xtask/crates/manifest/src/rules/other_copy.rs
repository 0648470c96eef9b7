//! Rule: of several copies of a library, the listed one is the copy that the image's loader finds first. Advice: the
//! listed copy works.

use super::lint_state::{Lint, Problem};
use crate::finding::FindingKind;
use crate::suggestion::Suggestion;
use crate::unsatisfied_dependencies::{OtherCopy, other_copies};
use usr::path::UsrPath;

/// Reports libraries of which the manifests list another copy.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    let index = lint.index;
    for copy in other_copies(lint.selection, |path: &UsrPath| index.get(path.name()).len() > 1) {
        let OtherCopy { selected, chain, how, needed_by } = &copy;
        let Some(location) = lint.location(selected) else { continue };
        let path = chain.last().unwrap_or(selected);
        let unlisted: Vec<&UsrPath> = chain.iter().filter(|path| !lint.is_selected(path)).collect();
        let names = unlisted.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(", ");
        let file = location.file;
        let message =
            format!("{needed_by} loads {names} in the image, by the {how}; {file} lists {selected} instead");
        let problem = Problem::new(FindingKind::Advice, message, Suggestion::add(file, &unlisted));
        lint.emit(location, path.as_str(), problem.needed_by([needed_by]).candidates(unlisted));
    }
}
