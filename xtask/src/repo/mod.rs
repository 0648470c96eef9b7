//! The source tree: finding and reading it, and its transactions.

mod layout;
mod manifests;
pub mod transaction;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use self::transaction::lock_best_effort;
use coreos_types::{Error, ErrorExt, Result, ResultExt, shell::quote};
use manifest::stage1_sources::{COMMON_MK, Stage1Sources};

/// An rkt-style tree on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    root: PathBuf,
}

/// A tree with its contents in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadedRepo {
    /// coreos-common.mk and the manifests.
    pub sources: Stage1Sources,
    /// Messages to print to stderr: a recovered transaction, ignored directories.
    pub warnings: Vec<String>,
}

impl Repo {
    /// Finds the tree at `repo` (`--repo DIR`), or else the nearest one at or above `current_directory`.
    pub fn find(repo: Option<&Path>, current_directory: &Path) -> Result<Repo> {
        let Some(directory) = repo else {
            let start = fs::canonicalize(current_directory).with_path("cannot open", current_directory)?;
            return nearest_tree(&start).ok_or_else(|| {
                Error::failed(format!("no tree with {COMMON_MK} at or above {}", start.display())).with_hint(
                    "run inside an rkt-style tree, or pass --repo DIR; to try the tool: cargo xtask demo",
                )
            });
        };
        let root = fs::canonicalize(current_directory.join(directory))
            .with_path("cannot open the tree", directory)
            .with_hint("pass the tree's root: --repo DIR")?;
        let hint = match nearest_tree(&root) {
            Some(tree) if tree.root == root => return Ok(tree),
            Some(above) => {
                format!("pass the tree's root: --repo {}", quote(&above.root.display().to_string()))
            }
            None => {
                "pass the root of an rkt-style tree: --repo DIR; to try the tool: cargo xtask demo".into()
            }
        };
        let message = format!("{} is not an rkt-style tree: {COMMON_MK} not found", root.display());
        Err(Error::failed(message).with_hint(hint))
    }

    /// The root directory, absolute and without symlinks.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads coreos-common.mk and every manifest under a shared lock, after recovering an interrupted transaction.
    ///
    /// # Errors
    /// A file cannot be read, or an entry of a manifest directory is not a manifest.
    pub fn recover_and_read(&self) -> Result<LoadedRepo> {
        let recovered = transaction::recover(&self.root)?;
        let _lock = lock_best_effort(&self.root, File::try_lock_shared)?;
        let mut read = manifests::read(&self.root)?;
        read.warnings.splice(0..0, recovered);
        Ok(read)
    }
}

fn nearest_tree(directory: &Path) -> Option<Repo> {
    let root = directory.ancestors().find(|root| root.join(COMMON_MK).is_file())?;
    Some(Repo { root: root.to_owned() })
}

#[cfg(test)]
mod tests;
