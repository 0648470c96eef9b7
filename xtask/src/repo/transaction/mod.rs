//! Puts an edit plan on disk, all of it or nothing.
//!
//! Everything is written into a staging directory first and synced. One rename makes the journal valid; from then on
//! the run is decided, and whoever finds the journal can finish it. Then the files are renamed into place. When a
//! rename fails, the journal is replaced by the one of the way back, and carried through in the same manner. So a
//! tree with a journal can always be made whole, and a tree without one is whole.

mod disk;
mod journal;
mod lock;
mod staging;
mod targets;

use std::path::Path;

use self::disk::Disk;
pub(crate) use self::lock::TreeLock;
use self::staging::Staging;
use super::Repo;
use crate::signals;
use coreos_types::error::{Error, Result};
use manifest::plan::file_edits::EditPlan;

/// Writes every file of the plan, or none. A signal that arrives meanwhile waits until it is done.
///
/// # Errors
/// A file changed since it was read, may not be written or leads out of the tree, or the disk failed: nothing has
/// changed then. Where the disk failed so that not even the way back was open, the message says so, and the next
/// command that reads the tree finishes it.
pub fn apply(tree: &Repo, plan: &EditPlan) -> Result<()> {
    apply_on(&Disk::default(), tree.root(), plan)
}

/// Looks at every file as [`apply`] would before it writes anything, and writes nothing.
///
/// # Errors
/// Those of [`apply`] that can be told beforehand.
pub fn preflight(tree: &Repo, plan: &EditPlan) -> Result<()> {
    if plan.is_empty() {
        return Ok(());
    }
    Staging::of(&Disk::default(), tree.root()).ensure_free()?;
    targets::collect(tree.root(), plan).map(drop)
}

/// Finishes what a killed run had begun, and says what it did. Reading a tree starts with this.
///
/// # Errors
/// A file was changed since, the journal is none of ours, or the disk failed.
pub(crate) fn recover(root: &Path) -> Result<Option<String>> {
    recover_on(&Disk::default(), root)
}

fn apply_on(disk: &Disk, root: &Path, plan: &EditPlan) -> Result<()> {
    if plan.is_empty() {
        return Ok(());
    }
    let _lock = TreeLock::exclusive(root)?;
    signals::uninterrupted(|| {
        let staging = Staging::of(disk, root);
        recover_locked(&staging)?;
        staging.ensure_free()?;
        let targets = targets::collect(root, plan)?;
        let staged = staging.fill(&targets).and_then(|journal| staging.decide("forward").map(|()| journal));
        let done = staged.and_then(|journal| staging.replay(&journal));
        match done {
            // The tree is whole; a directory that will not go is the next run's to clear.
            Ok(()) => {
                let _left_over = staging.clear();
                Ok(())
            }
            Err(error) => Err(rollback(&staging, error)),
        }
    })
}

/// Undoes what was done before `error`, and tells how that went.
fn rollback(staging: &Staging, error: Error) -> Error {
    let undo = || match staging.journal()? {
        None => Ok(()),
        Some(_) => {
            staging.decide("back")?;
            staging.journal()?.map_or(Ok(()), |back| staging.replay(&back))
        }
    };
    match undo() {
        Ok(()) => {
            // As above: what is left in the directory says nothing any more.
            let _left_over = staging.clear();
            error.with_cause("nothing was changed")
        }
        Err(second) => error
            .with_cause(format!("taking it back failed too: {second}"))
            .with_cause("the next command that reads the tree finishes it"),
    }
}

fn recover_on(disk: &Disk, root: &Path) -> Result<Option<String>> {
    let staging = Staging::of(disk, root);
    if !staging.is_there()? {
        return Ok(None);
    }
    let _lock = TreeLock::exclusive(root)?;
    signals::uninterrupted(|| recover_locked(&staging))
}

/// Carries a journal through and clears the directory, with the lock held: nobody else is at work in it.
fn recover_locked(staging: &Staging) -> Result<Option<String>> {
    if !staging.is_there()? {
        return Ok(None);
    }
    let Some(journal) = staging.journal()? else {
        let left =
            |path: std::path::PathBuf| format!("{} was left: this program did not make it", path.display());
        return Ok(staging.clear()?.map(left));
    };
    staging.check_trusted(&journal)?;
    staging.replay(&journal).map_err(|error| {
        let mut error = error.context("cannot finish an interrupted run");
        error.hint = Some(staging.removal());
        error
    })?;
    staging.clear()?;
    let files: Vec<&str> = journal.entries.iter().map(|entry| entry.path.as_str()).collect();
    Ok(Some(format!("finished an interrupted run: {}", files.join(", "))))
}

#[cfg(test)]
mod tests;
