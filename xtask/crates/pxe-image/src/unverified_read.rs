//! One read of a file for its signature, its digest and its content, in parallel.

use std::fs::File;
use std::io::Read;
use std::thread;

use super::broadcast::Broadcaster;
use super::digest::Digest;
use super::extract_squashfs::extract_squashfs;
use super::inflate_limits::InflateLimits;
use super::signature_check::SignatureCheck;
use super::temp_file::TempFileDir;
use coreos_types::{
    Error, Result,
    error::{error_from_read, panic_to_error},
};

/// The outcome of reading a whole file. Nothing of it is trusted before the signature is checked.
pub struct UnverifiedRead {
    /// The signature check, which has seen every byte.
    pub check: SignatureCheck,
    /// The digest of the file.
    pub digest: Digest,
    /// The extracted squashfs, for [`Payload::PxeImage`]. Callers check the signature before its error: a truncated
    /// download fails both.
    pub squashfs: Option<Result<File>>,
}

/// The kind of the file.
#[derive(Debug, Clone)]
pub enum Payload {
    /// A PXE image: its `usr.squashfs` is extracted to a file without a name.
    PxeImage(TempFileDir, InflateLimits),
    /// Another file of a release: only its bytes are verified.
    Opaque,
}

/// Reads `source` to its end, once, and passes every byte to the signature check, the digest and the extraction, each in a
/// thread of its own.
///
/// # Errors
/// `source` fails, or one of the threads panicked.
pub fn read_unverified(
    source: impl Read,
    mut check: SignatureCheck,
    payload: Payload,
) -> Result<UnverifiedRead> {
    let mut broadcaster = Broadcaster::new();
    let to_check = broadcaster.subscribe();
    let to_digest = check.file_digest().is_none().then(|| broadcaster.subscribe());
    let to_extract = match payload {
        Payload::PxeImage(temp_dir, limits) => Some((broadcaster.subscribe(), temp_dir, limits)),
        Payload::Opaque => None,
    };
    thread::scope(|scope| {
        let check = scope.spawn(move || {
            to_check.for_each(|chunk| check.update(chunk));
            check
        });
        let digest = to_digest.map(|chunks| {
            scope.spawn(move || {
                let mut context = ring::digest::Context::new(&ring::digest::SHA256);
                chunks.for_each(|chunk| context.update(chunk));
                Digest::from_ring_sha256(&context.finish())
            })
        });
        let squashfs = to_extract.map(|(chunks, temp_dir, limits)| {
            scope.spawn(move || extract_squashfs(&chunks, &temp_dir, limits))
        });
        let read = broadcaster.run(source);
        // Join every thread before the first error is returned: the scope panics if a thread that was not joined panicked.
        let check = panic_to_error("the signature check", check.join());
        let digest = digest.map(|thread| panic_to_error("the digest", thread.join()));
        let squashfs = squashfs.map(|thread| panic_to_error("the extraction", thread.join()).flatten());
        read.map_err(error_from_read)?;
        let check = check?;
        let digest = digest.transpose()?.or_else(|| check.file_digest());
        let digest =
            digest.ok_or_else(|| Error::failed("internal error: the signature check has no hash"))?;
        Ok(UnverifiedRead { check, digest, squashfs })
    })
}
