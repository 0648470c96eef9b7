//! Rule: a listed directory is intended. The line adds everything below the directory (`unsquashfs -ef` in rkt's build);
//! if the name is typical of a file, the image has a directory instead of that file. No automatic fix. The suggestion
//! replaces the line by its files; for a file-like name or more than [`MAX_ADDED`] files, only by those that other listed
//! files need.

use super::lint_state::Lint;
use crate::finding::FindingKind;
use crate::image_index::looks_like_file;
use crate::suggestion::Suggestion;
use usr::{Node, NodeKind, UsrPath};

/// Limit of the files that a suggestion lists in place of their directory.
const MAX_ADDED: usize = 100;

/// Reports each listed directory with files below it: as a warning if the name is typical of a file, else as advice.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    for (location, line) in lint.selection.entries() {
        let Ok(path) = UsrPath::new(line) else { continue };
        if !matches!(lint.index.tree.get(path.as_str()), Some(Node { kind: NodeKind::Directory, .. })) {
            continue;
        }
        let below = lint.index.tree.below(&path).filter(|(_, node)| node.kind != NodeKind::Directory);
        let mut files: Vec<&UsrPath> = below.map(|(path, _)| path).collect();
        // `lib` and the like are redundant lines of the rule for missing paths.
        if path.parent().is_none() || files.is_empty() {
            continue;
        }
        let count = files.len();
        let message =
            format!("{path} is a directory in this image: the line adds all {count} files below it");
        let kind = if looks_like_file(&path) { FindingKind::Tidy } else { FindingKind::Advice };
        if kind == FindingKind::Tidy || count > MAX_ADDED {
            let needed = lint.dependents.needed_from_outside(&path);
            files.retain(|path| needed.contains(*path));
        }
        let suggestion = Suggestion::edit(location.file, files, Some(line));
        lint.emit(lint.finding(kind, location, &path, message, suggestion));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_rows;

    #[test]
    fn directory_in_place_of_a_file_is_a_warning() {
        check_rows(&[
            (
                &["share/x/a", "share/x/b"],
                "share/x\n",
                &["advice advice 1 share/x"],
                "share/x\n",
                &["advice advice 1 share/x"],
            ),
            (&["bin/x/a"], "bin/x\n", &["warning tidy 1 bin/x"], "bin/x\n", &["warning tidy 1 bin/x"]),
            (
                &["lib/liba.so.1/a"],
                "lib/liba.so.1\n",
                &["warning tidy 1 lib/liba.so.1"],
                "lib/liba.so.1\n",
                &["warning tidy 1 lib/liba.so.1"],
            ),
            (
                &["lib/a.service.d/b"],
                "lib/a.service.d\n",
                &["advice advice 1 lib/a.service.d"],
                "lib/a.service.d\n",
                &["advice advice 1 lib/a.service.d"],
            ),
            (&["share/x/a"], "share\n", &["warning tidy 1 share"], "", &[]),
        ]);
    }
}
