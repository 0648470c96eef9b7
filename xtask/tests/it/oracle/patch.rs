//! Our diffs as patch(1) applies them.

use std::fs;
use std::process::{Command, Stdio};

use manifest::plan::file_edits::FileEdit;

/// What a file holds before and after.
const EDITS: &[(&str, &str)] = &[
    ("a\nb\nc\n", "a\nx\nc\n"),
    ("a\rb\nc\n", "a\rb\nx\n"),
    ("a\rb\nc\n", "a\nc\n"),
    ("a\nb\r", "x\nb\r"),
    ("a\nb\r", "a\nb\rc"),
    ("\r\r\n\r", "x\n\r"),
    ("a\r\nb\r\n", "a\r\nb\n"),
    ("a\nb", "a\nb\n"),
    ("a\nb\n", "a\nb"),
    ("a\n\n\u{85}b\u{2028}c\n", "a\n\n\u{85}b\u{2028}x\n"),
    ("", "a\n"),
    ("a", ""),
];

#[test]
#[ignore = "needs patch"]
fn patch_makes_of_the_file_before_the_file_after() {
    let home = tempfile::tempdir().unwrap();
    for path in ["stage1/a.manifest", "stage1/a b.manifest"] {
        for (before, after) in EDITS {
            let edit = FileEdit { path: path.to_owned(), before: (*before).into(), after: (*after).into() };
            fs::create_dir_all(home.path().join("stage1")).unwrap();
            fs::write(home.path().join(path), before).unwrap();
            fs::write(home.path().join("diff"), edit.diff()).unwrap();
            let done = Command::new("patch")
                .args(["--binary", "--fuzz=0", "--strip=1", "--input=diff"])
                .current_dir(home.path())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&done.stdout);
            assert!(done.status.success(), "{path} {before:?} to {after:?}: {said}\n{}", edit.diff());
            // An empty file is taken for one that is to go.
            assert_eq!(
                fs::read(home.path().join(path)).unwrap_or_default(),
                after.as_bytes(),
                "{path} {before:?}"
            );
        }
    }
}
