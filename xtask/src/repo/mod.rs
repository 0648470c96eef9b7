//! The source tree: finding and reading it, and its transactions.

mod layout;
mod manifests;
pub mod transaction;

use std::fs;
use std::path::{Path, PathBuf};

use self::transaction::TreeLock;
use coreos_types::error::{Error, ErrorExt, Result, ResultExt};
use coreos_types::shell::quote;
use manifest::plan::stage1_sources::{COMMON_MK, Stage1Sources};

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
    ///
    /// # Errors
    /// There is no tree.
    pub fn find(repo: Option<&Path>, current_directory: &Path) -> Result<Repo> {
        match repo {
            Some(directory) => {
                let root = fs::canonicalize(current_directory.join(directory))
                    .with_path("cannot open the tree", directory)
                    .with_hint("pass the tree's root: --repo DIR")?;
                let tree = Repo { root };
                if tree.is_repo() { Ok(tree) } else { Err(tree.not_a_repo()) }
            }
            None => {
                let start =
                    fs::canonicalize(current_directory).with_path("cannot open", current_directory)?;
                let mut above = start.ancestors().map(|root| Repo { root: root.to_owned() });
                above.find(Repo::is_repo).ok_or_else(|| {
                    Error::failed(format!("no tree with {COMMON_MK} at or above {}", start.display()))
                        .with_hint("run inside an rkt-style tree, or pass --repo DIR; to try the tool: cargo xtask demo")
                })
            }
        }
    }

    /// The root directory, absolute and without symlinks.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads coreos-common.mk and every manifest under a shared lock, after recovering an interrupted transaction.
    ///
    /// # Errors
    /// A file cannot be read, or an entry of a manifest directory is not a manifest.
    pub fn read(&self) -> Result<LoadedRepo> {
        let recovered = transaction::recover(&self.root)?;
        let _lock = TreeLock::shared(&self.root)?;
        let mut read = manifests::read(&self.root)?;
        read.warnings.splice(0..0, recovered);
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
            None => error.with_hint(
                "pass the root of an rkt-style tree: --repo DIR; to try the tool: cargo xtask demo",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
