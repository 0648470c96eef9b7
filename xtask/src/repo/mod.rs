//! Finds the tree, and reads what a bump may change.

mod layout;
mod manifests;
pub mod transaction;

use std::fs;
use std::path::{Path, PathBuf};

use self::transaction::TreeLock;
use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::shell::quote;
use manifest::plan::sources::{COMMON_MK, Stage1Sources};

/// An rkt-style tree on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    root: PathBuf,
}

/// A tree that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadedRepo {
    /// What it holds.
    pub sources: Stage1Sources,
    /// What the reader should be told on stderr: an interrupted run that was finished, directories left out.
    pub warnings: Vec<String>,
}

impl Repo {
    /// The tree at `repo` (`--repo DIR`), or else the nearest one above `current_directory`.
    ///
    /// # Errors
    /// There is none.
    pub fn find(repo: Option<&Path>, current_directory: &Path) -> Result<Repo> {
        match repo {
            Some(directory) => {
                let root = fs::canonicalize(current_directory.join(directory))
                    .with_context(|| format!("cannot open the tree {}", directory.display()))
                    .map_err(|error| error.with_hint("pass the tree's root: --repo DIR"))?;
                let tree = Repo { root };
                if tree.is_repo() { Ok(tree) } else { Err(tree.not_a_repo()) }
            }
            None => {
                let start = fs::canonicalize(current_directory)
                    .with_context(|| format!("cannot open {}", current_directory.display()))?;
                let mut above = start.ancestors().map(|root| Repo { root: root.to_owned() });
                above.find(Repo::is_repo).ok_or_else(|| {
                    Error::failed(format!("no tree with {COMMON_MK} at or above {}", start.display()))
                        .with_hint("run inside an rkt-style tree, or pass --repo DIR; to try the tool: cargo xtask demo")
                })
            }
        }
    }

    /// Its root, absolute and without symlinks.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads coreos-common.mk and every manifest, as no other run is writing; an interrupted run is finished first.
    ///
    /// # Errors
    /// A file that cannot be read, or something in a manifest directory that is no manifest.
    pub fn read(&self) -> Result<LoadedRepo> {
        let mended = transaction::recover(&self.root)?;
        let _nobody_writes = TreeLock::shared(&self.root)?;
        let mut read = manifests::read(&self.root)?;
        read.warnings.splice(0..0, mended);
        Ok(read)
    }

    fn is_repo(&self) -> bool {
        self.root.join(COMMON_MK).is_file()
    }

    fn not_a_repo(&self) -> Error {
        let error =
            Error::failed(format!("{} is not an rkt-style tree: {COMMON_MK} not found", self.root.display()));
        match self.root.ancestors().skip(1).map(|root| Repo { root: root.to_owned() }).find(Repo::is_repo) {
            Some(above) => error.with_hint(format!(
                "pass the tree's root: --repo {}",
                quote(&above.root.display().to_string())
            )),
            None => error.with_hint("run inside an rkt-style tree, or pass --repo DIR"),
        }
    }
}

#[cfg(test)]
mod tests;
