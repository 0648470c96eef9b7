//! The cache directory: its location, and the check that no other user can write to it.
//!
//! Directories that this program creates get mode 0700; existing ones are never changed. An existing one that others
//! may write, or that another user owns, gets a private subdirectory per user.

use std::env;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use crate::trusted_owners::{TrustedOwners, effective_uid};
use coreos_types::{Error, ErrorExt, Result, ResultExt, shell::quote};
use pxe_image::TempFileDir;

const VARIABLE: &str = "XTASK_CACHE_DIR";

/// The cache of one user.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$XTASK_CACHE_DIR`, else `$XDG_CACHE_HOME/coreos-xtask`, else `~/.cache/coreos-xtask`; outside of `tree`. No
    /// directory is created yet.
    ///
    /// # Errors
    /// None of the three is set; `XTASK_CACHE_DIR` is not absolute; the directory is in the tree.
    pub fn from_env(tree: Option<&Path>) -> Result<Cache> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set("HOME").filter(|home| home.is_absolute());
        // XDG Base Directory Specification: a relative path is ignored.
        let cache_home = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        let cache_home = cache_home.or_else(|| home.as_ref().map(|home| home.join(".cache")));
        let root = match (set(VARIABLE), cache_home) {
            (Some(value), _) if value.is_absolute() => value,
            (Some(value), _) => return Err(not_absolute_error(&value, home.as_deref())),
            (None, Some(cache_home)) => cache_home.join("coreos-xtask"),
            (None, None) => {
                return Err(Error::failed("no directory for the cache: HOME is not set")
                    .with_hint(format!("export {VARIABLE}=/var/tmp/coreos-xtask")));
            }
        };
        let cache = Cache::new(&root);
        if tree.is_some_and(|tree| real_path(&cache.root).starts_with(tree)) {
            let mut outside = home.unwrap_or_else(|| "/var/tmp".into()).join(".cache/coreos-xtask");
            if tree.is_some_and(|tree| outside.starts_with(tree)) {
                outside = "/var/tmp/coreos-xtask".into();
            }
            return Err(Error::failed(format!("the cache directory {} is inside the tree", root.display()))
                .with_cause("a build or a commit could pick up its files")
                .with_hint(export_command(&outside)));
        }
        Ok(cache)
    }

    /// The cache in this directory.
    pub fn new(root: &Path) -> Cache {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        // Without a slash at the end, which would make lstat(2) follow a symlink.
        Cache { root: root.components().collect() }
    }

    /// The directory as configured; the files may be in a private subdirectory of it.
    pub fn configured_root(&self) -> &Path {
        &self.root
    }

    /// The directory of downloaded certificates; `None` when the cache cannot be used.
    pub fn certificates_dir(&self) -> Option<PathBuf> {
        self.private_path("certificates").ok()
    }

    /// Creates a directory of the cache, and returns its path.
    ///
    /// # Errors
    /// The directory cannot be created, or others may write to the cache.
    pub fn create_dir(&self, below: impl AsRef<Path>) -> Result<PathBuf> {
        let path = self.private_path(below)?;
        create_private_dir(&path)?;
        Ok(path)
    }

    /// The path of a directory that may not exist yet, and that no other user can write to. If a directory above it
    /// belongs to another user (after a run with sudo), the path is in the private subdirectory.
    ///
    /// # Errors
    /// Others may write to the cache, and a private subdirectory is not possible.
    pub(super) fn private_path(&self, below: impl AsRef<Path>) -> Result<PathBuf> {
        let base = self.private_root()?;
        let path = base.join(below.as_ref());
        let is_foreign =
            |part: &Path| fs::symlink_metadata(part).is_ok_and(|found| found.uid() != effective_uid());
        if path.ancestors().take_while(|part| *part != base).any(is_foreign) {
            return Ok(create_private_subdirectory(&base)?.join(below));
        }
        Ok(path)
    }

    /// A temporary directory for unverified data: the cache, or that of the system if the cache is not writable.
    pub fn temp_dir_or_system(&self) -> TempFileDir {
        let in_cache = self.create_dir("").map(|root| TempFileDir::new(&root)).ok();
        let in_cache = in_cache.filter(|directory| directory.create_unlinked_file().is_ok());
        in_cache.unwrap_or_else(|| TempFileDir::new(&env::temp_dir()))
    }

    /// The directory of all files: the root, or this user's private subdirectory of it.
    fn private_root(&self) -> Result<PathBuf> {
        check_links(&self.root)?;
        match fs::metadata(&self.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(self.root.clone()),
            Err(error) => Err(error)
                .with_path("cannot examine the cache", &self.root)
                .with_hint(writable_dir_hint(&self.root)),
            Ok(found) if !found.is_dir() => {
                Err(Error::failed(format!("the cache {} is not a directory", self.root.display()))
                    .with_hint(writable_dir_hint(&self.root)))
            }
            // A file in a directory that others may write can be forged.
            Ok(found) if found.uid() == effective_uid() && found.mode() & 0o1022 == 0 => {
                Ok(self.root.clone())
            }
            Ok(_) => create_private_subdirectory(&self.root),
        }
    }
}

/// Refuses a path with a symlink of a user who is not trusted: it could point to any directory of this user.
fn check_links(path: &Path) -> Result<()> {
    for part in path.ancestors() {
        if let Ok(found) = fs::symlink_metadata(part)
            && found.is_symlink()
            && !TrustedOwners::from_env().is_trusted_uid(found.uid())
        {
            let message = format!("cannot use the cache {}", path.display());
            let cause = format!("{} is a symlink of user {}", part.display(), found.uid());
            return Err(Error::failed(message).with_cause(cause).with_hint(writable_dir_hint(path)));
        }
    }
    Ok(())
}

/// The subdirectory of this user in a cache that others may write.
fn create_private_subdirectory(root: &Path) -> Result<PathBuf> {
    let path = root.join(format!("coreos-xtask-{}", effective_uid()));
    create_private_dir(&path)?;
    let found = fs::symlink_metadata(&path).with_path("cannot examine", &path)?;
    if found.is_dir() && found.uid() == effective_uid() && found.mode() & 0o022 == 0 {
        return Ok(path);
    }
    Err(Error::failed(format!("cannot use the cache {}: others may write to it", path.display()))
        .with_hint(writable_dir_hint(root)))
}

/// Creates a directory of the cache, and its parents, with mode 0700.
pub(super) fn create_private_dir(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_path("cannot create the cache directory", path)
        .with_hint(writable_dir_hint(path))
}

/// The hint for a path of the cache that cannot be used: the usual directory in the home directory, or another one if
/// that is the reason.
pub(super) fn writable_dir_hint(failed: &Path) -> String {
    let home = env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute() && home.is_dir());
    let usual = home.map(|home| home.join(".cache/coreos-xtask")).filter(|usual| !failed.starts_with(usual));
    let other = usual.unwrap_or_else(|| format!("/var/tmp/coreos-xtask-{}", effective_uid()).into());
    format!("use a directory of your own with enough free space: {}", export_command(&other))
}

fn export_command(path: &Path) -> String {
    format!("export {VARIABLE}={}", quote(&path.display().to_string()))
}

/// The error of a value that is not absolute. Quoted in a CI file, `~` and variables are not expanded, and would name a
/// directory in the tree.
fn not_absolute_error(value: &Path, home: Option<&Path>) -> Error {
    let text = value.to_string_lossy();
    let (first, rest) = text.split_once('/').unwrap_or((&text, ""));
    let is_home = ["~", "$HOME", "${HOME}"].contains(&first);
    // Another word that a shell or systemd would expand, such as $XDG_CACHE_HOME, ~user and %h.
    let is_expanded = first.starts_with(['~', '$', '%']);
    let below = if is_expanded { rest } else { &text };
    let below: PathBuf =
        Path::new(below).components().filter(|part| matches!(part, Component::Normal(_))).collect();
    let home = home.unwrap_or_else(|| Path::new("/var/tmp"));
    let absolute = match below.as_os_str().is_empty() {
        true => home.join(".cache/coreos-xtask"),
        false if is_home => home.join(below),
        false => home.join(".cache").join(below),
    };
    Error::failed(format!("{VARIABLE} is {text:?}: expected an absolute path"))
        .with_hint(export_command(&absolute))
}

/// A path with its links resolved, as far as it exists.
fn real_path(path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|part| Some((part, fs::canonicalize(part).ok()?)));
    match found {
        Some((part, real)) => real.join(path.strip_prefix(part).unwrap_or(Path::new(""))),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests;
