//! Clears away what nobody will ask for again, so that the small things of a cache do not pile up for ever.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What was not written for so long is made again when it is wanted.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Removes each entry of a directory that is older than thirty days, or is `gone`. What cannot be removed stays.
pub(crate) fn sweep(directory: &Path, gone: impl Fn(&Path) -> bool) {
    let now = SystemTime::now();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        let age = found.modified().ok().and_then(|written| now.duration_since(written).ok());
        if age.is_some_and(|age| age > KEPT_FOR) || gone(&path) {
            let _unswept = if found.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
}

/// Whether nothing lies at a path any more.
pub(crate) fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}
