//! An image whose signature is valid: the only thing that trees are read from.

use std::fs::File;
use std::io::Read;

use super::digest::Sha256Digest;
use super::ingest::{Payload, ingest};
use super::limits::InflateLimits;
use super::signature_check::SignatureCheck;
use super::temp_file::UnlinkedTempDir;
use super::usr_squashfs::UsrSquashfs;
use coreos_types::error::{Error, Result};
use coreos_types::provenance::Signer;

/// An image that was read once, and verified in that reading. Nothing else makes one.
#[derive(Debug)]
pub struct VerifiedImage {
    source: String,
    digest: Sha256Digest,
    signer: Option<Signer>,
    digests: Vec<Option<Vec<u8>>>,
    squashfs: File,
}

impl VerifiedImage {
    /// Reads the `.cpio.gz` from `stream`, which came from `source` (a URL or path), and verifies it. `size` is its length
    /// in bytes, where that is known before.
    ///
    /// # Errors
    /// The stream breaks off; the signature is not valid (it is checked before anything in the image is); there is
    /// no sound image in the stream.
    pub fn verify(
        source: &str,
        stream: impl Read,
        size: Option<u64>,
        check: SignatureCheck,
        temp_dir: &UnlinkedTempDir,
    ) -> Result<VerifiedImage> {
        let limits = InflateLimits { size, ..InflateLimits::default() };
        let payload = Payload::PxeImage(temp_dir.clone(), limits);
        let read = ingest(stream, check, payload).map_err(|error| about(source, error))?;
        let outcome = read.check.finish().map_err(|error| about(source, error))?;
        let squashfs = read.squashfs.unwrap_or_else(|| Err(Error::failed("it was not extracted")));
        Ok(VerifiedImage {
            source: source.to_owned(),
            digest: read.digest,
            signer: outcome.signer,
            digests: outcome.digests,
            squashfs: squashfs.map_err(|error| about(source, error))?,
        })
    }

    /// The URL or path it came from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The digest of the `.cpio.gz`.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// Who signed it; `None` under `--unsigned`.
    pub fn signer(&self) -> Option<&Signer> {
        self.signer.as_ref()
    }

    /// The digest of its bytes for each signature that needed them: enough to check the signatures again without it.
    pub fn digests(&self) -> &[Option<Vec<u8>>] {
        &self.digests
    }

    /// Reads its tables.
    ///
    /// # Errors
    /// The squashfs is broken, or of a kind that is not read.
    pub fn open(self) -> Result<UsrSquashfs> {
        UsrSquashfs::open(self.squashfs).map_err(|error| about(&self.source, error))
    }
}

fn about(source: &str, error: Error) -> Error {
    error.context(format!("cannot use the image {source}"))
}
