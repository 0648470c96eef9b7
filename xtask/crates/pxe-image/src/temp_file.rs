//! Temporary files without a name, for bytes that are not verified yet.

#![allow(clippy::disallowed_methods, reason = "the one module of this crate that creates files")]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use coreos_types::{ErrorExt, Result, ResultExt};
use rustix::fs::OFlags;

/// A directory for temporary files without a name.
///
/// Such a file is deleted when its last handle is closed, however the process ends.
#[derive(Debug, Clone)]
pub struct TempFileDir {
    directory: PathBuf,
}

impl TempFileDir {
    /// A directory that exists; the files are on its file system.
    pub fn new(directory: &Path) -> TempFileDir {
        TempFileDir { directory: directory.to_owned() }
    }

    /// Opens a new empty file for reading and writing.
    ///
    /// # Errors
    /// The directory is missing, not writable, or its file system is full.
    pub fn create_unlinked_file(&self) -> Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        match options.clone().custom_flags(OFlags::TMPFILE.bits() as i32).open(&self.directory) {
            Ok(file) => Ok(file),
            // Network and older overlay file systems have no O_TMPFILE.
            Err(_) => self.create_and_unlink(&options),
        }
    }

    fn create_and_unlink(&self, options: &OpenOptions) -> Result<File> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!(".unverified-{}-{number}", std::process::id()));
        let file = options.clone().create_new(true).open(&path);
        let file = file.and_then(|file| std::fs::remove_file(&path).map(|()| file));
        file.with_path("cannot make a temporary file in", &self.directory)
            .with_hint("set XTASK_CACHE_DIR or TMPDIR to a directory that you can write to")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};

    fn check(file: Result<File>, directory: &Path) {
        let mut file = file.unwrap_or_else(|error| panic!("{error}"));
        let mut text = String::new();
        let worked =
            file.write_all(b"x").and_then(|()| file.rewind()).and_then(|()| file.read_to_string(&mut text));
        assert!(worked.is_ok() && text == "x");
        assert!(
            std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none()),
            "it has a name"
        );
    }

    #[test]
    fn temporary_file_has_no_name() {
        let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let temp_dir = TempFileDir::new(directory.path());
        check(temp_dir.create_unlinked_file(), directory.path());
        check(temp_dir.create_and_unlink(OpenOptions::new().read(true).write(true)), directory.path());
    }
}
