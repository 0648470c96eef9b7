//! An image with a valid signature: the only source of trees.

use std::fs::File;
use std::io::Read;

use super::inflate_limits::InflateLimits;
use super::signature_check::{CheckOutcome, SignatureCheck};
use super::temp_file::TempFileDir;
use super::unverified_read::read_unverified;
use super::usr_squashfs::UsrSquashfs;
use coreos_types::{Error, Result, ResultExt};

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
        let about = || unusable_image(source);
        let read = read_unverified(stream, check, Some((temp_dir, limits))).with_context(about)?;
        let outcome = read.check.finish().with_context(about)?;
        let squashfs = read.squashfs.unwrap_or_else(|| Err(Error::failed("it was not extracted")));
        Ok(VerifiedImage { source: source.to_owned(), outcome, squashfs: squashfs.with_context(about)? })
    }

    /// The outcome of its signature check, with the digest of the `.cpio.gz`.
    pub fn outcome(&self) -> &CheckOutcome {
        &self.outcome
    }

    /// Opens the squashfs and reads its tables.
    pub fn open(self) -> Result<UsrSquashfs> {
        UsrSquashfs::open_verified(self.squashfs).with_context(|| unusable_image(&self.source))
    }
}

fn unusable_image(source: &str) -> String {
    format!("cannot use the image {source}")
}
