//! Whether a file is still the one that was read, without reading it.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use coreos_types::error::{Result, ResultExt};

/// File systems note times in steps; two writes within one step look alike.
const STEP: Duration = Duration::from_millis(20);

/// Device, inode, size, and the times of the last change of content and of inode, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
    size: u64,
    modified: i128,
    changed: i128,
}

impl FileId {
    /// Of an open file.
    pub(super) fn of(file: &File) -> Result<FileId> {
        Ok(FileId::of_metadata(&file.metadata().with_context(|| "cannot look at the image")?))
    }

    fn of_metadata(found: &Metadata) -> FileId {
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        FileId {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: nanos(found.mtime(), found.mtime_nsec()),
            changed: nanos(found.ctime(), found.ctime_nsec()),
        }
    }

    /// The file's size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether the last change is so recent that another one could carry the same time.
    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
        self.changed.max(self.modified) + STEP.as_nanos() as i128 > now
    }

    /// One line, the same for the same stamp only.
    pub(super) fn line(&self) -> String {
        format!("{} {} {} {} {}", self.device, self.inode, self.size, self.modified, self.changed)
    }
}
