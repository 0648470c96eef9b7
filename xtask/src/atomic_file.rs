//! A file that another process sees as it was, or as it shall be, and never in between.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Writes beside `path`, under a hidden name of this process, and renames.
///
/// # Errors
/// Those of write(2) and rename(2); the file is then as it was.
pub(super) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let staged = staged(path);
    let done = fs::write(&staged, bytes).and_then(|()| fs::rename(&staged, path));
    if done.is_err() {
        let _ = fs::remove_file(&staged);
    }
    done
}

fn staged(path: &Path) -> PathBuf {
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
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("from");
        for text in ["one\n", "another\n"] {
            write(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(&folder.path().join("none/from"), "x").is_err());
    }
}
