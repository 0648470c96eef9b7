//! Atomic writes: another process sees the complete old file or the complete new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes to a temporary file in the same directory, and renames it to `path`.
///
/// # Errors
/// Those of write(2) and rename(2); the file is then unchanged.
pub(super) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let temp = temp_path(path);
    // A file that an earlier process left, or a symlink to another one.
    let _ = fs::remove_file(&temp);
    let written = File::create_new(&temp).and_then(|mut file| file.write_all(bytes.as_ref()));
    let done = written.and_then(|()| fs::rename(&temp, path));
    if done.is_err() {
        let _ = fs::remove_file(&temp);
    }
    done
}

/// A hidden path next to `path`, with this process's ID in its name.
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
    fn file_is_replaced_and_no_temp_file_is_left() {
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
