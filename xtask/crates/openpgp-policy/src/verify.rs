//! Verification of a file: judge, hash once, then the mathematics.

use super::certificate::{Certificate, merged};
use super::hash::{Hash, Hasher};
use super::policy::{Evaluation, judge};
use super::result::{VerificationResults, closed, refused, unknown};
use super::signature::DetachedSignature;
use super::trust::TrustPolicy;

/// A verification under way. It owns all that it needs, so it can be fed from a thread of its own.
pub struct Verification {
    source: String,
    trusted: String,
    judged: Vec<Evaluation>,
    /// One hash for each algorithm and salt that an open signature needs.
    hashers: Vec<(Hash, Vec<u8>, Hasher)>,
    /// Why no newer certificate could be got.
    unasked: Vec<String>,
}

impl Verification {
    /// Judges every rule that needs no data.
    pub fn begin(
        signature: &DetachedSignature,
        certificates: &[Certificate],
        policy: &TrustPolicy,
    ) -> Verification {
        let certificates = merged(certificates);
        let judged: Vec<_> =
            signature.signatures.iter().map(|read| judge(read, &certificates, policy)).collect();
        let mut hashers: Vec<(Hash, Vec<u8>, Hasher)> = Vec::new();
        for one in &judged {
            let Evaluation::Open { signature, hash, .. } = one else { continue };
            if !hashers.iter().any(|(known, salt, _)| known == hash && *salt == signature.salt) {
                let mut hasher = hash.begin();
                hasher.update(&signature.salt);
                hashers.push((*hash, signature.salt.clone(), hasher));
            }
        }
        let trusted: Vec<_> =
            policy.pins.iter().map(|pin| format!("{} ({})", pin.name, pin.primary)).collect();
        Verification {
            source: signature.source.clone(),
            trusted: trusted.join(", "),
            judged,
            hashers,
            unasked: Vec::new(),
        }
    }

    /// Whether a signature is still open: otherwise the verdicts stand, and the file need not be fetched.
    pub fn needs_data(&self) -> bool {
        !self.hashers.is_empty()
    }

    /// The keys, as fingerprints or key IDs, that no certificate at hand has. A newer certificate may have them.
    pub fn unknown_keys(&self) -> Vec<&str> {
        let unknown = self.judged.iter().filter_map(|judged| match judged {
            Evaluation::Unknown { issuer, .. } => Some(issuer.as_str()),
            _ => None,
        });
        unknown.collect()
    }

    /// Whether no certificate at hand has the key of one of the signatures.
    pub fn has_unknown_key(&self) -> bool {
        self.judged.iter().any(|judged| matches!(judged, Evaluation::Unknown { .. }))
    }

    /// Adds why a newer certificate could not be got, for the case that one is needed.
    pub fn not_asked(&mut self, causes: Vec<String>) {
        self.unasked = causes;
    }

    /// Takes in the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hashers.iter_mut().for_each(|(_, _, hasher)| hasher.update(bytes));
    }

    /// The SHA-256 of what was taken in, without any signature's salt and trailer, where a signature asks for that hash.
    pub fn sha256(&self) -> Option<[u8; 32]> {
        let plain = |(hash, salt, _): &&(Hash, Vec<u8>, Hasher)| *hash == Hash::Sha256 && salt.is_empty();
        let (_, _, hasher) = self.hashers.iter().find(plain)?;
        hasher.clone().finish()?.try_into().ok()
    }

    /// What was taken in hashes to, with the trailer of each open signature, in the order of the signatures; `None`
    /// for those that are not open, and for bytes that bear the mark of a SHA-1 collision attack.
    pub fn hashes(&self) -> Vec<Option<Vec<u8>>> {
        let hash_of = |judged: &Evaluation| {
            let Evaluation::Open { signature, hash, .. } = judged else { return None };
            let (_, _, hasher) =
                self.hashers.iter().find(|(known, salt, _)| known == hash && *salt == signature.salt)?;
            let mut hasher = hasher.clone();
            hasher.update(&signature.trailer());
            hasher.finish()
        };
        self.judged.iter().map(hash_of).collect()
    }

    /// Does the mathematics over what was taken in.
    pub fn finish(self) -> VerificationResults {
        let hashes = self.hashes();
        self.finish_with(&hashes)
    }

    /// Does the mathematics over bytes that were taken in before, by another verification of the same signatures
    /// that gave these [`Verification::hashes`].
    pub fn finish_with(self, hashes: &[Option<Vec<u8>>]) -> VerificationResults {
        let Verification { source, trusted, judged, unasked, .. } = self;
        let verdicts = judged.into_iter().enumerate().map(|(number, judged)| match judged {
            Evaluation::Refused { broken, key, signed_at } => refused(broken, key.as_deref(), signed_at),
            Evaluation::Unknown { issuer, signed_at } => unknown(issuer, signed_at, &trusted),
            Evaluation::Open { signature, signed_at, candidates, .. } => {
                let hash = hashes.get(number).and_then(Option::as_deref);
                closed(&signature, signed_at, &candidates, hash)
            }
        });
        VerificationResults { signatures: verdicts.collect(), source, unasked }
    }
}
