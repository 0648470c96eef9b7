//! An image whose signature holds: the only thing that trees are read from.

use std::fs::File;
use std::io::Read;

use super::ingest::{Content, Digest, Watch, pass};
use super::limits::InflateLimits;
use super::temp_file::UnlinkedTempDir;
use super::usr_squashfs::UsrSquashfs;
use coreos_types::error::{Error, Result};
use coreos_types::provenance::Signer;
use openpgp_policy::Verification;

impl Watch for Verification {
    fn update(&mut self, bytes: &[u8]) {
        Verification::update(self, bytes);
    }

    fn sha256(&self) -> Option<[u8; 32]> {
        Verification::sha256(self)
    }
}

/// What will have to be proved of the bytes.
pub enum SignatureCheck {
    /// A signature, judged already in all that needs no data.
    Signed(Box<Verification>),
    /// `--unsigned`: nothing, since there is no signature, on the user's own word.
    Unsigned,
}

/// What stands in place of a verification where there is no signature.
#[derive(Debug, Clone, Copy)]
pub struct Unsigned;

impl From<Unsigned> for SignatureCheck {
    fn from(_: Unsigned) -> SignatureCheck {
        SignatureCheck::Unsigned
    }
}

impl From<Verification> for SignatureCheck {
    fn from(verification: Verification) -> SignatureCheck {
        SignatureCheck::Signed(Box::new(verification))
    }
}

impl Watch for SignatureCheck {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            SignatureCheck::Signed(verification) => verification.update(bytes),
            SignatureCheck::Unsigned => {}
        }
    }

    fn sha256(&self) -> Option<[u8; 32]> {
        match self {
            SignatureCheck::Signed(verification) => verification.sha256(),
            SignatureCheck::Unsigned => None,
        }
    }
}

/// What was proved of some bytes.
pub struct CheckOutcome {
    /// Who signed them; `None` under `--unsigned`.
    pub signer: Option<Signer>,
    /// What they were hashed to, for each signature that was open.
    pub hashes: Vec<Option<Vec<u8>>>,
}

impl SignatureCheck {
    /// The judgement over the bytes that were seen.
    ///
    /// # Errors
    /// Refused (3): no signature holds.
    pub fn judge(self) -> Result<CheckOutcome> {
        match self {
            SignatureCheck::Signed(verification) => {
                let hashes = verification.digests();
                let signer = verification.finish().into_signer()?;
                Ok(CheckOutcome { signer: Some(signer), hashes })
            }
            SignatureCheck::Unsigned => Ok(CheckOutcome { signer: None, hashes: Vec::new() }),
        }
    }
}

/// An image that was read once and proved in that reading. Nothing else makes one.
#[derive(Debug)]
pub struct VerifiedImage {
    source: String,
    digest: Digest,
    length: u64,
    signer: Option<Signer>,
    hashes: Vec<Option<Vec<u8>>>,
    squashfs: File,
}

impl VerifiedImage {
    /// Reads the `.cpio.gz` from `stream`, which came from `source` (a URL or path), and proves it. `size` is its length
    /// in bytes, where that is known before.
    ///
    /// # Errors
    /// The stream breaks off; the signature does not hold (it is judged before anything in the image is); there is
    /// no sound image in the stream.
    pub fn prove(
        source: &str,
        stream: impl Read,
        size: Option<u64>,
        proving: impl Into<SignatureCheck>,
        scratch: &UnlinkedTempDir,
    ) -> Result<VerifiedImage> {
        let content = Content::Image(scratch.clone(), InflateLimits { size, ..InflateLimits::default() });
        let passed = pass(stream, proving.into(), content).map_err(|fault| about(source, fault))?;
        let proved = passed.watch.judge().map_err(|fault| about(source, fault))?;
        let squashfs = passed.squashfs.unwrap_or_else(|| Err(Error::failed("it was not unpacked")));
        Ok(VerifiedImage {
            source: source.to_owned(),
            digest: passed.digest,
            length: passed.length,
            signer: proved.signer,
            hashes: proved.hashes,
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

    /// What its bytes were hashed to, for each signature that was open: enough to judge them again without it.
    pub fn hashes(&self) -> &[Option<Vec<u8>>] {
        &self.hashes
    }

    /// Reads its tables.
    ///
    /// # Errors
    /// The squashfs is broken, or of a kind that is not read.
    pub fn open(self) -> Result<UsrSquashfs> {
        UsrSquashfs::open(self.squashfs).map_err(|fault| about(&self.source, fault))
    }
}

fn about(source: &str, fault: Error) -> Error {
    fault.context(format!("cannot use the image {source}"))
}
