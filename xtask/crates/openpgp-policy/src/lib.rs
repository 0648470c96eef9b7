//! Who signed it, and whether that counts: an OpenPGP policy on top of the pgp crate's mathematics.
//!
//! The road of a `.sig`: [`DetachedSignature::parse`] frames the packets and refuses what is no detached
//! signature; [`Verification::begin`] judges every rule that needs no data (who, when, which hash, is the key
//! bound, revoked, expired); [`Verification::update`] hashes the file once per hash algorithm; and
//! [`Verification::finish`] does the public-key mathematics and gives the [`VerificationResults`].
//!
//! Trust is pinned to primary keys by a [`TrustPolicy`], which is a value: tests pass throwaway pins. All of
//! this room but the [`Keyring`] is pure computation. The rules and how they compare with gpg and gpgv stand in
//! SECURITY.md.

mod armor;
mod certificate;
mod certificate_file;
mod hash;
mod key;
mod key_validity;
mod packet;
mod policy;
mod result;
mod self_signatures;
mod signature;
mod subpacket;
mod trust;
mod verify;

pub use certificate::Certificate;
pub use result::{SignatureResult, SignatureStatus, VerificationResults};
pub use signature::DetachedSignature;
pub use trust::{CLOCK_SKEW, COREOS, FLATCAR, Fingerprint, Pin, SHA1_CUTOFF, TrustPolicy};
pub use verify::Verification;
