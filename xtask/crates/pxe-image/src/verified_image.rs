//! An image with a valid signature: the only source of trees.

use std::fs::File;
use std::io::Read;
use std::thread;

use super::chunk_channel::chunk_channel;
use super::extract_squashfs::{PXE_IMAGE_HINT, extract_squashfs};
use super::inflate_limits::InflateLimits;
use super::scoped_thread::spawn_scoped;
use super::signature_check::{CheckOutcome, SignatureCheck};
use super::temp_file::TempFileDir;
use super::usr_squashfs::UsrSquashfs;
use coreos_types::{ErrorExt, Result, ResultExt, error::panic_to_error};

/// An image that was read once, and verified during that read. [`VerifiedImage::read_and_verify`] is its only constructor.
#[derive(Debug)]
pub struct VerifiedImage {
    source: String,
    outcome: CheckOutcome,
    squashfs: File,
}

impl VerifiedImage {
    /// Reads the `.cpio.gz` from `stream`, which came from `source` (a URL or path), and verifies it. `size` is its length
    /// in bytes, if known.
    ///
    /// # Errors
    /// The stream fails; the signature is not valid (checked before the content); the stream has no valid image.
    pub fn read_and_verify(
        source: &str,
        stream: impl Read,
        size: Option<u64>,
        check: SignatureCheck,
        temp_dir: &TempFileDir,
    ) -> Result<VerifiedImage> {
        let limits = InflateLimits { compressed_size: size, ..InflateLimits::default() };
        let read = check_and_extract(stream, check, temp_dir, limits);
        let (outcome, squashfs) = read.with_context(|| unusable_image(source))?;
        Ok(VerifiedImage { source: source.to_owned(), outcome, squashfs })
    }

    /// The outcome of its signature check, with the digest of the `.cpio.gz`.
    pub fn outcome(&self) -> &CheckOutcome {
        &self.outcome
    }

    /// Opens the squashfs and reads its tables.
    pub fn open(self) -> Result<UsrSquashfs> {
        let opened = UsrSquashfs::open_verified(self.squashfs);
        opened.with_context(|| unusable_image(&self.source)).with_hint(PXE_IMAGE_HINT)
    }
}

/// Reads a `.cpio.gz` once: this thread passes every byte to the signature check, and another one extracts `usr.squashfs`
/// to a file without a name.
pub(super) fn check_and_extract(
    stream: impl Read,
    mut check: SignatureCheck,
    temp_dir: &TempFileDir,
    limits: InflateLimits,
) -> Result<(CheckOutcome, File)> {
    let (sender, reader) = chunk_channel();
    let (read, squashfs) = thread::scope(|scope| {
        let extraction = spawn_scoped(scope, move || extract_squashfs(reader, temp_dir, limits))?;
        let read = check.read_chunks(stream, |chunk| sender.exchange(chunk));
        drop(sender);
        // The scope panics if a thread that was not joined panicked.
        Ok((read, panic_to_error("the extraction", extraction.join()).flatten()))
    })?;
    read?;
    // The first error is that of the signature; a page or a part of the image has both, and the second one says so.
    let outcome = check.finish().map_err(|refused| match &squashfs {
        Err(content) => refused.with_cause(content),
        Ok(_) => refused,
    })?;
    Ok((outcome, squashfs.with_hint(PXE_IMAGE_HINT)?))
}

fn unusable_image(source: &str) -> String {
    format!("cannot use the image {source}")
}
