//! One writer at a time, and no reader meanwhile: a lock on the tree's root directory (flock(2)).
//!
//! The kernel lets go of it when the process ends, however it ends; nothing is left on disk.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use coreos_types::error::{Error, Result, ResultExt};

/// How long another run is waited for. It holds the lock for as long as it takes to write a few small files.
const PATIENCE: Duration = Duration::from_secs(30);

/// The lock; dropping it lets go.
#[derive(Debug)]
pub(crate) struct TreeLock {
    _root: File,
}

impl TreeLock {
    /// Waits until nobody writes, and keeps writers out.
    pub(crate) fn shared(root: &Path) -> Result<TreeLock> {
        TreeLock::take(root, File::try_lock_shared)
    }

    /// Waits until nobody reads or writes, and keeps everybody out.
    pub(crate) fn exclusive(root: &Path) -> Result<TreeLock> {
        TreeLock::take(root, File::try_lock)
    }

    fn take(root: &Path, attempt: fn(&File) -> std::result::Result<(), TryLockError>) -> Result<TreeLock> {
        let directory = File::open(root).with_context(|| format!("cannot open {}", root.display()))?;
        let start = Instant::now();
        loop {
            match attempt(&directory) {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::failed(format!("another run is writing to {}", root.display()))
                        .with_hint("let it end, then run the command again"));
                }
                // Network file systems that cannot lock a directory: the comparison with what was read still holds.
                Err(TryLockError::Error(error)) if cannot_lock(&error) => break,
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", root.display()));
                }
            }
        }
        Ok(TreeLock { _root: directory })
    }
}

fn cannot_lock(error: &io::Error) -> bool {
    const EBADF: i32 = 9;
    const ENOLCK: i32 = 37;
    error.kind() == io::ErrorKind::Unsupported || matches!(error.raw_os_error(), Some(EBADF | ENOLCK))
}
