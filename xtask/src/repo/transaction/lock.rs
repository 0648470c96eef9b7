//! The tree's lock, for one writer or several readers: flock(2) on the tree's root directory.
//!
//! The kernel releases the lock when the process ends, however it ends; nothing is left on disk.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::trusted_owners::TrustedOwners;
use crate::unsupported_lock::is_unsupported_lock;
use coreos_types::{Error, Result, ResultExt};

/// Longest wait for another run, which holds the lock only while it writes a few small files.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Waits for the lock of a tree, which is held until the file is closed: [`File::try_lock_shared`] locks for reading,
/// [`File::try_lock`] for writing. Continues without it where the file system has none, or another user holds it who is
/// not trusted.
pub(crate) fn lock_best_effort(
    root: &Path,
    attempt: fn(&File) -> std::result::Result<(), TryLockError>,
) -> Result<File> {
    let directory = File::open(root).with_path("cannot open", root)?;
    let start = Instant::now();
    loop {
        match attempt(&directory) {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {}
            // Some network file systems cannot lock a directory; changes are still detected, as below.
            Err(TryLockError::Error(error)) if is_unsupported_lock(&error) => break,
            Err(TryLockError::Error(error)) => return Err(error).with_path("cannot lock", root),
        }
        let is_late = start.elapsed() >= LOCK_TIMEOUT;
        match holder_trust(&directory) {
            // Changes are still detected: each file is compared with the text that was read.
            HolderTrust::Untrusted => break,
            HolderTrust::Unknown if is_late => break,
            HolderTrust::Trusted if is_late => {
                return Err(Error::failed(format!("another run is writing to {}", root.display()))
                    .with_hint("wait until it ends, then run the command again"));
            }
            HolderTrust::Trusted | HolderTrust::Unknown => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    Ok(directory)
}

/// Whether the user who holds a lock is trusted. Any user who may read a tree can lock it (flock(2)), and must not block its owner.
enum HolderTrust {
    /// A trusted user, or the owner of the tree.
    Trusted,
    /// Other users only.
    Untrusted,
    /// Processes that are not visible: of another user where /proc has `hidepid` (proc(5)), or in another container.
    Unknown,
}

fn holder_trust(directory: &File) -> HolderTrust {
    let Ok(metadata) = directory.metadata() else { return HolderTrust::Trusted };
    let owners = TrustedOwners::from_env();
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let user_of = |pid| fs::metadata(format!("/proc/{pid}")).ok().map(|process| process.uid());
    let users: Vec<Option<u32>> = flock_holder_pids(&locks, metadata.ino()).map(user_of).collect();
    let is_trusted =
        |user: &Option<u32>| user.is_some_and(|uid| owners.is_trusted_uid(uid) || uid == metadata.uid());
    if users.iter().any(is_trusted) {
        HolderTrust::Trusted
    } else if users.is_empty() || users.contains(&None) {
        HolderTrust::Unknown
    } else {
        HolderTrust::Untrusted
    }
}

/// The processes that hold a flock(2) lock on an inode, from the text of /proc/locks (proc(5)). Device numbers are not
/// compared: those of overlay and btrfs file systems differ from what stat(2) returns.
fn flock_holder_pids(locks: &str, inode: u64) -> impl Iterator<Item = u32> {
    locks.lines().filter_map(move |line| {
        // 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_held = words.get(1) == Some(&"FLOCK");
        let found = words.get(5)?.rsplit(':').next()?.parse::<u64>().ok()?;
        (is_held && found == inode).then(|| words.get(4)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_of_an_inode_are_found() {
        let locks = "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF\n\
                     1: -> FLOCK  ADVISORY  WRITE 77 08:01:5678 0 EOF\n\
                     2: POSIX  ADVISORY  READ 9 08:01:5678 128 128\n\
                     3: FLOCK  ADVISORY  READ 55 00:2f:9 0 EOF\n";
        assert_eq!(flock_holder_pids(locks, 5678).collect::<Vec<_>>(), [1234]);
        assert_eq!(flock_holder_pids(locks, 1).count(), 0);
    }
}
