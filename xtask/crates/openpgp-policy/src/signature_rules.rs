//! The rules for one file signature that need no data.

use super::certificate::Certificate;
use super::hash::{self, Hash};
use super::key::Key;
use super::key_validity::{KeyValidity, PinnedCertificate, Violation};
use super::signature::{ParsedSignature, SignaturePacket, SignatureParseError};
use super::trust_policy::{CLOCK_SKEW, Pin, TrustPolicy};
use coreos_types::calendar::date;

/// The signature type of a binary document.
const BINARY: u8 = 0x00;

/// The outcome of the checks of one signature that need no data.
pub(super) enum Evaluation {
    /// A rule is violated; `key` is set if known.
    Rejected { violation: Violation, key: Option<Box<Candidate>>, signed_at: Option<u64> },
    /// No certificate available has its key.
    UnknownIssuer { issuer: String, signed_at: u64 },
    /// Every rule holds, and the cryptographic check needs the file; several keys only if key IDs collide.
    NeedsData { signature: Box<SignaturePacket>, hash: Hash, signed_at: u64, candidates: Vec<Candidate> },
}

/// A key that could have made the signature.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) key: Key,
    pub(super) primary: String,
    pub(super) owner: String,
    /// `None` if a rule is violated, or was not checked yet.
    pub(super) validity: Option<KeyValidity>,
}

/// Checks every rule that needs no data, in the order: format, date, hash, key, then the key's validity.
pub(super) fn evaluate(
    read: &ParsedSignature,
    certificates: &[Certificate],
    policy: &TrustPolicy,
) -> Evaluation {
    let signature = match read {
        Ok(signature) => signature,
        Err(unreadable) => {
            return Evaluation::Rejected {
                violation: format_violation(unreadable),
                key: None,
                signed_at: None,
            };
        }
    };
    let keys = candidate_keys(signature, certificates);
    let rejected = |violation: Violation| {
        // Only the cryptographic check can choose between several keys.
        let sole = if let [(certificate, key)] = keys[..] {
            Some(candidate(certificate, key, policy))
        } else {
            None
        };
        Evaluation::Rejected { violation, key: sole.map(Box::new), signed_at: signature.created() }
    };
    let (signed_at, hash) = match check_signature(signature, policy) {
        Ok(found) => found,
        Err(violation) => return rejected(violation),
    };
    if keys.is_empty() {
        return Evaluation::UnknownIssuer { issuer: issuer_id(signature), signed_at };
    }
    let mut candidates = Vec::new();
    let mut first_violation = None;
    for &(certificate, key) in &keys {
        let pin = policy.pin(certificate.fingerprint());
        let mut candidate = candidate(certificate, key, policy);
        match check_key(signature, hash, signed_at, &KeyContext { certificate, key, pin, now: policy.now }) {
            Ok(validity) => {
                candidate.validity = Some(validity);
                candidates.push(candidate);
            }
            Err(violation) => {
                first_violation.get_or_insert((violation, candidate));
            }
        }
    }
    match first_violation {
        Some((violation, key)) if candidates.is_empty() => {
            Evaluation::Rejected { violation, key: Some(Box::new(key)), signed_at: Some(signed_at) }
        }
        _ => Evaluation::NeedsData { signature: Box::new(signature.clone()), hash, signed_at, candidates },
    }
}

fn candidate(certificate: &Certificate, key: &Key, policy: &TrustPolicy) -> Candidate {
    let pinned = policy.pin(certificate.fingerprint()).map(|pin| pin.name.clone());
    Candidate {
        key: key.clone(),
        primary: certificate.fingerprint().to_string(),
        owner: pinned.or(certificate.name().map(str::to_owned)).unwrap_or_default(),
        validity: None,
    }
}

fn format_violation(unreadable: &SignatureParseError) -> Violation {
    match unreadable {
        SignatureParseError::Version(version) => Violation::new(
            "version",
            format!("it is a signature of version {version}: expected version 4 or 6"),
        ),
        SignatureParseError::Malformed(why) => Violation::new("malformed", format!("it is malformed: {why}")),
    }
}

/// Checks the rules that need only the signature packet; returns its creation time and hash.
fn check_signature(signature: &SignaturePacket, policy: &TrustPolicy) -> Result<(u64, Hash), Violation> {
    if signature.typ != BINARY {
        let message = format!(
            "it is a signature of type 0x{:02X} ({}): expected type 0x00, over a binary document",
            signature.typ,
            type_name(signature.typ)
        );
        return Err(Violation::new("type", message));
    }
    if let Some(what) = signature.unknown_critical() {
        return Err(Violation::new("critical-subpacket", format!("it has {what}, which is not supported")));
    }
    let Some(created) = signature.created() else {
        return Err(Violation::new("no-date", "it has no creation time".to_owned()));
    };
    if created > policy.now.saturating_add(CLOCK_SKEW) {
        let message = format!("its creation time {} is in the future", date(created));
        return Err(Violation::new("future", message));
    }
    if let Some(end) = signature.expires().filter(|end| *end <= policy.now) {
        let message = format!("it was made on {} and expired on {}", date(created), date(end));
        return Err(Violation::new("signature-expired", message));
    }
    match signature.hash() {
        Some(hash) => Ok((created, hash)),
        None => Err(weak_hash(signature, "")),
    }
}

struct KeyContext<'a> {
    certificate: &'a Certificate,
    key: &'a Key,
    pin: Option<&'a Pin>,
    now: u64,
}

/// Checks the rules that need the key and its certificate.
fn check_key(
    signature: &SignaturePacket,
    hash: Hash,
    at: u64,
    context: &KeyContext<'_>,
) -> Result<KeyValidity, Violation> {
    let KeyContext { certificate, key, .. } = *context;
    let Some(pin) = context.pin else {
        let message = format!(
            "key {} belongs to primary key {}, which is not trusted",
            key.fingerprint,
            certificate.fingerprint()
        );
        return Err(Violation::new("not-pinned", message));
    };
    if signature.version != key.version {
        let message = format!(
            "it is of version {} and key {} of version {}: they must be the same",
            signature.version, key.fingerprint, key.version
        );
        return Err(Violation::new("version", message));
    }
    let validity = PinnedCertificate { certificate, pin, now: context.now }.check_key(key, at)?;
    match (hash, pin.sha1_until) {
        (Hash::Sha1, None) => Err(weak_hash(signature, &format!(" under {}", pin.name))),
        (Hash::Sha1, Some(end)) if at >= end => {
            Err(weak_hash(signature, &format!(" under {} from {} on", pin.name, date(end))))
        }
        _ => Ok(validity),
    }
}

fn weak_hash(signature: &SignaturePacket, limit: &str) -> Violation {
    let message = format!(
        "it is made with {}, which is not accepted{limit}",
        hash::display_name(signature.hash_number)
    );
    Violation::new("hash", message)
}

/// The keys that the signature names; if it names none, every key of its version.
fn candidate_keys<'a>(
    signature: &SignaturePacket,
    certificates: &'a [Certificate],
) -> Vec<(&'a Certificate, &'a Key)> {
    let (fingerprints, ids) = (signature.issuer_fingerprints(), signature.issuer_key_ids());
    let is_named = |key: &Key| match (fingerprints.is_empty(), ids.is_empty()) {
        (false, _) => fingerprints.iter().any(|(_, fingerprint)| *fingerprint == key.fingerprint),
        (true, false) => ids.iter().any(|id| id == key.fingerprint.key_id()),
        (true, true) => key.version == signature.version,
    };
    let all =
        certificates.iter().flat_map(|certificate| certificate.keys().map(move |key| (certificate, key)));
    all.filter(|(_, key)| is_named(key)).collect()
}

/// The issuer's fingerprint or key ID in the signature.
fn issuer_id(signature: &SignaturePacket) -> String {
    let fingerprint =
        signature.issuer_fingerprints().into_iter().next().map(|(_, fingerprint)| fingerprint.to_string());
    fingerprint
        .or_else(|| signature.issuer_key_ids().into_iter().next())
        .unwrap_or_else(|| "no key it names".to_owned())
}

fn type_name(kind: u8) -> &'static str {
    match kind {
        0x01 => "over a text, with line ends changed",
        0x02 => "standalone",
        0x10..=0x13 => "certifies a user id",
        0x18 | 0x19 => "binds a subkey",
        0x1f => "over a key",
        0x20 | 0x28 | 0x30 => "revokes",
        0x40 => "a timestamp",
        0x50 => "confirms another signature",
        _ => "of no known meaning",
    }
}
