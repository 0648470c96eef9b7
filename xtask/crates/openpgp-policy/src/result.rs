//! The verification results of the signatures of a file, and their messages.

use coreos_types::error::{Error, Result};
use coreos_types::signer::Signer;

use super::key_validity::Violation;
use super::signature::SignaturePacket;
use super::signature_rules::Candidate;
use coreos_types::calendar::{date, rfc3339};

/// The outcome for every signature of a `.sig`, in its order.
#[derive(Debug, Clone)]
pub struct VerificationResults {
    pub(super) source: String,
    /// The reasons why no newer certificate could be fetched.
    pub(super) refresh_errors: Vec<String>,
    /// The results, at least one unless the `.sig` has no signature.
    pub signatures: Vec<SignatureResult>,
}

/// The status of one signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureStatus {
    /// The signature is valid and accepted.
    Good,
    /// A rule is violated.
    Refused,
    /// No available certificate has its key; a newer certificate may have it.
    UnknownKey,
}

impl SignatureStatus {
    /// The identifier in JSON.
    pub fn id(self) -> &'static str {
        match self {
            SignatureStatus::Good => "good",
            SignatureStatus::Refused => "refused",
            SignatureStatus::UnknownKey => "unknown-key",
        }
    }
}

/// The verification result of one signature. Fingerprints are upper-case hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureResult {
    /// The outcome.
    pub verdict: SignatureStatus,
    /// The rule that decided the outcome; SECURITY.md has the table of rules.
    pub rule: &'static str,
    /// The primary key of the certificate that has the signing key.
    pub signed_by: Option<String>,
    /// The signing key that the signature names: a fingerprint, or a key ID if the signature has only that.
    pub signing_subkey: Option<String>,
    /// The creation time in the signature, RFC 3339.
    pub signed_at: Option<String>,
    /// The signer's name in messages.
    pub name: Option<String>,
    /// The message without its subject: the finding and its reason.
    pub message: String,
    /// The suggested action.
    pub hint: Option<String>,
}

impl VerificationResults {
    /// The first good signature: one is enough; `None` if there is none.
    pub fn good(&self) -> Option<&SignatureResult> {
        self.signatures.iter().find(|signature| signature.verdict == SignatureStatus::Good)
    }

    /// The signer of the good signature.
    ///
    /// # Errors
    /// Refused (3) with the rule, the keys and a hint; further signatures are causes.
    pub fn into_signer(self) -> Result<Signer> {
        if let Some(good) = self.good() {
            return Ok(Signer {
                primary: good.signed_by.clone().unwrap_or_default(),
                subkey: good.signing_subkey.clone().unwrap_or_default(),
                signed_at: good.signed_at.clone().unwrap_or_default(),
                name: good.name.clone(),
            });
        }
        let first = self.signatures.iter().find(|signature| signature.verdict == SignatureStatus::Refused);
        let Some(first) = first.or(self.signatures.first()) else {
            return Err(Error::refused(format!("{} has no signature", self.source)));
        };
        let mut error = Error::refused(first.refusal_text(&self.source));
        for other in self.signatures.iter().filter(|other| *other != first) {
            error = error.with_cause(format!("another signature in it ({}): {}", other.rule, other.message));
        }
        if first.verdict == SignatureStatus::UnknownKey {
            error = self.refresh_errors.iter().fold(error, Error::with_cause);
        }
        Err(match &first.hint {
            Some(hint) => error.with_hint(hint.clone()),
            None => error,
        })
    }
}

impl SignatureResult {
    /// The full refusal message; includes the key even if the rule does not concern it.
    fn refusal_text(&self, source: &str) -> String {
        let key = self.signing_subkey.as_deref().filter(|key| !self.message.contains(key));
        let by = key.map(|key| format!(" by {key}")).unwrap_or_default();
        format!("the signature {source}{by} is refused ({}): {}", self.rule, self.message)
    }
}

/// Does the cryptographic check over the digest of the file, once every rule holds. Without a digest the bytes match a
/// known SHA-1 collision attack, and the signature is refused.
pub(super) fn verify_digest(
    signature: &SignaturePacket,
    signed_at: u64,
    candidates: &[Candidate],
    digest: Option<&[u8]>,
) -> SignatureResult {
    let Some(digest) = digest else {
        let message = "the file matches a known SHA-1 collision attack".to_owned();
        let hint = hint("collision");
        return signature_result(
            SignatureStatus::Refused,
            "collision",
            candidates.first(),
            Some(signed_at),
            message,
            hint,
        );
    };
    match candidates.iter().find(|candidate| candidate.key.verify_digest(signature, digest)) {
        Some(maker) => signature_result(
            SignatureStatus::Good,
            "good",
            Some(maker),
            Some(signed_at),
            validity_note(maker, signed_at),
            None,
        ),
        None => {
            let key = candidates.first().map(|one| one.key.fingerprint.to_string()).unwrap_or_default();
            let message =
                format!("key {key} did not sign these bytes: the file or the signature was changed");
            let hint = hint("bad-signature");
            signature_result(
                SignatureStatus::Refused,
                "bad-signature",
                candidates.first(),
                Some(signed_at),
                message,
                hint,
            )
        }
    }
}

/// The message of a good signature: the key's validity at signing time, also if the key has expired since.
fn validity_note(maker: &Candidate, signed_at: u64) -> String {
    let key = &maker.key.fingerprint;
    let kind = if key.as_str() == maker.primary { "primary key" } else { "subkey" };
    let mut note = format!("signed {}, within the validity of the {kind}", date(signed_at));
    if let Some(validity) = &maker.validity {
        match validity.expires {
            Some(until) => note += &format!(" ({} to {})", date(validity.created), date(until)),
            None => note += &format!(" (from {}, without end)", date(validity.created)),
        }
        if let Some((at, how)) = validity.soft_revocation {
            note += &format!("; {how} since {}", date(at));
        }
    }
    note + &format!(", by {kind} {key} of {}", maker.owner)
}

/// A result with the key, if known.
fn signature_result(
    verdict: SignatureStatus,
    rule: &'static str,
    key: Option<&Candidate>,
    signed_at: Option<u64>,
    message: String,
    hint: Option<&str>,
) -> SignatureResult {
    SignatureResult {
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

/// The result for a signature by a key that no available certificate has.
pub(super) fn unknown_key(issuer: String, signed_at: u64, trusted: &str) -> SignatureResult {
    SignatureResult {
        verdict: SignatureStatus::UnknownKey,
        rule: "unknown-key",
        signed_by: None,
        message: format!("no available certificate has its key {issuer}; trusted: {trusted}"),
        signing_subkey: Some(issuer),
        signed_at: Some(rfc3339(signed_at)),
        name: None,
        hint: Some("for your own mirror or build, pass its certificate: --signing-key FILE".to_owned()),
    }
}

/// The hint for a violated rule.
fn hint(rule: &str) -> Option<&'static str> {
    Some(match rule {
        "bad-signature" | "malformed" => {
            "download the file and its signature again; if that fails too, use another mirror or release"
        }
        "collision" => "use another release, and report it to the vendor",
        "subkey-revoked" | "primary-revoked" => "use another release: no option accepts a revoked key",
        "future" => "check the clock of this machine",
        "hash" => "use a release that is signed with SHA-256 or better",
        "not-pinned" => "for your own mirror or build, pass its certificate: --signing-key FILE",
        "weak-key" => {
            "use a release that is signed by a stronger key; for your own build, create a new key: gpg --quick-generate-key USER-ID rsa4096 sign"
        }
        "unsupported-key" => {
            "for your own build, sign with a key of a supported kind: RSA, NIST curves or Ed25519"
        }
        "binding"
        | "back-signature"
        | "key-flags"
        | "signing-key-expired"
        | "primary-expired"
        | "before-key" => {
            "check the certificate; for your own mirror or build, sign again with a key that may sign files"
        }
        _ => "sign again with `gpg --detach-sign`, or use the `.sig` of the release server",
    })
}

/// The result for a violated rule.
pub(super) fn rejected_result(
    violation: Violation,
    key: Option<&Candidate>,
    signed_at: Option<u64>,
) -> SignatureResult {
    let hint = hint(violation.rule);
    signature_result(SignatureStatus::Refused, violation.rule, key, signed_at, violation.message, hint)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::signature::DetachedSignature;
    use super::*;

    #[test]
    fn sha1_collision_is_refused() {
        let good = include_bytes!("../../../tests/fixtures/openpgp/good.sig");
        let read = DetachedSignature::parse(good, "good.sig").unwrap();
        let verdict = verify_digest(read.signatures[0].as_ref().unwrap(), 0, &[], None);
        assert_eq!((verdict.verdict, verdict.rule), (SignatureStatus::Refused, "collision"));
        assert_eq!(verdict.hint.as_deref(), Some("use another release, and report it to the vendor"));
    }
}
