//! Rule: the target of a listed symlink is listed. The fix adds the file, and symlinks on the path to it.

use std::collections::BTreeSet;

use super::fix_state::{Fixer, MAX_PASSES};
use super::lint_state::{Lint, Problem, joined_by_and};
use super::needs_unlisted::{Addition, apply};
use crate::finding::FindingKind;
use crate::selection::Selection;
use crate::suggestion::Suggestion;
use usr::path::UsrPath;
use usr::tree::{NodeKind, Target};

/// Reports listed symlinks that dangle in the built tree, except those that a dependency reports already.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    let dependencies: BTreeSet<&UsrPath> =
        lint.dependencies.unresolved.iter().flat_map(|unresolved| &unresolved.chain).collect();
    let selection = lint.selection;
    for path in &selection.paths {
        let Some(NodeKind::Symlink(target)) = selection.tree.get(path.as_str()).map(|node| &node.kind) else {
            continue;
        };
        let Some(location) = lint.location(path) else { continue };
        let resolved = selection.tree.resolve(path);
        let problem = match &resolved.end {
            Target::Node(end) => {
                let way = resolved.links.iter().chain([end]);
                let unlisted: Vec<&UsrPath> = way.filter(|step| !selection.will_contain(step)).collect();
                if unlisted.is_empty() || unlisted.iter().any(|step| dependencies.contains(step)) {
                    continue;
                }
                // A directory is not added for a symlink: that would add everything below it.
                let is_file = selection.tree.get(end.as_str()).is_some_and(|node| node.kind.is_file());
                let suggestion = if is_file { Suggestion::RunFix } else { lint.removal([path]) };
                let names = joined_by_and(&unlisted);
                let message =
                    format!("{path} is a symlink to {target}, and {} does not list {names}", location.file);
                Problem::new(FindingKind::Dangling, message, suggestion)
                    .needed_by([path])
                    .candidates(unlisted.iter().copied())
            }
            Target::Missing(end) => {
                let message = format!("{path} points to {end}, which is not in the image");
                Problem::new(FindingKind::Dangling, message, lint.removal([path]))
            }
            Target::TooManySymlinks => {
                let message = format!("symlink loop at {path}: more than 40 symlinks");
                Problem::new(FindingKind::Dangling, message, lint.removal([path]))
            }
            Target::UsrRoot | Target::OutsideUsr => continue,
        };
        lint.emit(location, path.as_str(), problem);
    }
}

/// Adds the files that listed symlinks point to.
pub(super) fn fix(fixer: &mut Fixer<'_>) {
    let accepted = fixer.accepted;
    let is_accepted = |path: &UsrPath, addition: &Addition| {
        accepted.contains(FindingKind::Dangling, &addition.file, path.as_str())
    };
    for flavor in fixer.flavors {
        for _ in 0..MAX_PASSES {
            let additions = fixer.with_selection(flavor, |selection| {
                let additions = selection.paths.iter().filter_map(|path| {
                    addition(path, selection).filter(|addition| !is_accepted(path, addition))
                });
                additions.collect::<Vec<_>>()
            });
            if !apply(fixer, &additions) {
                break;
            }
        }
    }
}

fn addition(path: &UsrPath, selection: &Selection<'_>) -> Option<Addition> {
    if !matches!(selection.tree.get(path.as_str())?.kind, NodeKind::Symlink(_)) {
        return None;
    }
    let location = selection.location(path)?;
    let resolved = selection.tree.resolve(path);
    let Target::Node(end) = &resolved.end else { return None };
    if !selection.tree.get(end.as_str())?.kind.is_file() {
        return None;
    }
    let unlisted = resolved.links.iter().chain([end]).filter(|step| !selection.paths.contains(*step));
    let lines: Vec<(UsrPath, String)> =
        unlisted.map(|step| (step.clone(), format!("{path} is a symlink that points to it"))).collect();
    (!lines.is_empty()).then(|| Addition { file: location.file.to_owned(), lines })
}

#[cfg(test)]
mod tests {
    use super::super::test_case::check_rows;

    #[test]
    fn symlink_target_is_added_if_it_is_a_file() {
        let image = &[
            "bin/a -> b",
            "bin/b -> ../lib64/c",
            "lib64/c",
            "bin/d -> ../share",
            "share/x",
            "bin/e -> e",
        ][..];
        let directory = "error dangling 1 bin/d";
        check_rows(&[
            (image, "bin/a\n", &["error dangling 1 bin/a"], "bin/a\nbin/b\nlib64/c\n", &[]),
            (image, "bin/d\n", &[directory], "bin/d\n", &[directory]),
            (image, "bin/d\nshare/x\n", &[], "bin/d\nshare/x\n", &[]),
            (image, "bin/e\n", &["error dangling 1 bin/e"], "bin/e\n", &["error dangling 1 bin/e"]),
            (
                &["bin/a -> gone"],
                "bin/a\n",
                &["error dangling 1 bin/a"],
                "bin/a\n",
                &["error dangling 1 bin/a"],
            ),
            (&["bin/a -> /etc/x"], "bin/a\n", &[], "bin/a\n", &[]),
        ]);
    }
}
