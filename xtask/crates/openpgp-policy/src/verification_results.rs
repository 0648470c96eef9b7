//! The verification results of the signatures of a file, and their messages.

use coreos_types::{Error, Result, Signer, calendar::rfc3339, word_enum};

use super::certificate::Certificate;
use super::key::Key;
use super::trust_policy::TrustPolicy;
use super::violation::Violation;

/// The outcome for every signature of a `.sig`, in its order.
#[derive(Debug, Clone)]
pub struct VerificationResults {
    pub(super) source: String,
    /// The reasons why no newer certificate could be fetched.
    pub(super) refresh_errors: Vec<String>,
    /// The results, at least one unless the `.sig` has no signature.
    pub signatures: Vec<SignatureResult>,
}

word_enum! {
    /// The status of one signature. The words are those in JSON.
    SignatureStatus {
        /// The signature is valid and accepted.
        Good = "good",
        /// A rule is violated.
        Refused = "refused",
        /// No available certificate has its key; a newer certificate may have it.
        UnknownKey = "unknown-key",
    }
}

/// The verification result of one signature. Fingerprints are upper-case hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureResult {
    /// The outcome.
    pub status: SignatureStatus,
    /// The rule that decided the outcome; SECURITY.md has the table of rules.
    pub rule: &'static str,
    /// The primary key of the certificate that has the signing key.
    pub primary_key: Option<String>,
    /// The signing key that the signature names: a fingerprint, or a key ID if the signature has only that.
    pub signing_key: Option<String>,
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
    pub fn first_good(&self) -> Option<&SignatureResult> {
        self.signatures.iter().find(|signature| signature.status == SignatureStatus::Good)
    }

    /// The signer of the good signature.
    ///
    /// # Errors
    /// Refused (3) with the rule, the keys and a hint; further signatures are causes.
    pub fn into_signer(self) -> Result<Signer> {
        if let Some(good) = self.first_good() {
            return Ok(Signer {
                primary: good.primary_key.clone().unwrap_or_default(),
                signing_key: good.signing_key.clone().unwrap_or_default(),
                signed_at: good.signed_at.clone().unwrap_or_default(),
                user_id: good.name.clone(),
            });
        }
        let first = self.signatures.iter().find(|signature| signature.status == SignatureStatus::Refused);
        let Some(first) = first.or(self.signatures.first()) else {
            return Err(Error::refused(format!("{} has no signature", self.source)));
        };
        let mut error = Error::refused(first.refusal_text(&self.source));
        for other in self.signatures.iter().filter(|other| *other != first) {
            error = error.with_cause(format!("another signature in it ({}): {}", other.rule, other.message));
        }
        if first.status == SignatureStatus::UnknownKey {
            error = self.refresh_errors.iter().fold(error, Error::with_cause);
        }
        Err(first.hint.iter().fold(error, Error::with_hint))
    }
}

impl SignatureResult {
    /// A result without a key, which [`SignatureResult::with_key`] sets; only a good one has no hint.
    pub(super) fn new(
        status: SignatureStatus,
        rule: &'static str,
        message: String,
        signed_at: Option<u64>,
    ) -> SignatureResult {
        SignatureResult {
            status,
            rule,
            primary_key: None,
            signing_key: None,
            signed_at: signed_at.map(rfc3339),
            name: None,
            message,
            hint: (status != SignatureStatus::Good).then(|| hint(rule).to_owned()),
        }
    }

    /// The result for a violated rule.
    pub(super) fn refused(Violation { rule, message }: Violation, signed_at: Option<u64>) -> SignatureResult {
        SignatureResult::new(SignatureStatus::Refused, rule, message, signed_at)
    }

    /// The result for a signature by a key that no available certificate has.
    pub(super) fn unknown_key(issuer: String, signed_at: u64, policy: &TrustPolicy) -> SignatureResult {
        let trusted: Vec<_> =
            policy.pins.iter().map(|pin| format!("{} ({})", pin.name, pin.fingerprint)).collect();
        let message =
            format!("no available certificate has its key {issuer}; trusted: {}", trusted.join(", "));
        let result =
            SignatureResult::new(SignatureStatus::UnknownKey, "unknown-key", message, Some(signed_at));
        SignatureResult { signing_key: Some(issuer), ..result }
    }

    /// Sets the key that could have made the signature.
    pub(super) fn with_key(
        self,
        certificate: &Certificate,
        key: &Key,
        policy: &TrustPolicy,
    ) -> SignatureResult {
        SignatureResult {
            primary_key: Some(certificate.fingerprint().to_string()),
            signing_key: Some(key.fingerprint.to_string()),
            name: Some(policy.owner_name(certificate)),
            ..self
        }
    }

    /// Replaces the outcome by a violated rule.
    pub(super) fn with_violation(self, violation: Violation) -> SignatureResult {
        let SignatureResult { primary_key, signing_key, signed_at, name, .. } = self;
        let refused = SignatureResult::refused(violation, None);
        SignatureResult { primary_key, signing_key, signed_at, name, ..refused }
    }

    /// The full refusal message; includes the key even if the rule does not concern it.
    fn refusal_text(&self, source: &str) -> String {
        let key = self.signing_key.as_deref().filter(|key| !self.message.contains(key));
        let by = key.map(|key| format!(" by {key}")).unwrap_or_default();
        format!("the signature {source}{by} is refused ({}): {}", self.rule, self.message)
    }
}

fn hint(rule: &str) -> &'static str {
    match rule {
        "bad-signature" | "malformed" => {
            "download the file and its signature again; if that fails too, use another mirror or release"
        }
        "collision" => "use another release, and report it to the vendor",
        "subkey-revoked" | "primary-revoked" => "use another release: no option accepts a revoked key",
        "future" => "check the clock of this machine",
        "hash" => "use a release that is signed with SHA-256 or better",
        "not-pinned" | "unknown-key" => {
            "for your own mirror or build, pass its certificate: --signing-key FILE"
        }
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
    }
}
