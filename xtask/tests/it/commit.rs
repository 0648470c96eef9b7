//! `--commit`: one commit of exactly the changed files, or none at all.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use xtask::git::{commit, ensure_clean};

use crate::e2e::executable;

const MANIFEST: &str = "stage1/a b.manifest";
const OTHER: &str = "README";

fn git(root: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A checkout with two files in one commit.
fn checkout() -> TempDir {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    git(root, &["init", "--quiet", "--initial-branch=main"]);
    git(root, &["config", "user.name", "A Person"]);
    git(root, &["config", "user.email", "person@example.org"]);
    git(root, &["config", "commit.gpgsign", "false"]);
    std::fs::create_dir(root.join("stage1")).unwrap();
    write(root, MANIFEST, "lib\n");
    write(root, OTHER, "words\n");
    git(root, &["add", "."]);
    git(root, &["commit", "--quiet", "-m", "first"]);
    folder
}

fn write(root: &Path, file: &str, text: &str) {
    std::fs::write(root.join(file), text).unwrap();
}

#[test]
fn the_commit_holds_the_changed_files_alone_whatever_is_staged() {
    let folder = checkout();
    let root = folder.path();
    write(root, OTHER, "staged words\n");
    git(root, &["add", OTHER]);
    ensure_clean(root, &[MANIFEST]).unwrap();
    write(root, MANIFEST, "lib\nlib64/libpam.so.0\n");
    let name = commit(root, &[MANIFEST], "stage1: update\n\nAdded:\n- # not a comment\n").unwrap();
    assert!(git(root, &["rev-parse", "HEAD"]).starts_with(&name));
    assert_eq!(
        git(root, &["show", "--format=%B", "--name-only", "HEAD"]).trim_end(),
        format!("stage1: update\n\nAdded:\n- # not a comment\n\n\n{MANIFEST}")
    );
    assert_eq!(git(root, &["status", "--porcelain"]), format!("M  {OTHER}\n"));
}

#[test]
fn other_changes_of_those_files_are_refused() {
    for staged in [false, true] {
        let folder = checkout();
        let root = folder.path();
        write(root, MANIFEST, "mine\n");
        if staged {
            git(root, &["add", MANIFEST]);
        }
        let fault = ensure_clean(root, &[MANIFEST, OTHER]).unwrap_err();
        assert!(fault.message.contains(MANIFEST) && !fault.message.contains(OTHER), "{fault}");
        assert_eq!(git(root, &["log", "--oneline"]).lines().count(), 1);
    }
}

#[test]
fn a_file_that_git_does_not_know_is_refused() {
    let folder = checkout();
    let root = folder.path();
    for (ignore, hint) in [
        ("", "git add -- new && git commit -- new"),
        ("new\n", "git add --force -- new && git commit -- new"),
    ] {
        write(root, ".gitignore", ignore);
        write(root, "new", "x\n");
        let fault = ensure_clean(root, &["new"]).unwrap_err();
        assert!(fault.message.contains("new"), "{fault}");
        // What the hint says works: a stash would not.
        let told = fault.hint.unwrap();
        assert!(told.starts_with(hint), "{told}");
    }
    git(root, &["add", "--force", "new"]);
    git(root, &["commit", "--quiet", "-m", "new", "new"]);
    ensure_clean(root, &["new"]).unwrap();
}

#[test]
fn directory_without_git_is_an_error() {
    let folder = TempDir::new().unwrap();
    let fault = ensure_clean(folder.path(), &[MANIFEST]).unwrap_err();
    assert!(fault.message.contains("is not inside a git repository"), "{fault}");
}

#[test]
fn a_hook_that_says_no_is_told() {
    let folder = checkout();
    let root = folder.path();
    let hook = root.join(".git/hooks/pre-commit");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    executable(&hook, "#!/bin/sh\necho not today >&2\nexit 1\n");
    write(root, MANIFEST, "lib\nbin/x\n");
    let fault = commit(root, &[MANIFEST], "x").unwrap_err();
    assert!(fault.causes.iter().any(|cause| cause.contains("not today")), "{fault}");
}
