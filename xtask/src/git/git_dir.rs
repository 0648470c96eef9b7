//! The git directory of a checkout, examined before git reads or writes it: a copied checkout may name another
//! repository, or have a pipe or a device where git expects a file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bounded_file;
use coreos_types::{Error, Result, shell::quote_path};

/// More than any path, or reference in `HEAD`.
const MAX_LINE_LEN: u64 = 8 << 10;
/// Files that git reads as a whole, and the limit of their size.
const FILES: [&str; 9] = [
    "HEAD",
    "commondir",
    "config",
    "config.worktree",
    "info/attributes",
    "info/exclude",
    "info/grafts",
    "objects/info/alternates",
    "shallow",
];
const MAX_FILE_LEN: u64 = 64 << 20;
/// Files that git maps into memory.
const MAPPED_FILES: [&str; 2] = ["index", "packed-refs"];

/// The git directory of a checkout.
pub(super) struct GitDir {
    /// The directory that has `.git`.
    checkout: PathBuf,
    /// `.git`, or the directory that a file of this name names.
    own: PathBuf,
    /// The directory that all working trees of the repository share.
    common: PathBuf,
}

impl GitDir {
    /// The git directory of the checkout that has `root`; `None` outside of a checkout.
    pub(super) fn find(root: &Path) -> Option<GitDir> {
        let checkout = root.ancestors().find(|path| path.join(".git").symlink_metadata().is_ok())?;
        let mut own = checkout.join(".git");
        if !own.is_dir() {
            own = checkout.join(read_line(&own)?.strip_prefix("gitdir:")?.trim_start());
        }
        let common = read_line(&own.join("commondir")).map_or_else(|| own.clone(), |path| own.join(path));
        Some(GitDir { checkout: checkout.to_owned(), own, common })
    }

    /// Whether this is the git directory at `path`.
    pub(super) fn is_same(&self, path: &Path) -> bool {
        fs::canonicalize(path).is_ok_and(|path| fs::canonicalize(&self.own).is_ok_and(|own| own == path))
    }

    /// Refuses what git would read without end.
    pub(super) fn check_files(&self) -> Result<()> {
        let head = read_line(&self.own.join("HEAD"));
        let branch = head.as_deref().and_then(|line| line.strip_prefix("ref:")).map(str::trim);
        for directory in [&self.own, &self.common] {
            for name in FILES.into_iter().chain(MAPPED_FILES).chain(branch) {
                let path = directory.join(name);
                let Ok(found) = fs::metadata(&path) else { continue };
                let is_too_large = found.len() > MAX_FILE_LEN && !MAPPED_FILES.contains(&name);
                if !found.is_file() || is_too_large {
                    let what = if found.is_file() { "is too large" } else { "is not a regular file" };
                    return Err(Error::failed(format!("{} {what}: git cannot read it", path.display()))
                        .with_hint("omit --commit, or repair the repository"));
                }
            }
        }
        Ok(())
    }

    /// Refuses a repository outside of the checkout that does not name the checkout as one of its own: a commit would
    /// change the branch of another checkout. `read_worktree` returns `core.worktree` of a configuration file.
    pub(super) fn check_owns_checkout(&self, read_worktree: impl Fn(&Path) -> Option<String>) -> Result<()> {
        let real = |path: &Path| fs::canonicalize(path).ok();
        let (own, common, checkout) = (real(&self.own), real(&self.common), real(&self.checkout));
        let is_inside = common.as_ref().zip(checkout.as_ref()).is_some_and(|(dir, top)| dir.starts_with(top));
        let is_checkout = |path: &Path| checkout.is_some() && real(path) == checkout;
        // git-worktree(1) and gitsubmodules(7).
        let is_working_tree = || {
            let dot_git = self.own.join(read_line(&self.own.join("gitdir"))?);
            let is_listed = own.as_ref()?.parent()? == common.as_ref()?.join("worktrees");
            Some(is_listed && dot_git.ends_with(".git") && is_checkout(dot_git.parent()?))
        };
        let is_submodule = || {
            let worktree = read_worktree(&self.common.join("config"))?;
            Some(own == common && is_checkout(&self.common.join(worktree)))
        };
        if is_inside || is_working_tree() == Some(true) || is_submodule() == Some(true) {
            return Ok(());
        }
        let (dot_git, common) = (self.checkout.join(".git"), self.common.display());
        let message = format!("{} points to {common}, the repository of another checkout", dot_git.display());
        let directory = quote_path(&self.checkout.to_string_lossy());
        Err(Error::failed(message).with_hint(format!(
            "omit --commit, and use git commit; after git init --separate-git-dir: git config core.worktree {directory}"
        )))
    }
}

/// The text of a file of one line; `None` if there is no such file.
fn read_line(path: &Path) -> Option<String> {
    let text = String::from_utf8(bounded_file::read(path, MAX_LINE_LEN).ok()?).ok()?;
    Some(text.trim_end().to_owned())
}
