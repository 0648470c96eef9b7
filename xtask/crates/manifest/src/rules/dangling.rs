//! Rule: the target of a listed symlink is listed. The fix adds the file, and symlinks on the path to it.

use super::fix_state::Fixer;
use super::lint_state::{Lint, join};
use super::needs_unlisted::{Addition, add_until_complete};
use crate::finding::FindingKind;
use crate::selection::Selection;
use crate::suggestion::Suggestion;
use usr::{NodeKind, ResolutionEnd, UsrPath};

/// Reports listed symlinks that dangle in the built tree, except those that a dependency reports already.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    let selection = lint.selection;
    for path in &selection.paths {
        let Some(NodeKind::Symlink(target)) = selection.tree.get(path.as_str()).map(|node| &node.kind) else {
            continue;
        };
        let Some(location) = selection.location(path) else { continue };
        let removal = |lint: &Lint<'_, '_>| lint.dependents.suggest_removal([path], None);
        let resolved = selection.tree.resolve(path);
        let unlisted: Vec<&UsrPath> = resolved.paths().filter(|step| !selection.will_contain(step)).collect();
        let (message, suggestion) = match &resolved.end {
            ResolutionEnd::Node(_) if unlisted.is_empty() => continue,
            ResolutionEnd::Node(_) if unlisted.iter().any(|step| lint.dependency_paths.contains(step)) => {
                continue;
            }
            ResolutionEnd::Node(end) => {
                let (file, names) = (location.file, join(&unlisted, " and "));
                // A directory is not added for a symlink: that would add everything below it.
                let suggestion = if lint.index.is_file(end) { Suggestion::RunFix } else { removal(lint) };
                (format!("{path} is a symlink to {target}, and {file} does not list {names}"), suggestion)
            }
            ResolutionEnd::Missing(end) => {
                (format!("{path} points to {end}, which is not in the image"), removal(lint))
            }
            ResolutionEnd::TooManySymlinks => {
                (format!("symlink loop at {path}: more than 40 symlinks"), removal(lint))
            }
            ResolutionEnd::UsrRoot | ResolutionEnd::OutsideUsr => continue,
        };
        let mut finding = lint.finding(FindingKind::Dangling, location, path, message, suggestion);
        if resolved.end.node().is_some() {
            finding = finding.needed_by([path]).candidates(unlisted);
        }
        lint.emit(finding);
    }
}

/// Adds the files that listed symlinks point to.
pub(super) fn fix(fixer: &mut Fixer<'_>) {
    add_until_complete(fixer, FindingKind::Dangling, |selection| {
        let additions = selection.paths.iter().filter_map(|path| addition(path, selection));
        (additions.collect(), Vec::new())
    });
}

fn addition(path: &UsrPath, selection: &Selection<'_>) -> Option<Addition> {
    if !matches!(selection.tree.get(path.as_str())?.kind, NodeKind::Symlink(_)) {
        return None;
    }
    let file = selection.location(path)?.file.to_owned();
    let resolved = selection.tree.resolve(path);
    if !selection.tree.get(resolved.end.node()?.as_str())?.kind.is_file() {
        return None;
    }
    let unlisted = resolved.paths().filter(|step| !selection.paths.contains(*step));
    let reason = format!("{path} is a symlink that points to it");
    let lines = unlisted.map(|step| (step.clone(), reason.clone())).collect();
    Some(Addition { file, resolves: path.clone(), lines })
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_rows;

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
