//! The system calls that write a plan to disk, each with the path in its error.
//!
//! They are in one module so that a test can make each of them fail in turn.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use coreos_types::{Result, ResultExt};

pub(super) fn create_dir(path: &Path) -> Result<()> {
    let create = || fs::DirBuilder::new().create(path);
    syscall(create).with_path("cannot create the directory", path)
}

/// Writes a new file and syncs it. `like` has the file's mode and, if this user may set them, its owner and group.
pub(super) fn write_new(path: &Path, bytes: &[u8], like: Option<&Metadata>) -> Result<()> {
    let write = || {
        let open = || OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
        let mut file = syscall(open)?;
        syscall(|| file.write_all(bytes))?;
        if let Some(like) = like {
            syscall(|| copy_metadata(&file, like))?;
        }
        syscall(|| file.sync_all())
    };
    write().with_path("cannot write", path)
}

pub(super) fn hard_link(file: &Path, name: &Path) -> Result<()> {
    syscall(|| fs::hard_link(file, name)).with_path("cannot link", name)
}

/// Replaces a file by another, atomically (rename(2)).
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    syscall(|| fs::rename(from, to))
        .with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
}

pub(super) fn sync_dir(path: &Path) -> Result<()> {
    syscall(|| File::open(path)?.sync_all()).with_path("cannot sync", path)
}

pub(super) fn remove_file_if_exists(path: &Path) -> Result<()> {
    match syscall(|| fs::remove_file(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.with_path("cannot remove", path),
    }
}

pub(super) fn remove_dir(path: &Path) -> Result<()> {
    syscall(|| fs::remove_dir(path)).with_path("cannot remove", path)
}

/// Makes a system call; in tests, it can fail instead.
fn syscall<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    #[cfg(test)]
    super::tests::FailPoint::check()?;
    call()
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
