//! Handling of SIGINT, SIGTERM and SIGHUP: no temporary file and no partial change is left.
//!
//! Signals are process-wide, so this is the one module with process-wide state: the lock of the section that must not
//! be interrupted, the paths to remove, and the message to print before the process ends.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, signal_name};

use coreos_types::{Result, ResultExt};

/// Locked while the process must not end.
static UNINTERRUPTED: Mutex<()> = Mutex::new(());
/// Paths to remove when a signal ends the process.
static TEMP_PATHS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Prints a message when a signal ends the process; its argument is the name of the signal.
pub type TerminationMessage = Box<dyn FnOnce(&str) + Send>;
/// The message, until the result is printed.
static ON_TERMINATION: Mutex<Option<TerminationMessage>> = Mutex::new(None);
/// Time limit for printing the message: the reader of a pipe may have stopped reading.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(1);

/// Installs the handler of SIGINT, SIGTERM and SIGHUP, which waits for [`with_signals_deferred`], removes every
/// [`TempPath`], and then ends the process by the signal's default action, so that the caller sees the signal. Called
/// once, by `main`. A parent that ignores SIGCHLD passes that on, and no program could be waited for: the handler
/// undoes it.
pub fn install_handler() -> Result<()> {
    let mut signals =
        Signals::new([SIGHUP, SIGINT, SIGTERM]).with_context(|| "cannot install the signal handler")?;
    signal_hook::flag::register(SIGCHLD, Arc::default())
        .with_context(|| "cannot install the signal handler")?;
    let end_by = move || {
        if let Some(signal) = signals.forever().next() {
            let _guard = lock_ignoring_poison(&UNINTERRUPTED);
            // Never unlocked: no temporary path may be created from here on.
            let temp_paths = lock_ignoring_poison(&TEMP_PATHS);
            temp_paths.iter().for_each(|path| remove_with_retries(path));
            print_termination_message(signal);
            if emulate_default_handler(signal).is_err() {
                std::process::exit(128 + signal);
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(end_by)
        .with_context(|| "cannot install the signal handler")?;
    Ok(())
}

/// Runs `work` with signals deferred until its end. The work should be short: the user waits for it.
pub fn with_signals_deferred<T>(work: impl FnOnce() -> T) -> T {
    let _guard = lock_ignoring_poison(&UNINTERRUPTED);
    work()
}

/// Registers the message to print if a signal ends the process before the result is printed.
pub fn print_on_termination(message: TerminationMessage) {
    *lock_ignoring_poison(&ON_TERMINATION) = Some(message);
}

/// Runs `print` for the result; from here on no termination message is printed.
pub fn print_final_result<T>(print: impl FnOnce() -> T) -> T {
    let mut message = lock_ignoring_poison(&ON_TERMINATION);
    *message = None;
    print()
}

/// Waits until a result that is being printed is complete, or prints the termination message.
fn print_termination_message(signal: i32) {
    let (sender, done) = mpsc::channel();
    let print = move || {
        if let Some(message) = lock_ignoring_poison(&ON_TERMINATION).take() {
            message(signal_name(signal).unwrap_or("a signal"));
        }
        let _ = sender.send(());
    };
    if std::thread::Builder::new().spawn(print).is_ok() {
        let _ = done.recv_timeout(MESSAGE_TIMEOUT);
    }
}

/// Largest number in the name of a temporary directory.
const MAX_DIR_NUMBER: u32 = 64;

/// A temporary file or directory: removed when dropped, and when a signal ends the process.
#[derive(Debug)]
pub struct TempPath {
    path: PathBuf,
}

impl TempPath {
    /// Registers a path before it is created; a symlink is removed, never followed.
    pub fn register(path: impl Into<PathBuf>) -> TempPath {
        let path = path.into();
        lock_ignoring_poison(&TEMP_PATHS).insert(path.clone());
        TempPath { path }
    }

    /// Creates a directory with mode 0700 in the system's temporary directory: `PREFIX-PID-NUMBER`. The number is 0
    /// unless another user, or an earlier process with this ID, has left a file of that name.
    pub fn create_dir(prefix: &str) -> Result<TempPath> {
        let mut number = 0;
        // Registered afterwards: only a directory created here is removed at the end.
        with_signals_deferred(|| {
            loop {
                let path = std::env::temp_dir().join(format!("{prefix}-{}-{number}", std::process::id()));
                match fs::DirBuilder::new().mode(0o700).create(&path) {
                    Err(error) if error.kind() == ErrorKind::AlreadyExists && number < MAX_DIR_NUMBER => {
                        number += 1
                    }
                    created => {
                        return created.with_path("cannot create", &path).map(|()| TempPath::register(path));
                    }
                }
            }
        })
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the file or directory, and returns its path.
    pub fn keep(self) -> PathBuf {
        lock_ignoring_poison(&TEMP_PATHS).remove(&self.path);
        let path = self.path.clone();
        std::mem::forget(self);
        path
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        remove_with_retries(&self.path);
        lock_ignoring_poison(&TEMP_PATHS).remove(&self.path);
    }
}

/// Removes a file or directory. Another thread may still create files in a directory, so this is retried.
fn remove_with_retries(path: &Path) {
    for _ in 0..10 {
        let result = match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(_) => return,
        };
        if result.is_ok() {
            return;
        }
    }
}

fn lock_ignoring_poison<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn temp_path_is_removed_on_drop_unless_kept() {
        let home = tempfile::tempdir().unwrap();
        let (dropped, kept) = (home.path().join("dropped"), home.path().join("kept"));
        let temp = TempPath::register(&dropped);
        fs::create_dir(temp.path()).unwrap();
        fs::write(dropped.join("x"), "x").unwrap();
        drop(temp);
        assert!(!dropped.exists());
        let temp = TempPath::register(&kept);
        fs::write(temp.path(), "x").unwrap();
        assert_eq!(temp.keep(), kept);
        assert!(kept.exists());
        assert!(!lock_ignoring_poison(&TEMP_PATHS).iter().any(|path| path.starts_with(home.path())));
    }

    #[test]
    fn temp_directory_gets_a_free_name() {
        let [one, other] = [(); 2].map(|()| TempPath::create_dir("xtask-signals-test").unwrap());
        assert!(one.path() != other.path() && one.path().is_dir() && other.path().is_dir());
    }
}
