//! The check of a signature over the bytes of a file, or its absence under `--unsigned`.

use coreos_types::error::Result;
use coreos_types::provenance::Signer;
use openpgp_policy::Verification;

/// What has to be verified of some bytes.
pub enum SignatureCheck {
    /// A signature, of which everything that needs no data was checked.
    Signed(Box<Verification>),
    /// `--unsigned`: nothing, because there is no signature, on the user's own responsibility.
    Unsigned,
}

/// The outcome of a [`SignatureCheck`] that did not fail.
pub struct CheckOutcome {
    /// Who signed; `None` under `--unsigned`.
    pub signer: Option<Signer>,
    /// The digest of the bytes for each signature that needed them: enough to check the signatures again without the
    /// bytes.
    pub digests: Vec<Option<Vec<u8>>>,
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

    /// The SHA-256 of all bytes so far, where a signature is made over that very hash, as the vendors' are: computing
    /// it twice would cost as much again. Whether it is `None` does not change.
    pub(super) fn sha256(&self) -> Option<[u8; 32]> {
        match self {
            SignatureCheck::Signed(verification) => verification.sha256(),
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
                let digests = verification.digests();
                let signer = verification.finish_with_digests(&digests).into_signer()?;
                Ok(CheckOutcome { signer: Some(signer), digests })
            }
            SignatureCheck::Unsigned => Ok(CheckOutcome { signer: None, digests: Vec::new() }),
        }
    }
}
