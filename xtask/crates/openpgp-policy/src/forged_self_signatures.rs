//! Selection of the self-signatures of a certificate for public-key checks, and their maximum number.
//!
//! Anyone can append packets to a certificate and send it to a key server. A real one has a few self-signatures per
//! component; other signatures are removed by their issuer, type and size, without hashing what they sign. A certificate
//! with too many candidates left is refused as a whole: checking them would take minutes, and removing some could hide a
//! revocation.

use super::certificate::{Certificate, Component, MAX_USER_ID};
use super::key::Key;
use super::signature::SignaturePacket;
use coreos_types::{Error, Result};
use pgp::packet::SignatureType;

/// The self-signatures on one component: the primary key, a user ID or a subkey.
const MAX_PER_COMPONENT: usize = 64;
/// The self-signatures in one certificate; an RSA key of 4096 bits checks about 1,000 a second.
const MAX_TOTAL: usize = 256;
/// The back-signatures of a binding that are verified in a copy from a server; a genuine binding has one.
const MAX_BACK_SIGNATURES: usize = 2;

impl Certificate {
    /// Removes every signature of a type that is not valid on its component, and counts the others.
    ///
    /// # Errors
    /// Failed (2): more candidates remain than [`MAX_PER_COMPONENT`] or [`MAX_TOTAL`] (a flooded certificate).
    pub(super) fn check_signature_count(&mut self, source: &str) -> Result<()> {
        let (mut total, mut is_flooded) = (0, false);
        self.filter_signatures(|_, signatures, _| {
            total += signatures.len();
            is_flooded |= signatures.len() > MAX_PER_COMPONENT || total > MAX_TOTAL;
        });
        if !is_flooded {
            return Ok(());
        }
        Err(Error::failed(format!(
            "{source} is flooded: it has more than {MAX_PER_COMPONENT} self-signatures on one key or user ID, or \
             more than {MAX_TOTAL} in all"
        ))
        .with_hint("gpg --armor --export-options export-minimal --export FINGERPRINT > KEY.asc"))
    }

    /// Removes signatures that the primary key did not make, bindings with an invalid back-signature, then user IDs and
    /// subkeys without a signature. Certificates from key servers are cached only in this form. Anyone can
    /// replace a back-signature in the unhashed area; a cached copy with a bad one would make the subkey unusable.
    pub fn retain_verified(&mut self) {
        self.filter_signatures(|primary, signatures, parts| {
            signatures.retain(|signature| primary.verify_with_any_hash(signature, parts));
        });
        for Component { content: key, signatures } in &mut self.subkeys {
            let parts = [&self.primary.hashed_form[..], &key.hashed_form];
            signatures.retain(|binding| {
                let mut embedded =
                    binding.parse_embedded_signatures().take(MAX_BACK_SIGNATURES).flatten().peekable();
                embedded.peek().is_none()
                    || embedded.any(|one| {
                        one.typ == SignatureType::KeyBinding && key.verify_with_any_hash(&one, &parts)
                    })
            });
        }
        self.user_ids.retain(|user_id| !user_id.signatures.is_empty());
        self.subkeys.retain(|subkey| !subkey.signatures.is_empty());
    }

    /// Calls `retain` with the signatures of each component and the octets that they sign, without signatures of types
    /// that are not valid on the component.
    pub(super) fn filter_signatures(
        &mut self,
        mut retain: impl FnMut(&Key, &mut Vec<SignaturePacket>, &[&[u8]]),
    ) {
        let Certificate { primary, direct, user_ids, subkeys } = self;
        let primary_key = &primary.hashed_form[..];
        direct.retain(|signature| matches!(signature.typ, SignatureType::Key | SignatureType::KeyRevocation));
        retain(primary, direct, &[primary_key]);
        for Component { content: user_id, signatures } in user_ids {
            // A user ID is hashed for each signature.
            let is_read = user_id.octets().len() <= MAX_USER_ID;
            signatures.retain(|signature| is_read && signature.is_certification());
            retain(primary, signatures, &[primary_key, &user_id.hashed_form]);
        }
        for Component { content: subkey, signatures } in subkeys {
            let types = [SignatureType::SubkeyBinding, SignatureType::SubkeyRevocation];
            signatures.retain(|signature| types.contains(&signature.typ));
            retain(primary, signatures, &[primary_key, &subkey.hashed_form]);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::key::VERIFICATIONS;
    use super::super::{DetachedSignatures, TrustPolicy, Verification};
    use super::*;

    /// The certificate of the fixtures with `count` more self-signatures on its user ID: the real one with another
    /// unhashed subpacket each, which keeps the digest, and with a wrong value of the right size.
    /// As a third party's, they name another key as their issuer.
    fn flooded(count: u16, is_third_party: bool) -> Vec<u8> {
        let bytes = include_bytes!("../../../tests/fixtures/openpgp/rsa.pgp");
        let mut certificate = Certificate::parse(bytes, "rsa.pgp").unwrap();
        let real = certificate.user_ids[0].signatures[0].clone();
        let hashed = 6 + usize::from(u16::from_be_bytes([real.raw[4], real.raw[5]]));
        let (head, rest) = real.raw.split_at(hashed);
        let unhashed = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        for number in 0..count {
            let [high, low] = number.to_be_bytes();
            // Subpacket 101 is private.
            let area = [0, 5, 4, 101, high, low, 0];
            let mut value = rest[unhashed..].to_vec();
            value[9] ^= 1;
            let mut raw = [head, &area, &value].concat();
            if is_third_party {
                let named = raw.windows(3).position(|octets| octets == [22, 33, 4]).unwrap();
                raw[named + 3..named + 23].fill(7);
            }
            certificate.user_ids[0].signatures.push(SignaturePacket::parse(&raw).unwrap());
        }
        certificate.to_bytes()
    }

    #[test]
    fn flooded_certificate_is_refused_above_the_limit() {
        let few = Certificate::parse(&flooded(63, false), "few").unwrap();
        assert_eq!(few.user_ids[0].signatures.len(), 64);
        let error = Certificate::parse(&flooded(64, false), "many").unwrap_err();
        assert!(error.message.starts_with("many is flooded: "), "{error}");
    }

    /// Without public-key checks: some hash algorithms alone take milliseconds for each signature over a large key.
    #[test]
    fn flood_of_wrong_digests_is_refused() {
        let mut certificate = Certificate::parse(&flooded(63, false), "few").unwrap();
        let real = &certificate.user_ids[0].signatures[0];
        let mut raw = real.raw.clone();
        let digest_start = raw.windows(2).rposition(|octets| octets == real.digest_start).unwrap();
        raw[digest_start] ^= 1;
        let spoiled = SignaturePacket::parse(&raw).unwrap();
        assert_ne!(spoiled.digest_start, real.digest_start);
        certificate.user_ids[0].signatures.push(spoiled);
        let error = Certificate::parse(&certificate.to_bytes(), "many").unwrap_err();
        assert!(error.message.starts_with("many is flooded: "), "{error}");
    }

    #[test]
    fn third_party_certifications_are_not_counted() {
        let read = Certificate::parse(&flooded(5000, true), "signed by many").unwrap();
        assert_eq!(read.user_ids[0].signatures.len(), 1);
    }

    /// The worst that a server can send: as many self-signatures as are allowed, each with the digest of the real one.
    #[test]
    fn flood_costs_one_verification_per_signature() {
        let bytes = flooded(MAX_PER_COMPONENT as u16 - 1, false);
        VERIFICATIONS.set(0);
        let mut certificate = Certificate::parse(&bytes, "flood").unwrap();
        certificate.retain_verified();
        let policy = TrustPolicy::from_certificates(&[certificate.clone()], 1_700_000_000);
        let signature = include_bytes!("../../../tests/fixtures/openpgp/rsa-sha256.sig");
        let signature = DetachedSignatures::parse(signature, "rsa-sha256.sig").unwrap();
        for _ in 0..4 {
            Verification::new(&signature, &[certificate.clone()], &policy);
        }
        // One takes less than a millisecond, and no certificate needs more than MAX_TOTAL.
        let few = certificate.subkeys.len() * MAX_BACK_SIGNATURES + 8;
        assert!(
            (MAX_PER_COMPONENT..MAX_PER_COMPONENT + few).contains(&VERIFICATIONS.get()),
            "{}",
            VERIFICATIONS.get()
        );
    }

    #[test]
    fn binding_with_a_spoiled_back_signature_is_not_kept() {
        let bytes = include_bytes!("../../../tests/fixtures/openpgp/gpg.pgp");
        let genuine = Certificate::parse(bytes, "gpg.pgp").unwrap();
        let mut certificate = genuine.clone();
        let spoiled: Vec<SignaturePacket> = certificate.subkeys[0]
            .signatures
            .iter()
            .map(|binding| {
                let embedded = binding.parse_embedded_signatures().flatten().next().unwrap().raw;
                let at = binding.raw.windows(embedded.len()).position(|octets| octets == embedded).unwrap();
                let mut raw = binding.raw.clone();
                raw[at + embedded.len() - 1] ^= 1;
                SignaturePacket::parse(&raw).unwrap()
            })
            .collect();
        certificate.subkeys[0].signatures.extend(spoiled);
        certificate.retain_verified();
        assert_eq!(certificate.subkeys[0].signatures.len(), genuine.subkeys[0].signatures.len());
    }

    #[test]
    fn server_copy_keeps_verified_signatures_only() {
        let mut certificate = Certificate::parse(&flooded(10, false), "forged").unwrap();
        certificate.retain_verified();
        assert_eq!(certificate.user_ids[0].signatures.len(), 1);
        assert!(!certificate.subkeys.is_empty(), "genuine subkeys stay");
    }
}
