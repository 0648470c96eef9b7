//! `--commit`: one commit with exactly the changed files, or none.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use coreos_types::Error;
use tempfile::TempDir;
use xtask::git::{check_committable, commit};

use crate::e2e::{executable, output_of};
use crate::scene::{SYSTEMD, Scene};

const MANIFEST: &str = "stage1/a b.manifest";
const OTHER: &str = "README";

fn git(root: &Path, arguments: &[&str]) -> String {
    output_of(Command::new("git").arg("-C").arg(root).args(arguments))
}

/// A checkout with one commit of two files.
fn checkout() -> TempDir {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    git(root, &["init", "--quiet", "--initial-branch=main"]);
    git(root, &["config", "user.name", "Test Author"]);
    git(root, &["config", "user.email", "person@example.org"]);
    git(root, &["config", "commit.gpgsign", "false"]);
    std::fs::create_dir(root.join("stage1")).unwrap();
    write(root, MANIFEST, "lib\n");
    write(root, OTHER, "words\n");
    git(root, &["add", "."]);
    git(root, &["commit", "--quiet", "-m", "first"]);
    directory
}

fn write(root: &Path, file: &str, text: &str) {
    std::fs::write(root.join(file), text).unwrap();
}

#[test]
fn commit_has_only_the_changed_files() {
    let directory = checkout();
    let root = directory.path();
    write(root, OTHER, "staged words\n");
    git(root, &["add", OTHER]);
    check_committable(root, &[MANIFEST]).unwrap();
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
fn uncommitted_changes_of_its_files_are_refused() {
    for staged in [false, true] {
        let directory = checkout();
        let root = directory.path();
        write(root, MANIFEST, "mine\n");
        if staged {
            git(root, &["add", MANIFEST]);
        }
        let error = check_committable(root, &[MANIFEST, OTHER]).unwrap_err();
        assert!(error.message.contains(MANIFEST) && !error.message.contains(OTHER), "{error}");
        assert_eq!(git(root, &["log", "--oneline"]).lines().count(), 1);
    }
}

#[test]
fn untracked_file_is_refused() {
    let directory = checkout();
    let root = directory.path();
    for (ignore, hint) in [
        ("", "git add -- new && git commit -- new"),
        ("new\n", "git add --force -- new && git commit -- new"),
    ] {
        write(root, ".gitignore", ignore);
        write(root, "new", "x\n");
        let error = check_committable(root, &["new"]).unwrap_err();
        assert!(error.message.contains("new"), "{error}");
        // The command in the hint works; a stash would not.
        let hint_text = error.hint.unwrap();
        assert!(hint_text.starts_with(hint), "{hint_text}");
    }
    git(root, &["add", "--force", "new"]);
    git(root, &["commit", "--quiet", "-m", "new", "new"]);
    check_committable(root, &["new"]).unwrap();
}

#[test]
fn directory_without_git_is_an_error() {
    let directory = TempDir::new().unwrap();
    let error = check_committable(directory.path(), &[MANIFEST]).unwrap_err();
    assert!(error.message.contains("is not inside a git repository"), "{error}");
}

#[test]
fn repository_without_a_commit_is_refused() {
    let directory = checkout();
    git(directory.path(), &["update-ref", "-d", "HEAD"]);
    let error = check_committable(directory.path(), &[MANIFEST]).unwrap_err();
    assert!(error.message.contains("has no commit yet"), "{error}");
    assert!(error.hint.is_some());
}

/// Without the index of the repository, a commit leaves the old content staged, and the next commit undoes it.
#[test]
fn locked_index_is_refused() {
    let directory = checkout();
    write(directory.path(), ".git/index.lock", "");
    let error = check_committable(directory.path(), &[MANIFEST]).unwrap_err();
    assert!(error.message.contains("index.lock exists"), "{error}");
}

#[test]
fn refused_commit_restores_or_names_its_files() {
    for (edit, cause) in [(":", "nothing was changed"), ("echo >>", "restoring them failed: ")] {
        let scene = Scene::new();
        let (tree, home) = (scene.tree(), scene.home());
        let signer = home.join("signer");
        executable(&signer, &format!("#!/bin/sh\n{edit} '{}'\nexit 1\n", tree.join(SYSTEMD).display()));
        let config = format!(
            "[user]\nname = N\nemail = n@example.org\n[commit]\ngpgSign = true\n[gpg]\nprogram = {}\n",
            signer.display()
        );
        std::fs::write(home.join(".gitconfig"), config).unwrap();
        git(&tree, &["init", "--quiet"]);
        git(&tree, &["add", "."]);
        let author = ["-c", "user.name=N", "-c", "user.email=n@example.org", "-c", "commit.gpgSign=false"];
        git(&tree, &[&author[..], &["commit", "--quiet", "-m", "first"]].concat());
        let before = scene.read(SYSTEMD);
        let line = ["--format", "json", "bump-coreos", "1032.0.0", "--image", "1032.0.0", "--commit"];
        let output = scene.command(&[], &line).env("HOME", &home).env_remove("GIT_CONFIG_GLOBAL").output();
        let document: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        let causes = document["error"]["causes"].to_string();
        assert!(causes.contains(cause), "{causes}");
        assert_eq!(causes.contains(SYSTEMD), edit != ":", "{causes}");
        assert_eq!(scene.read(SYSTEMD) == before, edit == ":");
        assert_eq!(git(&tree, &["rev-list", "--count", "HEAD"]), "1\n");
    }
}

/// Creates a program in the repository that writes to a log when it runs.
fn program(root: &Path, name: &str) -> String {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    executable(
        &path,
        &format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\ncat\nexit 1\n", root.join("RAN").display()),
    );
    path.display().to_string()
}

#[test]
fn repository_programs_do_not_run() {
    let directory = checkout();
    let root = directory.path();
    for hook in [
        "pre-commit",
        "commit-msg",
        "prepare-commit-msg",
        "post-commit",
        "reference-transaction",
        "post-index-change",
    ] {
        program(root, &format!(".git/hooks/{hook}"));
    }
    let evil = program(root, "evil");
    write(root, ".gitattributes", "* filter=x diff=x\n");
    std::fs::write(root.join(".git/info/attributes"), "* filter=x\n").unwrap();
    for (key, value) in [
        ("core.fsmonitor", evil.as_str()),
        ("filter.x.clean", &evil),
        ("filter.x.process", &evil),
        ("diff.x.command", &evil),
        ("gpg.program", &evil),
        ("core.editor", &evil),
        ("core.pager", &evil),
        ("commit.gpgSign", "true"),
    ] {
        git(root, &["config", key, value]);
    }
    check_committable(root, &[MANIFEST]).unwrap();
    write(root, MANIFEST, "lib\nbin/x\n");
    commit(root, &[MANIFEST], "stage1: update").unwrap();
    let log = std::fs::read_to_string(root.join("RAN")).unwrap_or_default();
    assert_eq!(log, "", "a program of the repository ran");
    let shown = git(
        root,
        &["-c", "core.fsmonitor=false", "show", "--no-ext-diff", "--format=%s", "--name-only", "HEAD"],
    );
    assert_eq!(shown, format!("stage1: update\n\n{MANIFEST}\n"));
}

#[test]
fn key_command_of_the_repository_does_not_run() {
    let scene = Scene::new();
    let (tree, home) = (scene.tree(), scene.home());
    let evil = program(&tree, ".git-evil");
    std::fs::write(
        home.join(".gitconfig"),
        "[user]\nname = N\nemail = n@example.org\n[commit]\ngpgSign = true\n",
    )
    .unwrap();
    let unsigned = ["-c", "user.name=N", "-c", "user.email=n@example.org", "-c", "commit.gpgSign=false"];
    git(&tree, &["init", "--quiet"]);
    git(&tree, &["add", "."]);
    git(&tree, &[&unsigned[..], &["commit", "--quiet", "-m", "first"]].concat());
    for (key, value) in [("gpg.format", "ssh"), ("gpg.ssh.defaultKeyCommand", &evil)] {
        git(&tree, &["config", key, value]);
    }
    let line = ["bump-coreos", "1032.0.0", "--image", "1032.0.0", "--commit"];
    let output = scene.command(&[], &line).env("HOME", &home).env_remove("GIT_CONFIG_GLOBAL").output();
    let stderr = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(stderr.contains("git commit-tree failed"), "{stderr}");
    assert!(!tree.join("RAN").exists(), "a program of the repository ran");
}

#[test]
fn repository_of_another_checkout_is_not_changed() {
    let (other, here) = (checkout(), checkout());
    let root = here.path();
    let error = || check_committable(root, &[MANIFEST]).unwrap_err();
    let is_other = |error: Error| {
        error.message.contains(".git points to")
            && error.message.contains("the repository of another checkout")
    };
    std::fs::write(root.join(".git/commondir"), other.path().join(".git").to_str().unwrap()).unwrap();
    assert!(is_other(error()), "{}", error());
    std::fs::remove_dir_all(root.join(".git")).unwrap();
    std::os::unix::fs::symlink(other.path().join(".git"), root.join(".git")).unwrap();
    assert!(is_other(error()), "{}", error());
    std::fs::remove_file(root.join(".git")).unwrap();
    write(root, ".git", &format!("gitdir: {}/.git\n", other.path().display()));
    assert!(is_other(error()), "{}", error());
}

#[test]
fn separate_repository_needs_the_path_of_its_checkout() {
    let directory = checkout();
    let (root, separate) = (directory.path(), TempDir::new().unwrap());
    let separate = separate.path().join("separate");
    git(root, &["init", "--quiet", "--separate-git-dir", separate.to_str().unwrap()]);
    let error = check_committable(root, &[MANIFEST]).unwrap_err();
    let command = format!("git config core.worktree {}", root.display());
    assert!(error.hint.as_ref().unwrap().ends_with(&command), "{error:?}");
    git(root, &["config", "core.worktree", root.to_str().unwrap()]);
    check_committable(root, &[MANIFEST]).unwrap();
}

#[test]
fn repository_that_git_finds_elsewhere_is_not_changed() {
    let other = checkout();
    let git_dir = other.path().join(".git");
    let gitdir_line = format!("gitdir: {}\n", git_dir.display());
    // git skips the empty directory.
    let outer = TempDir::new().unwrap();
    let nested = outer.path().join("nested");
    std::fs::create_dir_all(nested.join(".git")).unwrap();
    write(outer.path(), ".git", &gitdir_line);
    // A tree that is a bare repository itself.
    let bare = TempDir::new().unwrap();
    for name in ["HEAD", "index"] {
        std::fs::copy(git_dir.join(name), bare.path().join(name)).unwrap();
    }
    write(bare.path(), "commondir", git_dir.to_str().unwrap());
    for root in [&nested, bare.path()] {
        std::fs::create_dir(root.join("stage1")).unwrap();
        write(root, MANIFEST, "lib\n");
        let error = check_committable(root, &[MANIFEST]).unwrap_err();
        assert!(error.message.contains("git would commit to"), "{error}");
        assert!(commit(root, &[MANIFEST], "stage1: update").is_err());
    }
    assert_eq!(git(other.path(), &["rev-list", "--count", "HEAD"]), "1\n");
}

#[test]
fn worktrees_and_submodules_can_be_committed_to() {
    let directory = checkout();
    let (root, linked) = (directory.path(), TempDir::new().unwrap());
    let linked = linked.path().join("linked");
    git(root, &["worktree", "add", "--quiet", "--detach", linked.to_str().unwrap()]);
    let outer = checkout();
    let add =
        ["-c", "protocol.file.allow=always", "submodule", "add", "--quiet", root.to_str().unwrap(), "sub"];
    git(outer.path(), &add);
    let sub = outer.path().join("sub");
    for (key, value) in [("user.name", "N"), ("user.email", "n@example.org"), ("commit.gpgSign", "false")] {
        git(&sub, &["config", key, value]);
    }
    for tree in [linked, sub] {
        check_committable(&tree, &[MANIFEST]).unwrap();
        write(&tree, MANIFEST, "lib\nbin/x\n");
        let name = commit(&tree, &[MANIFEST], "stage1: update").unwrap();
        assert!(git(&tree, &["rev-parse", "HEAD"]).starts_with(&name));
        assert_eq!(git(&tree, &["status", "--porcelain"]), "");
    }
    assert_eq!(git(root, &["log", "--format=%s", "main"]), "first\n");
}

#[test]
fn variables_do_not_select_another_repository() {
    let scene = Scene::new();
    let (tree, other) = (scene.tree(), checkout());
    git(&tree, &["init", "--quiet"]);
    git(&tree, &["add", "."]);
    let author = ["-c", "user.name=N", "-c", "user.email=n@example.org", "-c", "commit.gpgSign=false"];
    git(&tree, &[&author[..], &["commit", "--quiet", "-m", "first"]].concat());
    for (key, value) in [("user.name", "N"), ("user.email", "n@example.org"), ("commit.gpgSign", "false")] {
        git(&tree, &["config", key, value]);
    }
    let git_dir = other.path().join(".git");
    let line = ["bump-coreos", "1032.0.0", "--image", "1032.0.0", "--commit"];
    let mut command = scene.command(&[], &line);
    command.env("GIT_DIR", &git_dir).env("GIT_WORK_TREE", other.path());
    command.env("GIT_INDEX_FILE", git_dir.join("index")).env("GIT_OBJECT_DIRECTORY", git_dir.join("objects"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(git(&tree, &["rev-list", "--count", "HEAD"]), "2\n");
    assert_eq!(git(&tree, &["status", "--porcelain"]), "");
    assert_eq!(git(other.path(), &["rev-list", "--count", "HEAD"]), "1\n");
}

#[test]
fn pipe_in_the_repository_does_not_hang() {
    let start = Instant::now();
    for name in ["config", "HEAD", "index", "refs/heads/main", "objects/info/alternates", "info/attributes"] {
        let directory = checkout();
        let pipe = directory.path().join(".git").join(name);
        let _ = std::fs::remove_file(&pipe);
        output_of(Command::new("mkfifo").arg(&pipe));
        let error = check_committable(directory.path(), &[MANIFEST]).unwrap_err();
        assert!(error.message.contains(&format!("{name} is not a regular file")), "{error}");
    }
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[test]
fn links_in_the_repository_are_not_written_through() {
    for name in ["index", "logs/HEAD", "logs"] {
        let directory = checkout();
        let root = directory.path();
        let (inside, outside) = (root.join(".git").join(name), root.join("outside"));
        std::fs::rename(&inside, &outside).unwrap();
        std::os::unix::fs::symlink(&outside, &inside).unwrap();
        let error = check_committable(root, &[MANIFEST]).unwrap_err();
        assert!(error.message.contains("is a symlink"), "{name}: {error}");
    }
    // Files that held a commit message in earlier versions.
    let directory = checkout();
    let root = directory.path();
    let outside = root.join("outside");
    for name in ["COMMIT_EDITMSG", "XTASK_COMMIT_MSG"] {
        let _ = std::fs::remove_file(root.join(".git").join(name));
        std::os::unix::fs::symlink(&outside, root.join(".git").join(name)).unwrap();
    }
    write(root, MANIFEST, "lib\nbin/x\n");
    commit(root, &[MANIFEST], "x").unwrap();
    assert!(!outside.exists());
}

#[test]
fn commit_in_a_subdirectory_has_the_full_path() {
    let directory = checkout();
    let root = directory.path().join("stage1");
    write(&root, "a b.manifest", "lib\nbin/x\n");
    commit(&root, &["a b.manifest"], "x").unwrap();
    assert_eq!(
        git(directory.path(), &["show", "--format=", "--name-only", "HEAD"]).trim(),
        format!("{MANIFEST}")
    );
    assert_eq!(git(directory.path(), &["status", "--porcelain"]), "");
}
