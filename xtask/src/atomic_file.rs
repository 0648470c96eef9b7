//! Atomic writes: another process sees the old file or the new one, never a part.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Writes to a temporary file in the same directory, and renames it to `path`.
///
/// # Errors
/// Those of write(2) and rename(2); the file is then as it was.
pub(super) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let temp = temp_path(path);
    let done = fs::write(&temp, bytes).and_then(|()| fs::rename(&temp, path));
    if done.is_err() {
        let _ = fs::remove_file(&temp);
    }
    done
}

/// A hidden name of this process next to `path`.
pub(super) fn temp_path(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_new_text_takes_the_old_ones_place_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("from");
        for text in ["one\n", "another\n"] {
            write(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(write(&directory.path().join("none/from"), "x").is_err());
    }
}
