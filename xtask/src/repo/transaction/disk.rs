//! Every system call with which a plan is put on disk, each with the path in its error.
//!
//! They stand in one room so that a test can make each of them fail in turn.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use coreos_types::error::{Result, ResultExt};

/// The disk, or in tests a disk that breaks.
#[derive(Debug, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) breaks: Option<super::tests::Breaks>,
}

impl Disk {
    /// Makes a directory that only its owner can enter.
    pub(super) fn create_dir(&self, path: &Path) -> Result<()> {
        let create = || fs::DirBuilder::new().create(path);
        self.step(create).with_context(|| format!("cannot make the directory {}", path.display()))
    }

    /// Writes a new file and has it on the disk. `like` gives mode and, where we may set them, owner and group.
    pub(super) fn write_new(&self, path: &Path, bytes: &[u8], like: Option<&Metadata>) -> Result<()> {
        let write = || {
            let open = || OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
            let mut file = self.step(open)?;
            self.step(|| file.write_all(bytes))?;
            if let Some(like) = like {
                self.step(|| take_after(&file, like))?;
            }
            self.step(|| file.sync_all())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Gives a file a second name.
    pub(super) fn hard_link(&self, file: &Path, name: &Path) -> Result<()> {
        self.step(|| fs::hard_link(file, name)).with_context(|| format!("cannot link {}", name.display()))
    }

    /// Puts a file in the place of another, which is never half there (rename(2)).
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.step(|| fs::rename(from, to))
            .with_context(|| format!("cannot put {} in the place of {}", from.display(), to.display()))
    }

    /// Has the names in a directory on the disk.
    pub(super) fn sync_dir(&self, path: &Path) -> Result<()> {
        self.step(|| File::open(path)?.sync_all()).with_context(|| format!("cannot sync {}", path.display()))
    }

    /// Removes a file; that it is gone already is no error.
    pub(super) fn remove_file(&self, path: &Path) -> Result<()> {
        match self.step(|| fs::remove_file(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.with_context(|| format!("cannot remove {}", path.display())),
        }
    }

    /// Removes an empty directory.
    pub(super) fn remove_dir(&self, path: &Path) -> Result<()> {
        self.step(|| fs::remove_dir(path)).with_context(|| format!("cannot remove {}", path.display()))
    }

    #[cfg(not(test))]
    fn step<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        call()
    }

    #[cfg(test)]
    fn step<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.breaks.as_ref().map_or(Ok(()), super::tests::Breaks::step)?;
        call()
    }
}

/// Mode, owner and group of another file. That we may not give a file away is no error: then it is ours.
fn take_after(file: &File, like: &Metadata) -> io::Result<()> {
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (like.uid(), like.gid()) {
        match fchown(file, Some(like.uid()), Some(like.gid())) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    file.set_permissions(like.permissions())
}
