//! Trusted owners of files: one rule for the tree, the program's own `Cargo.toml`, journals and the cache.
//!
//! Trusted are the user, root, and, when running as root, the user of `SUDO_UID`. A tree of another user is trusted
//! if its path is in git's global or system `safe.directory`, or is passed with `--trust-tree` (`XTASK_TRUST_TREE`).
//! A file that others may write is not trusted. Reading and checking a tree needs no trust; building it, running its
//! code, and using its settings or its journal do.

mod accounts;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use self::accounts::Accounts;
use coreos_types::{Error, Result, ResultExt, shell::quote};

/// Depth of [`TrustedOwners::check_tree`], which includes the manifest directories of each flavor.
const MAX_DEPTH: usize = 3;

/// The users with trusted files, and the trees that are trusted whoever owns them.
#[derive(Debug, Clone)]
pub(crate) struct TrustedOwners {
    user: u32,
    sudo_user: Option<u32>,
    /// From `--trust-tree` and `XTASK_TRUST_TREE`.
    trusted_trees: Vec<PathBuf>,
    accounts: Accounts,
    /// git's `safe.directory`, read for the first tree of another user.
    safe_directories: OnceLock<Vec<PathBuf>>,
}

/// The effective user ID of this process (geteuid(2)).
pub(crate) fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The trees of `--trust-tree`, set once by `run`: an option of the whole process, like the environment variable.
static TRUST_TREES: OnceLock<Vec<PathBuf>> = OnceLock::new();

/// Trusts the trees of `--trust-tree` in the rest of this process.
///
/// # Errors
/// One of them does not exist or is not a directory.
pub(crate) fn set_trusted_trees(trees: &[PathBuf]) -> Result<()> {
    if let Some(missing) = trees.iter().find(|tree| !tree.is_dir()) {
        return Err(Error::usage(format!("--trust-tree {} is not a directory", missing.display()))
            .with_hint("pass the root of the tree: --trust-tree DIR"));
    }
    // Called once per process, so an error is not possible.
    let _ = TRUST_TREES.set(trees.to_vec());
    Ok(())
}

impl TrustedOwners {
    /// The owners that this process trusts, with the trees of `--trust-tree` and `XTASK_TRUST_TREE` (separated by
    /// colons).
    pub(crate) fn from_env() -> TrustedOwners {
        let user = effective_uid();
        let sudo_user = env::var("SUDO_UID").ok().filter(|_| user == 0).and_then(|uid| uid.parse().ok());
        let value = env::var_os("XTASK_TRUST_TREE").unwrap_or_default();
        let paths = env::split_paths(&value).filter(|path| !path.as_os_str().is_empty());
        let trees = paths
            .chain(TRUST_TREES.get().into_iter().flatten().cloned())
            .filter_map(|path| fs::canonicalize(path).ok());
        TrustedOwners {
            user,
            sudo_user,
            trusted_trees: trees.collect(),
            accounts: Accounts::read(),
            safe_directories: OnceLock::new(),
        }
    }

    /// Whether files of this user are trusted.
    pub(crate) fn is_trusted_uid(&self, uid: u32) -> bool {
        uid == self.user || uid == 0 || self.sudo_user == Some(uid)
    }

    /// Whether users other than the owner may write to a file: by the mode bit for others, or by the group's bit unless
    /// the group is the owner's private one.
    fn is_writable_by_others(&self, file: &Metadata) -> bool {
        // The mode of a symlink has no effect (symlink(7)).
        let writable = |bit| !file.is_symlink() && file.mode() & bit != 0;
        writable(0o002) || writable(0o020) && !self.accounts.is_private_group(file.uid(), file.gid())
    }

    /// Checks that a tree may be built and its code run: root and contents, down to the manifest directories, belong to
    /// trusted owners and are not writable by others.
    ///
    /// # Errors
    /// Failed (2), with the first path that is not trusted and the command that trusts the tree.
    pub(crate) fn check_tree(&self, root: &Path) -> Result<()> {
        if self.is_trusted_path(root) {
            return Ok(());
        }
        self.check_below(root, root, MAX_DEPTH)
    }

    /// Checks one file of a tree, such as a journal: the file and the directories above it up to the tree's root.
    ///
    /// # Errors
    /// As [`TrustedOwners::check_tree`]; also when a file cannot be examined.
    pub(crate) fn check_file(&self, root: &Path, path: &Path) -> Result<()> {
        if self.is_trusted_path(root) {
            return Ok(());
        }
        for part in path.ancestors().take_while(|part| part.starts_with(root)) {
            let found = fs::symlink_metadata(part).with_path("cannot examine", part)?;
            self.check_metadata(root, part, &found)?;
        }
        Ok(())
    }

    /// Checks owner and mode of a file of a tree.
    fn check_metadata(&self, root: &Path, path: &Path, file: &Metadata) -> Result<()> {
        let reason = if !self.is_trusted_uid(file.uid()) {
            format!("is owned by {}", self.accounts.describe_user(file.uid()))
        } else if self.is_writable_by_others(file) {
            format!("is writable by others (mode {:04o})", file.mode() & 0o7777)
        } else {
            return Ok(());
        };
        let root = root.display().to_string();
        Err(Error::failed(format!("the tree {root} is not trusted: {} {reason}", path.display())).with_hint(
            format!(
                "to trust it for one run, add --trust-tree {root} (or XTASK_TRUST_TREE={root}); \
                 for all runs: git config --global --add safe.directory {root}",
                root = quote(&root),
            ),
        ))
    }

    /// Checks `path` and what is below it. Build output and git's own directory are left out: a root filesystem holds
    /// files of many users, and git checks the owner of its directory itself.
    fn check_below(&self, root: &Path, path: &Path, depth: usize) -> Result<()> {
        let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
        let name = path.file_name().filter(|_| found.is_dir() && depth < MAX_DEPTH);
        if name.is_some_and(|name| is_build_output_or_git(name, depth == MAX_DEPTH - 1)) {
            return Ok(());
        }
        self.check_metadata(root, path, &found)?;
        if depth == 0 || !found.is_dir() {
            return Ok(());
        }
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut entries: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        entries.sort();
        entries.iter().try_for_each(|entry| self.check_below(root, entry, depth - 1))
    }

    /// Whether a tree is trusted by its path.
    fn is_trusted_path(&self, root: &Path) -> bool {
        let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
        self.trusted_trees.contains(&root) || {
            let safe = self.safe_directories.get_or_init(read_safe_directories);
            safe.iter().any(|value| matches_safe_directory(value, &root))
        }
    }
}

/// Whether a directory of this name, in the root of a tree or elsewhere in it, is git's own or one that a build writes.
pub(crate) fn is_build_output_or_git(name: &OsStr, is_in_root: bool) -> bool {
    name == ".git" || is_in_root && name == "target" || name.as_encoded_bytes().starts_with(b"build-")
}

/// Whether a value of `safe.directory` names a directory: its path, `*`, or a path that ends in `/*` (git-config(1)).
fn matches_safe_directory(value: &Path, directory: &Path) -> bool {
    if value == Path::new("*") {
        return true;
    }
    match value.file_name().filter(|name| *name == "*").and_then(|_| value.parent()) {
        Some(above) => directory != above && directory.starts_with(above),
        None => value == directory || fs::canonicalize(value).is_ok_and(|real| real == directory),
    }
}

/// git's `safe.directory` from the system's and the user's configuration, never from the tree's; empty without git.
fn read_safe_directories() -> Vec<PathBuf> {
    let read = |scope: &str| {
        let mut git = Command::new("git");
        // Not the current directory: it may be a repository of another user.
        git.current_dir("/").args(["config", scope, "--null", "--get-all", "safe.directory"]);
        git.stdin(Stdio::null()).output().map(|output| output.stdout).unwrap_or_default()
    };
    parse_safe_directories(&[read("--system"), read("--global")].concat(), env::var_os("HOME"))
}

/// Parses values that each end in a NUL byte. An empty value clears the previous ones.
fn parse_safe_directories(values: &[u8], home: Option<OsString>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for value in values.split_inclusive(|byte| *byte == 0) {
        let value = value.strip_suffix(b"\0").unwrap_or(value);
        let path = PathBuf::from(OsString::from_vec(value.to_vec()));
        match (path.strip_prefix("~"), &home) {
            _ if value.is_empty() => paths.clear(),
            (Ok(below), Some(home)) => paths.push(Path::new(home).join(below)),
            _ => paths.push(path),
        }
    }
    paths
}

#[cfg(test)]
mod tests;
