//! The check of a signature over the bytes of a file, or its absence under `--unsigned`.

use std::io::Read;

use ring::digest::{Context, SHA256};

use super::chunk_channel::read_full;
use super::digest::Digest;
use coreos_types::{Error, Result, Signer, error::error_from_read};
use openpgp_policy::Verification;

/// The bytes that are read at once: the second-level cache has them still when they are hashed, and then inflated.
const CHUNK: usize = 256 * 1024;

/// The signature check of a file, which is also the computation of its digest.
pub struct SignatureCheck {
    /// A signature that passed every check that needs no data; `None` under `--unsigned`.
    verification: Option<Verification>,
    /// The digest, where no signature was made over SHA-256 or SHA-512.
    sha256: Option<Context>,
}

/// The outcome of a [`SignatureCheck`] that did not fail.
#[derive(Debug, Clone)]
pub struct CheckOutcome {
    /// The digest of the bytes, by the hash that a signature was made over, so that nothing is hashed twice.
    pub digest: Digest,
    /// The signer; `None` under `--unsigned`.
    pub signer: Option<Signer>,
    /// The digest of the bytes for each signature that needed them, which suffices to check the signatures again.
    pub signature_digests: Vec<Option<Vec<u8>>>,
}

impl SignatureCheck {
    /// A check of the signatures that `verification` has; with `None` (`--unsigned`) the file has no signature, and the
    /// user trusts it.
    pub fn new(verification: Option<Verification>) -> SignatureCheck {
        let has_digest = verification.as_ref().is_some_and(|one| one.file_digest().is_some());
        SignatureCheck { verification, sha256: (!has_digest).then(|| Context::new(&SHA256)) }
    }

    /// Reads a file to its end and adds its bytes.
    ///
    /// # Errors
    /// `source` fails.
    pub fn read_to_end(&mut self, source: impl Read) -> Result<()> {
        self.read_chunks(source, |chunk| chunk)
    }

    /// Reads a file to its end, adds its bytes, and passes them in chunks to `exchange`, which returns a buffer for the
    /// next chunk.
    pub(super) fn read_chunks(
        &mut self,
        mut source: impl Read,
        exchange: impl Fn(Vec<u8>) -> Vec<u8>,
    ) -> Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = read_full(&mut source, &mut chunk).map_err(error_from_read)?;
            chunk.truncate(length);
            if chunk.is_empty() {
                return Ok(());
            }
            self.verification.iter_mut().for_each(|verification| verification.update(&chunk));
            self.sha256.iter_mut().for_each(|context| context.update(&chunk));
            chunk = exchange(chunk);
            // A used chunk has this length already, so that it is not cleared.
            chunk.resize(CHUNK, 0);
        }
    }

    /// The digest of the bytes that were added.
    pub(super) fn digest(&self) -> Result<Digest> {
        let sha256 = self.sha256.clone().map(|context| context.finish().as_ref().to_vec());
        let octets = sha256.or_else(|| self.verification.as_ref()?.file_digest());
        let digest = octets.and_then(|octets| Digest::from_octets(&octets));
        digest.ok_or_else(|| Error::failed("internal error: the signature check has no hash"))
    }

    /// Checks the signatures over the bytes that were added.
    ///
    /// # Errors
    /// Refused (3): no signature is valid.
    pub fn finish(self) -> Result<CheckOutcome> {
        let digest = self.digest()?;
        let Some(verification) = self.verification else {
            return Ok(CheckOutcome { digest, signer: None, signature_digests: Vec::new() });
        };
        let signature_digests = verification.signature_digests();
        let signer = verification.finish_with_signature_digests(&signature_digests).into_signer()?;
        Ok(CheckOutcome { digest, signer: Some(signer), signature_digests })
    }
}
