//! Rule: a listed directory is intended. The line adds everything below the directory (`unsquashfs -ef` in rkt's build);
//! if the name is typical of a file, the image has a directory instead of that file. Without a fix: the suggestion lists the
//! files instead, or those that listed files need.

use super::lint_state::{Lint, Problem};
use crate::finding::FindingKind;
use crate::replacement::is_file_name;
use crate::selection::Location;
use crate::suggestion::{LineEdit, Suggestion};
use usr::path::UsrPath;
use usr::tree::NodeKind;

/// The files that a suggestion lists in place of their directory.
const MAX_ADDED: usize = 100;

/// Reports each listed directory with files below it: as a warning if the name is typical of a file, else as advice.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    for (file, text) in lint.files() {
        for (at, line) in text.entries() {
            let Ok(path) = UsrPath::new(line) else { continue };
            let is_directory = |path: &UsrPath| {
                lint.index.tree.get(path.as_str()).is_some_and(|node| node.kind == NodeKind::Directory)
            };
            // `lib` and the like are redundant lines of the rule for missing paths.
            if path.parent().is_none() || !is_directory(&path) {
                continue;
            }
            let below = lint.index.tree.below(&path).filter(|(_, node)| node.kind != NodeKind::Directory);
            let below: Vec<&UsrPath> = below.map(|(path, _)| path).collect();
            if below.is_empty() {
                continue;
            }
            let count = below.len();
            let message =
                format!("{path} is a directory in this image: the line adds all {count} files below it");
            let kind = if is_file_name(&path) { FindingKind::Tidy } else { FindingKind::Advice };
            let mut kept = below;
            if kind == FindingKind::Tidy || count > MAX_ADDED {
                let needed = lint.needed_outside(&path);
                kept.retain(|path| needed.contains(*path));
            }
            let edit = LineEdit {
                file: file.to_owned(),
                add: kept.into_iter().map(ToString::to_string).collect(),
                remove: vec![line.to_owned()],
            };
            let problem = Problem::new(kind, message, Suggestion::EditManifest(vec![edit]));
            lint.emit(Location { file, line: at + 1 }, path.as_str(), problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_case::check_rows;

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
