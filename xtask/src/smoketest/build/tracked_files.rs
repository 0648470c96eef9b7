//! Files of the checkout that rkt's `autogen.sh` replaces by the ones of the installed autotools.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use crate::smoketest::no_follow;
use coreos_types::{Result, ResultExt};

/// Size limit of files that are restored.
const MAX_FILE_LEN: u64 = 1 << 20;

/// Copies the tracked files at the top of a checkout to the directory `copies`, which exists during a build, and after a
/// build that was killed. Without a git checkout no file is tracked.
pub(super) fn save(tree: &Path, copies: &Path) -> Result<()> {
    let new = copies.with_extension("new");
    no_follow::remove_all_if_exists(&new)?;
    let copy_all = || -> io::Result<()> {
        fs::create_dir(&new)?;
        for name in list_tracked_at_top(tree).unwrap_or_default() {
            let path = tree.join(&name);
            if fs::symlink_metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= MAX_FILE_LEN) {
                fs::copy(path, new.join(name))?;
            }
        }
        // Only a complete copy has this name: a partial one would be restored.
        fs::rename(&new, copies)
    };
    copy_all().with_path("cannot write", &new)
}

/// Restores the changed files from the copies of a build, and removes the copies; returns the names of the files. A
/// file that changed after `build_end`, the end of a build that was killed, was edited since, and is kept.
pub(super) fn restore(tree: &Path, copies: &Path, build_end: Option<SystemTime>) -> Result<Vec<String>> {
    let mut restored = Vec::new();
    if !fs::symlink_metadata(copies).is_ok_and(|found| found.is_dir()) {
        // Also a symlink that is in its place.
        no_follow::remove_all_if_exists(copies)?;
        return Ok(restored);
    }
    let entries = fs::read_dir(copies);
    for entry in entries.with_path("cannot read", copies)?.flatten() {
        let (copy, path) = (entry.path(), tree.join(entry.file_name()));
        let now = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file);
        let is_same = now.is_some() && fs::read(&path).ok() == fs::read(&copy).ok();
        let is_later =
            now.zip(build_end).is_some_and(|(now, build_end)| now.modified().is_ok_and(|at| at > build_end));
        if !is_same && !is_later && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            // autogen.sh may have replaced the file with a symlink: the target is not written.
            no_follow::remove_all_if_exists(&path)?;
            fs::copy(&copy, &path).with_path("cannot restore", &path)?;
            restored.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    no_follow::remove_all_if_exists(copies)?;
    restored.sort();
    Ok(restored)
}

/// The names of the tracked files in the top directory of a checkout; `None` without a git checkout.
fn list_tracked_at_top(tree: &Path) -> Option<Vec<OsString>> {
    let mut git = Command::new("git");
    // The tree may not choose a program that git starts; its owner is trusted.
    git.args(["-c", "core.fsmonitor=", "-c", "safe.directory=*", "ls-files", "-z", "--", ":(glob)*"]);
    let output = git.current_dir(tree).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    output.status.success().then(|| names.map(|name| OsString::from_vec(name.to_vec())).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn git(tree: &Path, arguments: &[&str]) {
        let ran = Command::new("git").arg("-C").arg(tree).args(arguments).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    #[test]
    fn changed_tracked_files_are_restored() {
        let home = tempfile::tempdir().unwrap();
        let (tree, copies) = (home.path().join("tree"), home.path().join("copies"));
        fs::create_dir(&tree).unwrap();
        let put = |name: &str, text: &str| fs::write(tree.join(name), text).unwrap();
        let read = |name: &str| fs::read_to_string(tree.join(name)).unwrap();
        git(&tree, &["init", "-q"]);
        for name in ["config.guess", "install-sh", "same"] {
            put(name, "of the checkout\n");
        }
        git(&tree, &["add", "."]);
        put("untracked", "before\n");
        let change = || {
            save(&tree, &copies).unwrap();
            put("config.guess", "of automake\n");
            put("untracked", "after\n");
            fs::remove_file(tree.join("install-sh")).unwrap();
            put("elsewhere", "of automake\n");
            std::os::unix::fs::symlink("elsewhere", tree.join("install-sh")).unwrap();
        };
        for build_end in [None, Some(SystemTime::now() + std::time::Duration::from_secs(60))] {
            change();
            assert_eq!(restore(&tree, &copies, build_end).unwrap(), ["config.guess", "install-sh"]);
            for name in ["config.guess", "install-sh"] {
                assert!(!fs::symlink_metadata(tree.join(name)).unwrap().is_symlink());
                assert_eq!(read(name), "of the checkout\n");
            }
            assert_eq!((read("elsewhere"), read("untracked")), ("of automake\n".into(), "after\n".into()));
            assert_eq!(restore(&tree, &copies, None).unwrap(), [""; 0]);
        }
        // The file was edited after the build that was killed.
        change();
        assert_eq!(restore(&tree, &copies, Some(SystemTime::UNIX_EPOCH)).unwrap(), ["install-sh"]);
        assert_eq!(read("config.guess"), "of automake\n");
    }

    #[test]
    fn tree_without_git_restores_nothing() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("install-sh"), "x").unwrap();
        let (tree, copies) = (home.path(), home.path().join("copies"));
        save(tree, &copies).unwrap();
        fs::write(home.path().join("install-sh"), "y").unwrap();
        assert_eq!(restore(tree, &copies, None).unwrap(), [""; 0]);
    }
}
