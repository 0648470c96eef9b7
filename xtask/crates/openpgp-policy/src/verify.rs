//! Verification of a file: the rules, one hash of the file, then the cryptographic check.

use super::certificate::{Certificate, merge_copies};
use super::hash::{Hash, Hasher};
use super::result::{VerificationResults, rejected_result, unknown_key, verify_digest};
use super::signature::DetachedSignature;
use super::signature_rules::{Evaluation, evaluate};
use super::trust_policy::TrustPolicy;

/// A verification in progress. It borrows nothing, so that a separate thread can update it.
pub struct Verification {
    source: String,
    trusted: String,
    evaluations: Vec<Evaluation>,
    /// One hash for each algorithm and salt of a signature that needs data.
    hashers: Vec<(Hash, Vec<u8>, Hasher)>,
    /// The reasons why no newer certificate could be fetched.
    refresh_errors: Vec<String>,
}

impl Verification {
    /// Checks every rule that needs no data.
    pub fn new(
        signature: &DetachedSignature,
        certificates: &[Certificate],
        policy: &TrustPolicy,
    ) -> Verification {
        let certificates = merge_copies(certificates);
        let evaluations: Vec<_> =
            signature.signatures.iter().map(|read| evaluate(read, &certificates, policy)).collect();
        let mut hashers: Vec<(Hash, Vec<u8>, Hasher)> = Vec::new();
        for one in &evaluations {
            let Evaluation::NeedsData { signature, hash, .. } = one else { continue };
            if !hashers.iter().any(|(known, salt, _)| known == hash && *salt == signature.salt) {
                let mut hasher = hash.hasher();
                hasher.update(&signature.salt);
                hashers.push((*hash, signature.salt.clone(), hasher));
            }
        }
        let trusted: Vec<_> =
            policy.pins.iter().map(|pin| format!("{} ({})", pin.name, pin.fingerprint)).collect();
        Verification {
            source: signature.source.clone(),
            trusted: trusted.join(", "),
            evaluations,
            hashers,
            refresh_errors: Vec::new(),
        }
    }

    /// Whether the outcome of a signature depends on the file; otherwise the file need not be downloaded.
    pub fn needs_data(&self) -> bool {
        !self.hashers.is_empty()
    }

    /// The keys, as fingerprints or key IDs, that no available certificate has. A newer certificate may have them.
    pub fn unknown_keys(&self) -> Vec<&str> {
        let unknown = self.evaluations.iter().filter_map(|evaluations| match evaluations {
            Evaluation::UnknownIssuer { issuer, .. } => Some(issuer.as_str()),
            _ => None,
        });
        unknown.collect()
    }

    /// Whether a signature is by a key that no available certificate has.
    pub fn has_unknown_key(&self) -> bool {
        self.evaluations.iter().any(|evaluations| matches!(evaluations, Evaluation::UnknownIssuer { .. }))
    }

    /// Sets the reasons why no newer certificate could be fetched, for the error about an unknown key.
    pub fn set_refresh_errors(&mut self, causes: Vec<String>) {
        self.refresh_errors = causes;
    }

    /// Adds the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hashers.iter_mut().for_each(|(_, _, hasher)| hasher.update(bytes));
    }

    /// The digest of the bytes so far, without a signature's salt and trailer: 32 octets of SHA-256 or 64 of SHA-512, the
    /// hash of the first signature that uses one of them; `None` if none does.
    pub fn plain_digest(&self) -> Option<Vec<u8>> {
        let is_plain = |(hash, salt, _): &&(Hash, Vec<u8>, Hasher)| {
            matches!(hash, Hash::Sha256 | Hash::Sha512) && salt.is_empty()
        };
        self.hashers.iter().find(is_plain)?.2.clone().finish()
    }

    /// The digest of the bytes with the trailer of each signature that needs data, in the order of the signatures; `None`
    /// for other signatures, and for bytes that match a known SHA-1 collision attack.
    pub fn digests(&self) -> Vec<Option<Vec<u8>>> {
        let hash_of = |evaluation: &Evaluation| {
            let Evaluation::NeedsData { signature, hash, .. } = evaluation else { return None };
            let (_, _, hasher) =
                self.hashers.iter().find(|(known, salt, _)| known == hash && *salt == signature.salt)?;
            let mut hasher = hasher.clone();
            hasher.update(&signature.trailer());
            hasher.finish()
        };
        self.evaluations.iter().map(hash_of).collect()
    }

    /// Does the cryptographic check over the bytes.
    pub fn finish(self) -> VerificationResults {
        let digests = self.digests();
        self.finish_with_digests(&digests)
    }

    /// Does the cryptographic check with the [`Verification::digests`] of another verification of the same signatures over
    /// the same bytes.
    pub fn finish_with_digests(self, digests: &[Option<Vec<u8>>]) -> VerificationResults {
        let Verification { source, trusted, evaluations, refresh_errors, .. } = self;
        let verdicts = evaluations.into_iter().enumerate().map(|(number, evaluations)| match evaluations {
            Evaluation::Rejected { violation, key, signed_at } => {
                rejected_result(violation, key.as_deref(), signed_at)
            }
            Evaluation::UnknownIssuer { issuer, signed_at } => unknown_key(issuer, signed_at, &trusted),
            Evaluation::NeedsData { signature, signed_at, candidates, .. } => {
                let hash = digests.get(number).and_then(Option::as_deref);
                verify_digest(&signature, signed_at, &candidates, hash)
            }
        });
        VerificationResults { signatures: verdicts.collect(), source, refresh_errors }
    }
}
