//! What a signal may interrupt, and what it must leave behind: nothing that is temporary, nothing that is half.
//!
//! Signals reach the whole process, so this is the one room with process-wide state: the section that must not be
//! interrupted, the paths to remove and the last word to say before the process ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, signal_name};

use coreos_types::error::{Result, ResultExt};

/// Held while the process must not end.
static UNINTERRUPTED: Mutex<()> = Mutex::new(());
/// What is to be removed when a signal ends the process.
static SCRATCH: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Prints a message when a signal ends the process; its argument is the name of the signal.
pub type TerminationMessage = Box<dyn FnOnce(&str) + Send>;
/// The message, as long as the result is not printed.
static ON_TERMINATION: Mutex<Option<TerminationMessage>> = Mutex::new(None);
/// How long the process lives on for it: whoever reads may have stopped reading.
const PATIENCE: Duration = Duration::from_secs(1);

/// From now on SIGINT, SIGTERM and SIGHUP wait for [`uninterrupted`] work, remove every [`TempPath`], and then end
/// the process as they would have without us, so that the caller sees the signal. Called once, by `main`.
///
/// # Errors
/// The system lets no handler be set.
pub fn watch() -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).with_context(|| "cannot watch for signals")?;
    let end_by = move || {
        if let Some(signal) = signals.forever().next() {
            let _whole = hold(&UNINTERRUPTED);
            // Never let go of: nothing new may be made from here on.
            let scratch = hold(&SCRATCH);
            scratch.iter().for_each(|path| remove(path));
            print_termination_message(signal);
            if emulate_default_handler(signal).is_err() {
                std::process::exit(128 + signal);
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(end_by)
        .with_context(|| "cannot watch for signals")?;
    Ok(())
}

/// Does work that a signal may not cut in two. Keep it short: the user waits for it.
pub fn uninterrupted<T>(work: impl FnOnce() -> T) -> T {
    let _whole = hold(&UNINTERRUPTED);
    work()
}

/// Registers the message to print if a signal ends the process before the result is printed.
pub fn print_on_termination(word: TerminationMessage) {
    *hold(&ON_TERMINATION) = Some(word);
}

/// Prints the result: from here on no termination message is printed.
pub fn print_result<T>(tell: impl FnOnce() -> T) -> T {
    let mut word = hold(&ON_TERMINATION);
    *word = None;
    tell()
}

/// Waits until a result that is being printed is complete, or prints the termination message.
fn print_termination_message(signal: i32) {
    let (said, done) = mpsc::channel();
    let say = move || {
        if let Some(word) = hold(&ON_TERMINATION).take() {
            word(signal_name(signal).unwrap_or("a signal"));
        }
        let _ = said.send(());
    };
    if std::thread::Builder::new().spawn(say).is_ok() {
        let _ = done.recv_timeout(PATIENCE);
    }
}

/// A temporary file or directory: removed when dropped, and when a signal ends the process.
#[derive(Debug)]
pub struct TempPath {
    path: PathBuf,
}

impl TempPath {
    /// Takes charge of a path before anything is made there; a symlink is removed, never followed.
    pub fn at(path: impl Into<PathBuf>) -> TempPath {
        let path = path.into();
        hold(&SCRATCH).insert(path.clone());
        TempPath { path }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the path where it is from now on.
    pub fn keep(self) -> PathBuf {
        hold(&SCRATCH).remove(&self.path);
        let path = self.path.clone();
        std::mem::forget(self);
        path
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        remove(&self.path);
        hold(&SCRATCH).remove(&self.path);
    }
}

/// Removes what is there. Another thread may still be putting files in, so a directory is tried again.
fn remove(path: &Path) {
    for _ in 0..10 {
        let gone = match fs::symlink_metadata(path) {
            Ok(what) if what.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(_) => return,
        };
        if gone.is_ok() {
            return;
        }
    }
}

fn hold<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn scratch_goes_when_dropped_and_stays_when_kept() {
        let home = tempfile::tempdir().unwrap();
        let (dropped, kept) = (home.path().join("dropped"), home.path().join("kept"));
        let scratch = TempPath::at(&dropped);
        fs::create_dir(scratch.path()).unwrap();
        fs::write(dropped.join("x"), "x").unwrap();
        drop(scratch);
        assert!(!dropped.exists());
        let scratch = TempPath::at(&kept);
        fs::write(scratch.path(), "x").unwrap();
        assert_eq!(scratch.keep(), kept);
        assert!(kept.exists());
        assert!(!hold(&SCRATCH).iter().any(|path| path.starts_with(home.path())));
    }
}
