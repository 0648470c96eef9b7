//! An image whose signature holds: the only thing that trees are read from.

use std::fs::File;
use std::io::Read;

use super::pass::{Content, Digest, Watch, pass};
use super::scratch::Scratch;
use super::unpack::Limits;
use super::usr_image::UsrImage;
use crate::edge::openpgp::Verification;
use crate::fault::{Fault, Result};
use crate::report::Signer;

/// A signature under way: it sees every byte of the file, and then judges.
pub trait Proof: Watch {
    /// Who signed the bytes that were seen; `None` where there is no signature, and none was asked for.
    ///
    /// # Errors
    /// The signature does not hold, or does not count.
    fn judge(self) -> Result<Option<Signer>>;
}

impl Watch for Verification {
    fn update(&mut self, bytes: &[u8]) {
        Verification::update(self, bytes);
    }
}

impl Proof for Verification {
    fn judge(self) -> Result<Option<Signer>> {
        self.finish().into_signer().map(Some)
    }
}

/// `--unsigned`: an image that has no signature, on the user's own word. Callers make sure that it has none.
#[derive(Debug, Clone, Copy)]
pub struct Unsigned;

impl Watch for Unsigned {
    fn update(&mut self, _: &[u8]) {}
}

impl Proof for Unsigned {
    fn judge(self) -> Result<Option<Signer>> {
        Ok(None)
    }
}

/// An image that was read once and proved in that reading. Nothing else makes one.
#[derive(Debug)]
pub struct VerifiedImage {
    source: String,
    digest: Digest,
    length: u64,
    signer: Option<Signer>,
    squashfs: File,
}

impl VerifiedImage {
    /// Reads the `.cpio.gz` from `stream`, which came from `source` (a URL or path), and proves it.
    ///
    /// # Errors
    /// The stream breaks off; the signature does not hold (it is judged before anything in the image is); there is
    /// no sound image in the stream.
    pub fn prove<P: Proof>(
        source: &str,
        stream: impl Read,
        proof: P,
        scratch: &Scratch,
    ) -> Result<VerifiedImage> {
        let content = Content::Image(scratch.clone(), Limits::default());
        let passed = pass(stream, proof, content).map_err(|fault| about(source, fault))?;
        let signer = passed.watch.judge().map_err(|fault| about(source, fault))?;
        let squashfs = passed.squashfs.unwrap_or_else(|| Err(Fault::failed("it was not unpacked")));
        Ok(VerifiedImage {
            source: source.to_owned(),
            digest: passed.digest,
            length: passed.length,
            signer,
            squashfs: squashfs.map_err(|fault| about(source, fault))?,
        })
    }

    /// The URL or path it came from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The digest of the `.cpio.gz`.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes of the `.cpio.gz`.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Who signed it; `None` under `--unsigned`.
    pub fn signer(&self) -> Option<&Signer> {
        self.signer.as_ref()
    }

    /// Reads its tables.
    ///
    /// # Errors
    /// The squashfs is broken, or of a kind that is not read.
    pub fn open(self) -> Result<UsrImage> {
        UsrImage::open(self.squashfs).map_err(|fault| about(&self.source, fault))
    }
}

fn about(source: &str, fault: Fault) -> Fault {
    fault.while_doing(format!("cannot use the image {source}"))
}
