//! Printed diffs, applied with patch(1).

use std::fs;
use std::process::{Command, Stdio};

use manifest::plan::edit_plan::FileEdit;

/// Contents of a file before and after.
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
fn diff_applied_with_patch_gives_the_new_file() {
    let home = tempfile::tempdir().unwrap();
    for path in ["stage1/a.manifest", "stage1/a b.manifest"] {
        for (before, after) in EDITS {
            let edit = FileEdit { path: path.to_owned(), before: (*before).into(), after: (*after).into() };
            fs::create_dir_all(home.path().join("stage1")).unwrap();
            fs::write(home.path().join(path), before).unwrap();
            fs::write(home.path().join("diff"), edit.diff()).unwrap();
            let output = Command::new("patch")
                .args(["--binary", "--fuzz=0", "--strip=1", "--input=diff"])
                .current_dir(home.path())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let stdout = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{path} {before:?} to {after:?}: {stdout}\n{}", edit.diff());
            // patch(1) removes a file that becomes empty.
            assert_eq!(
                fs::read(home.path().join(path)).unwrap_or_default(),
                after.as_bytes(),
                "{path} {before:?}"
            );
        }
    }
}
