//! The check of a signature over the bytes of a file, or its absence under `--unsigned`.

use super::digest::Digest;
use coreos_types::{Result, Signer};
use openpgp_policy::Verification;

/// The signature check of a file.
pub enum SignatureCheck {
    /// A signature that passed every check that needs no data.
    Signed(Box<Verification>),
    /// No check (`--unsigned`): the file has no signature, and the user trusts it.
    Unsigned,
}

/// The outcome of a [`SignatureCheck`] that did not fail.
pub struct CheckOutcome {
    /// The signer; `None` under `--unsigned`.
    pub signer: Option<Signer>,
    /// The digest of the bytes for each signature that needed them, which suffices to check the signatures again.
    pub signature_digests: Vec<Option<Vec<u8>>>,
}

impl From<Verification> for SignatureCheck {
    fn from(verification: Verification) -> SignatureCheck {
        SignatureCheck::Signed(Box::new(verification))
    }
}

impl SignatureCheck {
    /// Adds the next bytes, in order.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            SignatureCheck::Signed(verification) => verification.update(bytes),
            SignatureCheck::Unsigned => {}
        }
    }

    /// The digest of all bytes so far, by the hash that a signature was made over, so that nothing is hashed twice;
    /// `None` if no signature uses SHA-256 or SHA-512. Neither `None` nor the algorithm depends on the bytes.
    pub(super) fn file_digest(&self) -> Option<Digest> {
        match self {
            SignatureCheck::Signed(verification) => Digest::from_octets(&verification.file_digest()?),
            SignatureCheck::Unsigned => None,
        }
    }

    /// Checks the signatures over the bytes that were added.
    ///
    /// # Errors
    /// Refused (3): no signature is valid.
    pub fn finish(self) -> Result<CheckOutcome> {
        match self {
            SignatureCheck::Signed(verification) => {
                let digests = verification.signature_digests();
                let signer = verification.finish_with_signature_digests(&digests).into_signer()?;
                Ok(CheckOutcome { signer: Some(signer), signature_digests: digests })
            }
            SignatureCheck::Unsigned => Ok(CheckOutcome { signer: None, signature_digests: Vec::new() }),
        }
    }
}
