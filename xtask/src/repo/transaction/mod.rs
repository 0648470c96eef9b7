//! Applies an edit plan to the files on disk, atomically.
//!
//! Every file is first written to a staging directory and synced. One rename then commits the journal; from then on any
//! run that finds the journal can replay it. Then the files are renamed into place. When a rename fails, the reverse
//! journal replaces the journal and is replayed in the same way. So a tree with a journal can always be recovered, and
//! a tree without one is consistent.

mod disk;
mod journal;
mod lock;
mod staging;
mod targets;

use std::fs::File;
use std::path::Path;

pub(crate) use self::lock::lock_best_effort;
use self::staging::Staging;
use super::Repo;
use crate::signals;
use coreos_types::{Error, Result};
use manifest::plan::edit_plan::EditPlan;

/// Writes every file of the plan, or none. Signals are deferred until the transaction has ended.
///
/// # Errors
/// A file changed since it was read, is not writable or is a link out of the tree, or a disk operation failed: nothing
/// has changed then. If the rollback failed too, the message says so, and the next command that reads the tree
/// completes it.
pub fn apply(tree: &Repo, plan: &EditPlan) -> Result<()> {
    if plan.is_empty() {
        return Ok(());
    }
    let _lock = lock_best_effort(tree.root(), File::try_lock)?;
    signals::with_signals_deferred(|| {
        let staging = Staging::new(tree.root());
        recover_locked(&staging)?;
        staging.ensure_no_foreign_files()?;
        let targets = targets::check_and_collect(tree.root(), plan)?;
        let write = || {
            let journal = staging.stage_all(&targets)?;
            staging.commit_journal("forward")?;
            staging.replay(&journal)
        };
        match write() {
            // The tree is consistent; the next run removes a staging directory that cannot be removed now.
            Ok(()) => {
                let _left_over = staging.clean_up();
                Ok(())
            }
            Err(error) => Err(rollback(&staging, error)),
        }
    })
}

/// Makes the checks of [`apply`] without writing anything.
///
/// # Errors
/// Those of [`apply`] that can be detected before a write.
pub fn preflight(tree: &Repo, plan: &EditPlan) -> Result<()> {
    if plan.is_empty() {
        return Ok(());
    }
    Staging::new(tree.root()).ensure_no_foreign_files()?;
    targets::check_and_collect(tree.root(), plan).map(drop)
}

/// Completes the transaction of a run that was killed, and returns a message about the result; `None` if there was
/// none. [`Repo::recover_and_read`] starts with this.
///
/// # Errors
/// A file has changed since, the journal is not trusted, or a disk operation failed.
pub(crate) fn recover(root: &Path) -> Result<Option<String>> {
    let staging = Staging::new(root);
    if !staging.exists()? {
        return Ok(None);
    }
    let _lock = lock_best_effort(root, File::try_lock)?;
    signals::with_signals_deferred(|| recover_locked(&staging))
}

/// Undoes the replacements made before `error`, and adds the outcome to the error.
fn rollback(staging: &Staging, error: Error) -> Error {
    let undo = || match staging.read_journal()? {
        None => Ok(()),
        Some(journal) => {
            staging.commit_journal("back")?;
            staging.replay(&journal.reversed())
        }
    };
    match undo() {
        Ok(()) => {
            // A staging directory that cannot be removed has no effect; the next run removes it.
            let _left_over = staging.clean_up();
            error.with_cause("nothing was changed")
        }
        Err(second) => error
            .with_cause(format!("undoing the change failed too: {second}"))
            .with_cause("the next command that reads the tree finishes it"),
    }
}

/// Replays the journal and removes the staging directory; the caller holds the lock.
fn recover_locked(staging: &Staging) -> Result<Option<String>> {
    if !staging.exists()? {
        return Ok(None);
    }
    let Some(journal) = staging.read_journal()? else {
        let other = staging.clean_up()?;
        return Ok(
            other.map(|path| format!("{} was not removed: this program did not create it", path.display()))
        );
    };
    staging.check_trusted(&journal)?;
    let replayed = staging.replay(&journal);
    replayed.map_err(|error| staging.with_removal_hint(error, "cannot finish an interrupted run"))?;
    staging.clean_up()?;
    let files: Vec<&str> = journal.entries.iter().map(|entry| entry.path.as_str()).collect();
    Ok(Some(format!("finished an interrupted run: {}", files.join(", "))))
}

#[cfg(test)]
mod tests;
