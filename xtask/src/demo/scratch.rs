//! A directory of our own below the system's temporary directory, gone when the program ends, however it ends.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use super::example;
use crate::signals;
use coreos_types::error::{Result, ResultExt};

/// The scratch copy of the example's tree, its signing key, and a cache.
#[derive(Debug)]
pub struct DemoDir {
    root: signals::TempPath,
}

impl DemoDir {
    /// Writes the tree and the key.
    ///
    /// # Errors
    /// The temporary directory cannot be written.
    pub fn make(signing_key: &str) -> Result<DemoDir> {
        let path = std::env::temp_dir().join(format!("coreos-xtask-demo-{}", std::process::id()));
        // A directory that is there already is somebody else's: it is made first, and ours only then.
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        let scratch = DemoDir { root: signals::TempPath::at(path) };
        for (path, content) in example::FILES.into_iter().chain(example::MAKEFILES) {
            put(&scratch.tree().join(path), |path| fs::write(path, content))?;
        }
        for (path, target) in example::LINKS {
            put(&scratch.tree().join(path), |path| symlink(target, path))?;
        }
        put(&scratch.signing_key(), |path| fs::write(path, signing_key))?;
        Ok(scratch)
    }

    /// The tree, for `--repo`.
    pub fn tree(&self) -> PathBuf {
        self.root.path().join("tree")
    }

    /// The certificate, for `--signing-key`.
    pub fn signing_key(&self) -> PathBuf {
        self.root.path().join("signing-key.asc")
    }

    /// A cache of its own: a demo leaves nothing in the user's.
    pub fn cache(&self) -> PathBuf {
        self.root.path().join("cache")
    }
}

fn put(path: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory)
        .and_then(|()| write(path))
        .with_context(|| format!("cannot write {}", path.display()))
}
