//! Reads of small files that somebody else may have put in place: never a pipe or device, never more than a limit.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::trusted_owners::effective_uid;

/// Opens a regular file for reading, without waiting for the other end of a pipe; symlinks are followed.
///
/// # Errors
/// Those of open(2), and [`io::ErrorKind::InvalidInput`] for anything but a regular file.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let other = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
    {
        // A socket, or a device that is not there.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return Err(other),
        file => file?,
    };
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(other) }
}

/// Reads a regular file of at most `max_len` bytes.
///
/// # Errors
/// As [`open`], and [`io::ErrorKind::FileTooLarge`] for a file that is larger.
pub(crate) fn read(path: &Path, max_len: u64) -> io::Result<Vec<u8>> {
    read_open(open(path)?, max_len)
}

fn read_open((file, metadata): (File, Metadata), max_len: u64) -> io::Result<Vec<u8>> {
    // A file that grows, or is one of /proc, has more bytes than its metadata has.
    let mut bytes = Vec::with_capacity(metadata.len().min(max_len) as usize + 1);
    if metadata.len() <= max_len {
        file.take(max_len + 1).read_to_end(&mut bytes)?;
    }
    if metadata.len().max(bytes.len() as u64) > max_len {
        let why = format!("it has more than {max_len} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// As [`read`], of a file that this user owns: what somebody else put into the cache is not used.
///
/// # Errors
/// As [`read`], and [`io::ErrorKind::PermissionDenied`] for a file of another user.
pub(crate) fn read_owned_by_user(path: &Path, max_len: u64) -> io::Result<Vec<u8>> {
    let opened = open(path)?;
    if !is_owned_by_user(&opened.1) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    read_open(opened, max_len)
}

/// The metadata of a regular file of this user, no symlink; `None` for anything else.
pub(crate) fn own_file_metadata(path: &Path) -> Option<Metadata> {
    let found = fs::symlink_metadata(path).ok()?;
    (found.is_file() && is_owned_by_user(&found)).then_some(found)
}

pub(crate) fn is_owned_by_user(file: &Metadata) -> bool {
    file.uid() == effective_uid()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pipes_devices_and_large_files_are_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let (pipe, large) = (directory.path().join("pipe"), directory.path().join("large"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        File::create(&large).unwrap().set_len(1 << 40).unwrap();
        for path in [&pipe, Path::new("/dev/zero"), directory.path()] {
            assert_eq!(read(path, 10).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{path:?}");
        }
        assert_eq!(read(&large, 10).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        std::fs::write(&large, "0123456789").unwrap();
        assert_eq!(read(&large, 10).unwrap(), b"0123456789");
    }
}
