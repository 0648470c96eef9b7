//! Removes old entries of the cache directories that have many small files.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::bounded_file;

/// Time since the last use after which an entry is removed; it can be created again from its source.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Removes each entry of a directory that is older than [`MAX_AGE`], or that `is_obsolete`. Errors are ignored.
pub(crate) fn remove_old_entries(directory: &Path, is_obsolete: impl Fn(&Path) -> bool) {
    let now = SystemTime::now();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        let age = found.modified().ok().and_then(|written| now.duration_since(written).ok());
        if age.is_some_and(|age| age > MAX_AGE) || is_obsolete(&path) {
            let _ignored = if found.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
}

/// Records the use of an entry, which is then as old as one that was written now. After an error, it seems older.
pub(crate) fn touch_entry(entry: &Path) {
    let _ignored = bounded_file::open(entry).and_then(|(file, _)| file.set_modified(SystemTime::now()));
}
