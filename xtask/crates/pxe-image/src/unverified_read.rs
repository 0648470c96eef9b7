//! One read of a file for its signature and its content, in parallel.

use std::fs::File;
use std::io::Read;
use std::thread;

use super::broadcast::Broadcaster;
use super::extract_squashfs::extract_squashfs;
use super::inflate_limits::InflateLimits;
use super::signature_check::SignatureCheck;
use super::temp_file::TempFileDir;
use coreos_types::{
    Result,
    error::{error_from_read, panic_to_error},
};

/// The outcome of reading a whole file. Nothing of it is trusted before the signature is checked.
pub struct UnverifiedRead {
    /// The signature check, which has seen every byte.
    pub check: SignatureCheck,
    /// The squashfs, if it was to be extracted. Callers check the signature before its error: a truncated download fails
    /// both.
    pub squashfs: Option<Result<File>>,
}

/// Reads `source` to its end, once, and passes every byte to the signature check and, for a PXE image, to the extraction
/// of its `usr.squashfs` to a file without a name, each in a thread of its own.
///
/// # Errors
/// `source` fails, or one of the threads panicked.
pub fn read_unverified(
    source: impl Read,
    mut check: SignatureCheck,
    extract_to: Option<(&TempFileDir, InflateLimits)>,
) -> Result<UnverifiedRead> {
    let mut broadcaster = Broadcaster::new();
    let to_check = broadcaster.subscribe();
    let to_extract = extract_to.map(|target| (broadcaster.subscribe(), target));
    thread::scope(|scope| {
        let check = scope.spawn(move || {
            to_check.for_each(|chunk| check.update(chunk));
            check
        });
        let squashfs = to_extract.map(|(chunks, (temp_dir, limits))| {
            scope.spawn(move || extract_squashfs(&chunks, temp_dir, limits))
        });
        let read = broadcaster.run(source);
        // Join every thread before the first error is returned: the scope panics if a thread that was not joined panicked.
        let check = panic_to_error("the signature check", check.join());
        let squashfs = squashfs.map(|thread| panic_to_error("the extraction", thread.join()).flatten());
        read.map_err(error_from_read)?;
        Ok(UnverifiedRead { check: check?, squashfs })
    })
}
