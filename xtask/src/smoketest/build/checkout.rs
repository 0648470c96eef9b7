//! Files of the checkout that rkt's `autogen.sh` replaces by the ones of the installed autotools.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use coreos_types::error::{Result, ResultExt};

/// Size limit of files that are restored.
const MAX_FILE: u64 = 1 << 20;

/// The tracked files at the top of a checkout, as they were before a build.
#[derive(Debug, Default)]
pub(super) struct TrackedFiles(BTreeMap<String, Vec<u8>>);

impl TrackedFiles {
    /// Reads the files. Without a git checkout none is tracked, so none is restored.
    pub(super) fn read(tree: &Path) -> TrackedFiles {
        let names = list_tracked(tree).unwrap_or_default();
        let content = |name: String| {
            let path = tree.join(&name);
            let is_small =
                fs::symlink_metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= MAX_FILE);
            let bytes = if is_small { fs::read(path).ok()? } else { return None };
            Some((name, bytes))
        };
        TrackedFiles(names.into_iter().filter_map(content).collect())
    }

    /// Restores the changed files; returns their names.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn restore(&self, tree: &Path) -> Result<Vec<String>> {
        let mut restored = Vec::new();
        for (name, bytes) in &self.0 {
            let path = tree.join(name);
            let is_file = fs::symlink_metadata(&path).is_ok_and(|file| file.is_file());
            if is_file && fs::read(&path).is_ok_and(|now| now == *bytes) {
                continue;
            }
            // autogen.sh may have replaced the file with a symlink: the target is not written.
            let mode = fs::metadata(&path).map(|file| file.permissions());
            if !is_file && fs::symlink_metadata(&path).is_ok() {
                fs::remove_file(&path).with_context(|| format!("cannot restore {}", path.display()))?;
            }
            fs::write(&path, bytes).with_context(|| format!("cannot restore {}", path.display()))?;
            if let Ok(mode) = mode {
                let _ = fs::set_permissions(&path, mode);
            }
            restored.push(name.clone());
        }
        Ok(restored)
    }
}

/// The names of the tracked files in the top directory of a checkout; `None` without a git checkout.
fn list_tracked(tree: &Path) -> Option<Vec<String>> {
    let mut git = Command::new("git");
    // The tree may not choose a program that git starts.
    git.args(["-c", "core.fsmonitor=", "ls-files", "-z", "--", ":(glob)*"]).current_dir(tree);
    let output = git.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let names = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
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
        let (tree, put) =
            (home.path(), |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap());
        git(tree, &["init", "-q"]);
        for name in ["config.guess", "install-sh", "same"] {
            put(name, "of the checkout\n");
        }
        git(tree, &["add", "."]);
        put("untracked", "before\n");
        let tracked = TrackedFiles::read(tree);
        put("config.guess", "of automake\n");
        put("untracked", "after\n");
        fs::remove_file(tree.join("install-sh")).unwrap();
        put("elsewhere", "of automake\n");
        std::os::unix::fs::symlink("elsewhere", tree.join("install-sh")).unwrap();
        assert_eq!(tracked.restore(tree).unwrap(), ["config.guess", "install-sh"]);
        for name in ["config.guess", "install-sh"] {
            assert!(!fs::symlink_metadata(tree.join(name)).unwrap().is_symlink());
            assert_eq!(fs::read_to_string(tree.join(name)).unwrap(), "of the checkout\n");
        }
        assert_eq!(fs::read_to_string(tree.join("elsewhere")).unwrap(), "of automake\n");
        assert_eq!(fs::read_to_string(tree.join("untracked")).unwrap(), "after\n");
        assert_eq!(tracked.restore(tree).unwrap(), [""; 0]);
    }

    #[test]
    fn tree_without_git_restores_nothing() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("install-sh"), "x").unwrap();
        assert!(TrackedFiles::read(home.path()).0.is_empty());
    }
}
