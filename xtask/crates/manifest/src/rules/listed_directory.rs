//! Rule: a listed directory is intended. The line adds everything below the directory (`unsquashfs -ef` in rkt's build);
//! if the name is typical of a file, the image has a directory instead of that file. Without a fix.

use super::lint_state::{Lint, Problem};
use crate::finding::FindingKind;
use crate::library_name::LibraryName;
use crate::selection::Location;
use crate::suggestion::Suggestion;
use usr::path::UsrPath;
use usr::tree::NodeKind;

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
            let below =
                lint.index.tree.below(&path).filter(|(_, node)| node.kind != NodeKind::Directory).count();
            let kind = if is_file_name(&path) { FindingKind::Tidy } else { FindingKind::Advice };
            let message =
                format!("{path} is a directory in this image: the line adds all {below} files below it");
            let suggestion = Suggestion::remove([(file, path.as_str())]);
            if below > 0 {
                lint.emit(
                    Location { file, line: at + 1 },
                    path.as_str(),
                    Problem::new(kind, message, suggestion),
                );
            }
        }
    }
}

/// Whether a path has a name that only files have: in a directory of programs, or with an extension. Directories of
/// systemd and others have extensions too (`.d`, `.wants`).
fn is_file_name(path: &UsrPath) -> bool {
    const OF_DIRECTORIES: [&str; 4] = ["d", "wants", "requires", "upholds"];
    let extension = path.name().rsplit_once('.').map(|(_, extension)| extension);
    matches!(path.parent().as_ref().map(UsrPath::as_str), Some("bin" | "sbin"))
        || LibraryName::parse(path.name()).is_some()
        || extension.is_some_and(|it| {
            !OF_DIRECTORIES.contains(&it) && it.starts_with(|c: char| c.is_ascii_alphabetic())
        })
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
