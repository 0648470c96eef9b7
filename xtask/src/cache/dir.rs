//! The folder itself: where it is, and that nobody else writes to it.

use std::env;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use coreos_types::error::{Error, Result, ResultExt};
use pxe_image::UnlinkedTempDir;

/// The cache of one user.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$XTASK_CACHE_DIR`, else `$XDG_CACHE_HOME/coreos-xtask`, else `~/.cache/coreos-xtask`. Nothing is made yet.
    ///
    /// # Errors
    /// None of the three is set.
    pub fn of_environment() -> Result<Cache> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = set("XTASK_CACHE_DIR")
            // The XDG specification: a relative path is to be ignored.
            .or_else(|| {
                set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).map(|path| path.join("coreos-xtask"))
            })
            .or_else(|| set("HOME").map(|home| home.join(".cache/coreos-xtask")))
            .ok_or_else(|| {
                Error::failed("there is no place for the cache: HOME is not set")
                    .with_hint("set XTASK_CACHE_DIR to a folder")
            })?;
        Ok(Cache::at(&root))
    }

    /// The cache in this folder.
    pub fn at(root: &Path) -> Cache {
        Cache { root: std::path::absolute(root).unwrap_or_else(|_| root.to_owned()) }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where fetched certificates are kept.
    pub fn certificates(&self) -> PathBuf {
        self.root.join("certificates")
    }

    /// Makes a folder of the cache, and gives its path.
    ///
    /// # Errors
    /// It cannot be made, or others may write to the cache.
    pub fn folder(&self, below: impl AsRef<Path>) -> Result<PathBuf> {
        let path = self.place(below)?;
        private_folder(&path)?;
        Ok(path)
    }

    /// The path of a folder that may not be there yet, and that nobody else writes to.
    pub(super) fn place(&self, below: impl AsRef<Path>) -> Result<PathBuf> {
        self.claim()?;
        Ok(self.root.join(below))
    }

    /// Where bytes lie that are not proved yet.
    ///
    /// # Errors
    /// As [`Cache::folder`].
    pub fn scratch(&self) -> Result<UnlinkedTempDir> {
        Ok(UnlinkedTempDir::in_folder(&self.folder("")?))
    }

    /// [`Cache::scratch`], or the system's directory for temporary files: a cache that cannot be written costs time in the
    /// next run, not the result of this one.
    pub(super) fn scratch_or_temp(&self) -> UnlinkedTempDir {
        self.scratch().unwrap_or_else(|_| UnlinkedTempDir::in_folder(&std::env::temp_dir()))
    }

    /// Makes the root, or looks whose it is: what others may write, others may forge.
    fn claim(&self) -> Result<()> {
        private_folder(&self.root)?;
        let about = || format!("cannot look at the cache {}", self.root.display());
        let found = fs::metadata(&self.root).with_context(about)?;
        // The owner of our own entry in /proc is this process's user (proc(5)).
        let own = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == found.uid());
        if own && found.mode() & 0o777 != 0o700 {
            fs::set_permissions(&self.root, Permissions::from_mode(0o700)).with_context(about)?;
        } else if !own && found.mode() & 0o022 != 0 {
            return Err(Error::failed(format!(
                "refusing the cache {}: others may write to it",
                self.root.display()
            ))
            .with_hint("set XTASK_CACHE_DIR to a folder of your own"));
        }
        Ok(())
    }
}

/// Makes a folder of the cache, and those above it.
pub(super) fn private_folder(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the cache folder {}", path.display()))
        .map_err(|fault| fault.with_hint("set XTASK_CACHE_DIR to a folder that can be written"))
}
