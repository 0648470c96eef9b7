//! Verification of a file: the rules, one hash of the file, then the cryptographic check.

use super::certificate::{Certificate, merge_copies};
use super::detached_signatures::DetachedSignatures;
use super::hash::{Hash, Hasher};
use super::signature_rules::{PendingSignature, check_rules_without_data};
use super::trust_policy::TrustPolicy;
use super::verification_results::{SignatureResult, SignatureStatus, VerificationResults};
use ring::digest::{SHA256, SHA512};

/// A verification in progress. It borrows nothing, so that a separate thread can update it.
pub struct Verification {
    source: String,
    /// The signatures in their order; `Err` for those whose outcome does not depend on the file.
    evaluations: Vec<Result<PendingSignature, Box<SignatureResult>>>,
    /// One hash for each algorithm and salt of a signature that needs data.
    hashers: Vec<(Hash, Vec<u8>, Hasher)>,
    /// The reasons why no newer certificate could be fetched.
    refresh_errors: Vec<String>,
}

impl Verification {
    /// Checks every rule that needs no data.
    pub fn new(
        signature: &DetachedSignatures,
        certificates: &[Certificate],
        policy: &TrustPolicy,
    ) -> Verification {
        let certificates = merge_copies(certificates);
        let evaluations: Vec<_> = signature
            .signatures
            .iter()
            .map(|read| check_rules_without_data(read, &certificates, policy))
            .collect();
        let mut hashers: Vec<(Hash, Vec<u8>, Hasher)> = Vec::new();
        for PendingSignature { packet, hash, .. } in evaluations.iter().flatten() {
            if !hashers.iter().any(|(known, salt, _)| known == hash && *salt == packet.salt) {
                let mut hasher = hash.hasher();
                hasher.update(&packet.salt);
                hashers.push((*hash, packet.salt.clone(), hasher));
            }
        }
        Verification { source: signature.source.clone(), evaluations, hashers, refresh_errors: Vec::new() }
    }

    /// Whether the outcome of a signature depends on the file; otherwise the file need not be downloaded.
    pub fn needs_data(&self) -> bool {
        !self.hashers.is_empty()
    }

    /// The keys, as fingerprints or key IDs, that no available certificate has. A newer certificate may have them.
    pub fn unknown_keys(&self) -> Vec<&str> {
        let decided = self.evaluations.iter().filter_map(|evaluation| evaluation.as_ref().err());
        let unknown = decided.filter(|result| result.status == SignatureStatus::UnknownKey);
        unknown.filter_map(|result| result.signing_key.as_deref()).collect()
    }

    /// Sets the reasons why no newer certificate could be fetched, for the error about an unknown key.
    pub fn set_refresh_errors(&mut self, causes: Vec<String>) {
        self.refresh_errors = causes;
    }

    /// Adds the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hashers.iter_mut().for_each(|(_, _, hasher)| hasher.update(bytes));
    }

    /// The digest of the bytes so far, without a signature's salt and trailer: 32 octets of SHA-256 or 64 of SHA-512,
    /// the hash of the first signature that uses one of them; `None` if none does.
    pub fn file_digest(&self) -> Option<Vec<u8>> {
        let is_plain = |(hash, salt, _): &&(Hash, Vec<u8>, Hasher)| {
            [Hash::Sha2(&SHA256), Hash::Sha2(&SHA512)].contains(hash) && salt.is_empty()
        };
        self.hashers.iter().find(is_plain)?.2.clone().finish()
    }

    /// The digest of the bytes with the trailer of each signature that needs data, in the order of the signatures;
    /// `None` for other signatures, and for bytes that match a known SHA-1 collision attack.
    pub fn signature_digests(&self) -> Vec<Option<Vec<u8>>> {
        let digest = |PendingSignature { packet, hash, .. }: &PendingSignature| {
            let (_, _, hasher) =
                self.hashers.iter().find(|(known, salt, _)| known == hash && *salt == packet.salt)?;
            let mut hasher = hasher.clone();
            hasher.update(&packet.trailer());
            hasher.finish()
        };
        self.evaluations.iter().map(|evaluation| evaluation.as_ref().ok().and_then(digest)).collect()
    }

    /// Does the cryptographic check over the bytes.
    pub fn finish(self) -> VerificationResults {
        let digests = self.signature_digests();
        self.finish_with_signature_digests(&digests)
    }

    /// Does the cryptographic check with the [`Verification::signature_digests`] of another verification of the same
    /// signatures over the same bytes.
    pub fn finish_with_signature_digests(self, digests: &[Option<Vec<u8>>]) -> VerificationResults {
        let results = self.evaluations.into_iter().enumerate().map(|(number, evaluation)| match evaluation {
            Ok(pending) => pending.verify_digest(digests.get(number).and_then(Option::as_deref)),
            Err(decided) => *decided,
        });
        VerificationResults {
            signatures: results.collect(),
            source: self.source,
            refresh_errors: self.refresh_errors,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "reads the clock")]
    use super::super::certificate::{Component, UserId};
    use super::super::key::Key;
    use super::*;

    /// Each of the signatures names no issuer, so that any of the keys can have made it.
    #[test]
    fn user_ids_of_4_mib_are_read_once() {
        let certificate = include_bytes!("../../../tests/fixtures/openpgp/plain.pgp");
        let mut certificate = Certificate::parse(certificate, "plain.pgp").unwrap();
        for number in 0..16 {
            certificate.user_ids.insert(0, Component::new(UserId::new(&vec![b'a' + number; 256 << 10])));
        }
        for number in 0..=255 {
            let mut body = certificate.subkeys[0].content.body().to_vec();
            body[4] = number;
            certificate.subkeys.push(Component::new(Key::parse(&body).unwrap()));
        }
        let signature = include_bytes!("../../../tests/fixtures/openpgp/no-issuer.sig").repeat(16);
        let signatures = DetachedSignatures::parse(&signature, "many.sig").unwrap();
        let policy = TrustPolicy::from_certificates(std::slice::from_ref(&certificate), 1_767_268_800);
        let start = std::time::Instant::now();
        assert!(Verification::new(&signatures, &[certificate], &policy).needs_data());
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
