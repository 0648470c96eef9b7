//! The difference between two [`Stage1Sources`], as file edits and unified diffs.

use std::collections::HashMap;
use std::ops::Range;

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::{DiffOp, group_diff_ops};

use crate::stage1_sources::Stage1Sources;
use coreos_types::{Error, Result};
use usr::lossless_text;

/// The file edits between two states of the sources.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EditPlan {
    /// One edit per changed file: coreos-common.mk first, then by path.
    pub edits: Vec<FileEdit>,
}

/// A file before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdit {
    /// The real path relative to the tree, `/`-separated.
    pub path: String,
    /// The expected content on disk.
    pub before: Vec<u8>,
    /// The new content.
    pub after: Vec<u8>,
}

impl EditPlan {
    /// The edits of the files that both states have and that differ: a bump neither creates nor deletes files.
    pub fn between(before: &Stage1Sources, after: &Stage1Sources) -> EditPlan {
        let after: HashMap<&str, &[u8]> = after.files().collect();
        let edit = |(path, old): (&str, &[u8])| {
            let new = after.get(path).filter(|new| **new != old)?;
            Some(FileEdit { path: path.to_owned(), before: old.to_vec(), after: new.to_vec() })
        };
        EditPlan { edits: before.files().filter_map(edit).collect() }
    }

    /// Checks that every changed file is inside the tree.
    ///
    /// # Errors
    /// The first file outside the tree; `hint` returns the hint for the symlink that points to it.
    pub fn ensure_inside_tree(&self, before: &Stage1Sources, hint: impl Fn(&str) -> String) -> Result<()> {
        let outside = |edit: &FileEdit| Some((edit.path.clone(), before.outside.get(&edit.path)?));
        match self.edits.iter().find_map(outside) {
            None => Ok(()),
            Some((path, link)) => Err(Error::failed(format!(
                "{path} would change, and {link} is a link to a place outside the tree"
            ))
            .with_hint(hint(link))),
        }
    }

    /// The inverse plan.
    pub fn reversed(&self) -> EditPlan {
        let back = |edit: &FileEdit| FileEdit {
            path: edit.path.clone(),
            before: edit.after.clone(),
            after: edit.before.clone(),
        };
        EditPlan { edits: self.edits.iter().map(back).collect() }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }
}

impl FileEdit {
    /// A unified diff with three lines of context and git's prefixes `a/` and `b/`. A line ends
    /// in `\n` and nowhere else, as patch(1) reads it; bytes that are not UTF-8 as
    /// [`usr::lossless_text::from_bytes`] writes them.
    pub fn diff(&self) -> String {
        let (old, new) = (diff_lines(&self.before), diff_lines(&self.after));
        let mut out = format!("--- {}\n+++ {}\n", header_name("a", &self.path), header_name("b", &self.path));
        for hunk in group_diff_ops(compare_lines(&old, &new), 3) {
            let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
            let old_range = hunk_range(first.old_range().start..last.old_range().end);
            let new_range = hunk_range(first.new_range().start..last.new_range().end);
            out.push_str(&format!("@@ -{old_range} +{new_range} @@\n"));
            for op in hunk {
                let parts: &[_] = match op {
                    DiffOp::Equal { .. } => &[(' ', &old[op.old_range()])],
                    _ => &[('-', &old[op.old_range()]), ('+', &new[op.new_range()])],
                };
                for (sign, lines) in parts {
                    for line in *lines {
                        out.push(*sign);
                        out.push_str(line);
                    }
                }
            }
        }
        out
    }
}

/// The differences between two lists of lines, in order.
///
/// `similar::capture_diff_slices` does the same, and chooses the algorithm at run time: this crate then compiles all six.
pub(super) fn compare_lines(old: &[String], new: &[String]) -> Vec<DiffOp> {
    let mut operations = Compact::new(Replace::new(Capture::new()), old, new);
    let Ok(()) = myers::diff(&mut operations, old, 0..old.len(), new, 0..new.len());
    operations.into_inner().into_inner().into_ops()
}

/// The lines of one side of a hunk as diff(1) prints them: the first and the number, which is left out where it is 1.
fn hunk_range(lines: Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => format!("{}", lines.start + 1),
        count => format!("{},{count}", lines.start + 1),
    }
}

/// A file name as git and patch(1) read it: quoted as in C where it has control characters, quotes or backslashes.
fn header_name(side: &str, path: &str) -> String {
    if !path.contains(|c: char| c.is_ascii_control() || matches!(c, '"' | '\\')) {
        // patch(1) takes a name to end at its first blank, unless a tab ends it.
        return format!("{side}/{path}{}", if path.contains(' ') { "\t" } else { "" });
    }
    let mut out = format!("\"{side}/");
    for &byte in lossless_text::to_bytes(path).iter() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\{byte:03o}")),
        }
    }
    out + "\""
}

/// The lines of a file as a diff prints them.
fn diff_lines(bytes: &[u8]) -> Vec<String> {
    let text = lossless_text::from_bytes(bytes);
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if let Some(last) = lines.last_mut().filter(|line| !line.ends_with('\n')) {
        last.push_str("\n\\ No newline at end of file\n");
    }
    lines
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn header_names_are_quoted_as_git_reads_them() {
        for (path, name) in [
            ("stage1/a", "a/stage1/a"),
            ("stage1/a b", "a/stage1/a b\t"),
            ("stage1/a\tb", r#""a/stage1/a\011b""#),
            ("stage1/a\"b\\c d\u{e9}", r#""a/stage1/a\"b\\c d\303\251""#),
            ("stage1/caf\u{e9}", "a/stage1/caf\u{e9}"),
        ] {
            assert_eq!(header_name("a", path), name);
        }
    }

    #[test]
    fn edits_are_matched_by_path() {
        let sources = |manifests: &[(&str, &str)]| Stage1Sources {
            manifests: manifests
                .iter()
                .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
                .collect(),
            ..Stage1Sources::default()
        };
        let plan = EditPlan::between(
            &sources(&[("b", "1"), ("c", "2")]),
            &sources(&[("a", "0"), ("b", "1"), ("c", "3")]),
        );
        let edits: Vec<(&str, &[u8])> =
            plan.edits.iter().map(|edit| (edit.path.as_str(), &edit.after[..])).collect();
        assert_eq!(edits, [("c", &b"3"[..])]);
    }

    #[test]
    fn only_newline_ends_a_line() {
        let edit = FileEdit {
            path: "stage1/x".to_owned(),
            before: b"bin/a\rbin/b\nlib64/c\r\nbin/d\r".to_vec(),
            after: b"bin/a\rbin/b\nlib64/e\r\nbin/d\r".to_vec(),
        };
        expect![[r#"
            --- a/stage1/x
            +++ b/stage1/x
            @@ -1,3 +1,3 @@
             bin/a\rbin/b
            -lib64/c\r
            +lib64/e\r
             bin/d\r
            \ No newline at end of file
        "#]]
        .assert_eq(&edit.diff().replace('\r', "\\r"));
    }
}
