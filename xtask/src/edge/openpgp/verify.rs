//! Verification of a file: judge, hash once, then the mathematics.

use crate::fault::{Fault, Result};
use crate::report::Signer;

use super::certificate::{Certificate, merged};
use super::hash::{Hash, Hasher};
use super::judge::{Candidate, Judged, judge};
use super::moment::{date, rfc3339};
use super::signature::{DetachedSignature, SignaturePacket};
use super::trust::TrustPolicy;

/// A verification under way. It owns all that it needs, so it can be fed from a thread of its own.
pub struct Verification {
    source: String,
    trusted: String,
    judged: Vec<Judged>,
    /// One hash for each algorithm and salt that an open signature needs.
    hashers: Vec<(Hash, Vec<u8>, Hasher)>,
}

/// The outcome for every signature of a `.sig`, in its order.
#[derive(Debug, Clone)]
pub struct Verdicts {
    source: String,
    /// At least one, unless the `.sig` had none.
    pub signatures: Vec<SignatureVerdict>,
}

/// What is to be thought of one signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Good,
    /// A rule does not hold.
    Refused,
    /// No certificate at hand has its key; a newer certificate may.
    UnknownKey,
}

impl Verdict {
    /// The word in JSON.
    pub fn id(self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Refused => "refused",
            Verdict::UnknownKey => "unknown-key",
        }
    }
}

/// The verdict on one signature. Fingerprints are upper-case hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureVerdict {
    /// The outcome.
    pub verdict: Verdict,
    /// The rule that decided it; the table of them stands in SECURITY.md.
    pub rule: &'static str,
    /// The primary key of the certificate that has the signing key.
    pub signed_by: Option<String>,
    /// The key that signed, or says it did: a fingerprint, or a key ID where the signature has no more.
    pub signing_subkey: Option<String>,
    /// When it says it was made, RFC 3339.
    pub signed_at: Option<String>,
    /// How messages call the signer.
    pub name: Option<String>,
    /// One sentence without its subject: what is so, and why.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
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
            let Judged::Open { signature, hash, .. } = one else { continue };
            if !hashers.iter().any(|(known, salt, _)| known == hash && *salt == signature.salt) {
                let mut hasher = hash.begin();
                hasher.update(&signature.salt);
                hashers.push((*hash, signature.salt.clone(), hasher));
            }
        }
        let trusted: Vec<_> =
            policy.pins.iter().map(|pin| format!("{} ({})", pin.name, pin.primary)).collect();
        Verification { source: signature.source.clone(), trusted: trusted.join(", "), judged, hashers }
    }

    /// Whether a signature is still open: otherwise the verdicts stand, and the file need not be fetched.
    pub fn needs_data(&self) -> bool {
        !self.hashers.is_empty()
    }

    /// The keys, as fingerprints or key IDs, that no certificate at hand has. A newer certificate may have them.
    pub fn unknown_keys(&self) -> Vec<&str> {
        let unknown = self.judged.iter().filter_map(|judged| match judged {
            Judged::Unknown { issuer, .. } => Some(issuer.as_str()),
            _ => None,
        });
        unknown.collect()
    }

    /// Whether no certificate at hand has the key of one of the signatures.
    pub fn has_unknown_key(&self) -> bool {
        self.judged.iter().any(|judged| matches!(judged, Judged::Unknown { .. }))
    }

    /// Takes in the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hashers.iter_mut().for_each(|(_, _, hasher)| hasher.update(bytes));
    }

    /// What was taken in hashes to, with the trailer of each open signature, in the order of the signatures; `None`
    /// for those that are not open, and for bytes that bear the mark of a SHA-1 collision attack.
    pub fn hashes(&self) -> Vec<Option<Vec<u8>>> {
        let hash_of = |judged: &Judged| {
            let Judged::Open { signature, hash, .. } = judged else { return None };
            let (_, _, hasher) =
                self.hashers.iter().find(|(known, salt, _)| known == hash && *salt == signature.salt)?;
            let mut hasher = hasher.clone();
            hasher.update(&signature.trailer());
            hasher.finish()
        };
        self.judged.iter().map(hash_of).collect()
    }

    /// Does the mathematics over what was taken in.
    pub fn finish(self) -> Verdicts {
        let hashes = self.hashes();
        self.finish_with(&hashes)
    }

    /// Does the mathematics over bytes that were taken in before, by another verification of the same signatures
    /// that gave these [`Verification::hashes`].
    pub fn finish_with(self, hashes: &[Option<Vec<u8>>]) -> Verdicts {
        let Verification { source, trusted, judged, .. } = self;
        let verdicts = judged.into_iter().enumerate().map(|(number, judged)| match judged {
            Judged::Refused { broken, key, signed_at } => {
                let hint = hint(broken.rule);
                verdict(Verdict::Refused, broken.rule, key.as_deref(), signed_at, broken.message, hint)
            }
            Judged::Unknown { issuer, signed_at } => unknown(issuer, signed_at, &trusted),
            Judged::Open { signature, signed_at, candidates, .. } => {
                let hash = hashes.get(number).and_then(Option::as_deref);
                closed(&signature, signed_at, &candidates, hash)
            }
        });
        Verdicts { signatures: verdicts.collect(), source }
    }
}

fn closed(
    signature: &SignaturePacket,
    signed_at: u64,
    candidates: &[Candidate],
    digest: Option<&[u8]>,
) -> SignatureVerdict {
    let Some(digest) = digest else {
        let message = "the file bears the mark of a SHA-1 collision attack".to_owned();
        let hint = hint("collision");
        return verdict(Verdict::Refused, "collision", candidates.first(), Some(signed_at), message, hint);
    };
    match candidates.iter().find(|candidate| candidate.key.verifies(signature, digest)) {
        Some(maker) => {
            verdict(Verdict::Good, "good", Some(maker), Some(signed_at), praise(maker, signed_at), None)
        }
        None => {
            let key = candidates.first().map(|one| one.key.fingerprint.to_string()).unwrap_or_default();
            let message = format!(
                "key {key} did not make it over these bytes: the file, or the signature, was changed"
            );
            let hint = hint("bad-signature");
            verdict(Verdict::Refused, "bad-signature", candidates.first(), Some(signed_at), message, hint)
        }
    }
}

/// Says plainly that a key that is over by now signed while it lived.
fn praise(maker: &Candidate, signed_at: u64) -> String {
    let key = &maker.key.fingerprint;
    let kind = if key.as_str() == maker.primary { "primary key" } else { "subkey" };
    let mut said = format!("signed {}, inside the {kind}'s validity", date(signed_at));
    if let Some(standing) = &maker.standing {
        match standing.until {
            Some(until) => said += &format!(" ({} to {})", date(standing.from), date(until)),
            None => said += &format!(" (from {}, without end)", date(standing.from)),
        }
        if let Some((at, how)) = standing.retired {
            said += &format!("; {how} since {}", date(at));
        }
    }
    said + &format!(", by {kind} {key} of {}", maker.owner)
}

fn verdict(
    verdict: Verdict,
    rule: &'static str,
    key: Option<&Candidate>,
    signed_at: Option<u64>,
    message: String,
    hint: Option<&str>,
) -> SignatureVerdict {
    SignatureVerdict {
        verdict,
        rule,
        signed_by: key.map(|key| key.primary.clone()),
        signing_subkey: key.map(|key| key.key.fingerprint.to_string()),
        signed_at: signed_at.map(rfc3339),
        name: key.map(|key| key.owner.clone()),
        message,
        hint: hint.map(str::to_owned),
    }
}

fn unknown(issuer: String, signed_at: u64, trusted: &str) -> SignatureVerdict {
    SignatureVerdict {
        verdict: Verdict::UnknownKey,
        rule: "unknown-key",
        signed_by: None,
        message: format!("it is by {issuer}, and no certificate at hand has that key; trusted are {trusted}"),
        signing_subkey: Some(issuer),
        signed_at: Some(rfc3339(signed_at)),
        name: None,
        hint: Some(
            "for a mirror or a build of your own, name its certificate: --signing-key FILE".to_owned(),
        ),
    }
}

/// What to do when that rule does not hold.
fn hint(rule: &str) -> Option<&'static str> {
    Some(match rule {
        "bad-signature" | "malformed" => {
            "download the file and its signature again; when it fails again, take another mirror or another release"
        }
        "collision" => "take another release, and tell the vendor",
        "subkey-revoked" | "primary-revoked" => {
            "take another release: a revoked key is not accepted, on any option"
        }
        "future" => "compare this machine's clock with another's",
        "hash" => "take a release that is signed with SHA-256 or better",
        "not-pinned" => "for a mirror or a build of your own, name its certificate: --signing-key FILE",
        "binding"
        | "back-signature"
        | "key-flags"
        | "signing-key-expired"
        | "primary-expired"
        | "before-key" => {
            "check the certificate; for a mirror or a build of your own, sign again with a key that may sign files"
        }
        _ => "sign again with `gpg --detach-sign`, or take the `.sig` of the release server",
    })
}

impl Verdicts {
    /// The good signature, when there is one: one is enough.
    pub fn good(&self) -> Option<&SignatureVerdict> {
        self.signatures.iter().find(|signature| signature.verdict == Verdict::Good)
    }

    /// Who signed.
    ///
    /// # Errors
    /// Refused (3): names the rule, the keys and what to do; further signatures stand as causes.
    pub fn into_signer(self) -> Result<Signer> {
        if let Some(good) = self.good() {
            return Ok(Signer {
                primary: good.signed_by.clone().unwrap_or_default(),
                subkey: good.signing_subkey.clone().unwrap_or_default(),
                signed_at: good.signed_at.clone().unwrap_or_default(),
                name: good.name.clone(),
            });
        }
        let first = self.signatures.iter().find(|signature| signature.verdict == Verdict::Refused);
        let Some(first) = first.or(self.signatures.first()) else {
            return Err(Fault::refused(format!("{} holds no signature", self.source)));
        };
        let mut fault = Fault::refused(format!(
            "the signature {} is refused ({}): {}",
            self.source, first.rule, first.message
        ));
        for other in self.signatures.iter().filter(|other| *other != first) {
            fault = fault.because(format!("another signature in it ({}): {}", other.rule, other.message));
        }
        Err(match &first.hint {
            Some(hint) => fault.hint(hint.clone()),
            None => fault,
        })
    }
}
