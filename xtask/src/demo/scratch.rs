//! A directory of our own below the system's temporary directory, gone when its value is.

use std::path::{Path, PathBuf};

use super::example;
use crate::fault::{OrFault, Result};

/// The scratch copy of the example's tree, its signing key, and a cache.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
}

impl Scratch {
    /// Writes the tree and the key.
    ///
    /// # Errors
    /// The temporary directory cannot be written.
    pub fn make(signing_key: &str) -> Result<Scratch> {
        let root = std::env::temp_dir().join(format!("coreos-xtask-demo-{}", std::process::id()));
        std::fs::create_dir(&root).or_fault(|| format!("cannot make {}", root.display()))?;
        let scratch = Scratch { root };
        for (path, content) in example::FILES {
            write(&scratch.tree().join(path), |path| std::fs::write(path, content))?;
        }
        for (path, target) in example::LINKS {
            write(&scratch.tree().join(path), |path| std::os::unix::fs::symlink(target, path))?;
        }
        write(&scratch.signing_key(), |path| std::fs::write(path, signing_key))?;
        Ok(scratch)
    }

    /// The tree, for `--repo`.
    pub fn tree(&self) -> PathBuf {
        self.root.join("tree")
    }

    /// The certificate, for `--signing-key`.
    pub fn signing_key(&self) -> PathBuf {
        self.root.join("signing-key.asc")
    }

    /// A cache of its own, for `XTASK_CACHE_DIR`: a demo leaves nothing in the user's.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// The directory that holds it all.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whoever took it away before us did our work.
        drop(std::fs::remove_dir_all(&self.root));
    }
}

fn write(path: &Path, put: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let directory = path.parent().unwrap_or(path);
    std::fs::create_dir_all(directory)
        .and_then(|()| put(path))
        .or_fault(|| format!("cannot write {}", path.display()))
}
