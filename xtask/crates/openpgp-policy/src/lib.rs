//! Verification of OpenPGP detached signatures (RFC 9580) under pinned primary keys; ring and the pgp crate do the
//! public-key operations.
//!
//! 1. [`DetachedSignatures::parse`] reads the packets of a `.sig` and refuses what is not a detached signature.
//! 2. [`Verification::new`] checks every rule that needs no data: signer, time, hash algorithm, and whether the key is
//!    bound, revoked or expired.
//! 3. [`Verification::update`] hashes the file once per hash algorithm.
//! 4. [`Verification::finish`] does the cryptographic check and returns the [`VerificationResults`].
//!
//! A [`TrustPolicy`] pins primary keys by fingerprint; it is a value, so that tests pass throwaway pins. The crate does
//! no I/O. The rules, and how they compare with gpg and gpgv, are in SECURITY.md.

mod armor;
mod certificate;
mod certificate_file;
mod detached_signatures;
mod forged_self_signatures;
mod hash;
mod key;
mod key_validity;
mod packet;
mod public_key_check;
mod signature;
mod signature_rules;
mod subpacket;
mod trust_policy;
mod verification;
mod verification_results;
mod violation;

pub use certificate::Certificate;
pub use detached_signatures::DetachedSignatures;
pub use trust_policy::{
    CLOCK_SKEW, COREOS_FINGERPRINT, FLATCAR_FINGERPRINT, Fingerprint, Pin, SHA1_CUTOFF, TrustPolicy,
};
pub use verification::Verification;
pub use verification_results::{SignatureResult, SignatureStatus, VerificationResults};
