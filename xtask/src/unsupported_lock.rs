//! Errors of flock(2) that mean that the file system has no locks.

use std::io;

/// Whether a lock is not possible here: NFS without lockd (ENOLCK), some FUSE and 9p file systems (EOPNOTSUPP), FUSE
/// and gVisor (ENOSYS), directories on some network file systems (EBADF).
pub(crate) fn is_unsupported_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
        || matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOLCK | libc::EOPNOTSUPP | libc::ENOSYS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_lock_is_not_a_held_lock() {
        for (code, expected) in [
            (libc::ENOLCK, true),
            (libc::EOPNOTSUPP, true),
            (libc::ENOSYS, true),
            (libc::EBADF, true),
            (libc::EWOULDBLOCK, false),
            (libc::EIO, false),
        ] {
            assert_eq!(is_unsupported_lock(&io::Error::from_raw_os_error(code)), expected, "{code}");
        }
    }
}
