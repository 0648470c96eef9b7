//! Identity of a file's content by its metadata, without reading the file.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use coreos_types::{Result, ResultExt};

/// Granularity of file timestamps: two writes within it may have equal times.
const TIMESTAMP_GRANULARITY: Duration = Duration::from_millis(20);

/// The identity of a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileId {
    /// Device, inode, size, and the times of the last change of content and of inode, in nanoseconds.
    pub(super) line: String,
    last_change: i128,
}

impl FileId {
    /// Reads the metadata of an open file.
    pub(super) fn from_file(file: &File) -> Result<FileId> {
        let found = file.metadata().with_context(|| "cannot examine the image")?;
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let modified = nanos(found.mtime(), found.mtime_nsec());
        let changed = nanos(found.ctime(), found.ctime_nsec());
        let line = format!("{} {} {} {modified} {changed}", found.dev(), found.ino(), found.size());
        Ok(FileId { line, last_change: changed.max(modified) })
    }

    /// Whether the last change is so recent that a later one could have the same time (git's "racily clean").
    pub(super) fn is_racy(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
        self.last_change + TIMESTAMP_GRANULARITY.as_nanos() as i128 > now
    }
}
