//! The system calls that write a plan to disk, each with the path in its error.
//!
//! They are in one module so that a test can make each of them fail in turn.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use coreos_types::{Result, ResultExt};

/// The file system; in tests, one whose calls can fail.
#[derive(Debug, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) fail_point: Option<super::tests::FailPoint>,
}

impl Disk {
    pub(super) fn create_dir(&self, path: &Path) -> Result<()> {
        let create = || fs::DirBuilder::new().create(path);
        self.syscall(create).with_path("cannot create the directory", path)
    }

    /// Writes a new file and syncs it. `like` has the file's mode and, if this user may set them, its owner and group.
    pub(super) fn write_new(&self, path: &Path, bytes: &[u8], like: Option<&Metadata>) -> Result<()> {
        let write = || {
            let open = || OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
            let mut file = self.syscall(open)?;
            self.syscall(|| file.write_all(bytes))?;
            if let Some(like) = like {
                self.syscall(|| copy_metadata(&file, like))?;
            }
            self.syscall(|| file.sync_all())
        };
        write().with_path("cannot write", path)
    }

    pub(super) fn hard_link(&self, file: &Path, name: &Path) -> Result<()> {
        self.syscall(|| fs::hard_link(file, name)).with_path("cannot link", name)
    }

    /// Replaces a file by another, atomically (rename(2)).
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.syscall(|| fs::rename(from, to))
            .with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
    }

    /// Syncs the entries of a directory.
    pub(super) fn sync_dir(&self, path: &Path) -> Result<()> {
        self.syscall(|| File::open(path)?.sync_all()).with_path("cannot sync", path)
    }

    pub(super) fn remove_file_if_exists(&self, path: &Path) -> Result<()> {
        match self.syscall(|| fs::remove_file(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.with_path("cannot remove", path),
        }
    }

    pub(super) fn remove_dir(&self, path: &Path) -> Result<()> {
        self.syscall(|| fs::remove_dir(path)).with_path("cannot remove", path)
    }

    #[cfg(not(test))]
    fn syscall<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        call()
    }

    #[cfg(test)]
    fn syscall<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.fail_point.as_ref().map_or(Ok(()), super::tests::FailPoint::syscall)?;
        call()
    }
}

/// Copies mode, owner and group of another file. If this user may not set the owner, the file stays this user's.
fn copy_metadata(file: &File, like: &Metadata) -> io::Result<()> {
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (like.uid(), like.gid()) {
        match fchown(file, Some(like.uid()), Some(like.gid())) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    file.set_permissions(like.permissions())
}
