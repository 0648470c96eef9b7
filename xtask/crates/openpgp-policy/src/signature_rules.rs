//! The rules for one file signature that need no data.

use super::certificate::Certificate;
use super::hash::{self, Hash};
use super::key::Key;
use super::key_validity::{KeyValidity, PinnedCertificate};
use super::signature::{ParsedSignature, SignaturePacket};
use super::trust_policy::{CLOCK_SKEW, TrustPolicy};
use super::verification_results::{CandidateKey, SignatureResult, SignatureStatus};
use super::violation::Violation;
use coreos_types::calendar::date;
use pgp::packet::SignatureType;

/// A signature that violates no rule; the cryptographic check needs the file.
pub(super) struct PendingSignature {
    pub(super) packet: SignaturePacket,
    pub(super) hash: Hash,
    pub(super) signed_at: u64,
    /// The keys that could have made the signature; several only if key IDs collide.
    pub(super) candidates: Vec<(CandidateKey, KeyValidity)>,
}

/// Checks every rule that needs no data, in the order: format, date, hash, key, then the key's validity.
///
/// # Errors
/// The result of a signature that violates a rule, or whose key no certificate has.
pub(super) fn check_rules_without_data(
    read: &ParsedSignature,
    certificates: &[Certificate],
    policy: &TrustPolicy,
) -> Result<PendingSignature, Box<SignatureResult>> {
    let packet =
        read.as_ref().map_err(|violation| SignatureResult::refused(violation.clone(), None, None))?;
    let keys = candidate_keys(packet, certificates);
    let (signed_at, hash) = check_packet_rules(packet, policy).map_err(|violation| {
        // Only the cryptographic check can choose between several keys.
        let sole = if let [(certificate, key)] = keys[..] { Some((certificate, key)) } else { None };
        let sole = sole.map(|(certificate, key)| CandidateKey::new(certificate, key, policy));
        SignatureResult::refused(violation, sole.as_ref(), packet.created())
    })?;
    if keys.is_empty() {
        return Err(SignatureResult::unknown_key(describe_issuer(packet), signed_at, policy));
    }
    let mut pending = PendingSignature { packet: packet.clone(), hash, signed_at, candidates: Vec::new() };
    let mut first_refused = None;
    for (certificate, key) in keys {
        let candidate = CandidateKey::new(certificate, key, policy);
        match pending.check_key(certificate, key, policy) {
            Ok(validity) => pending.candidates.push((candidate, validity)),
            Err(violation) => {
                first_refused.get_or_insert_with(|| {
                    SignatureResult::refused(violation, Some(&candidate), Some(signed_at))
                });
            }
        }
    }
    match first_refused {
        Some(rejected) if pending.candidates.is_empty() => Err(rejected),
        _ => Ok(pending),
    }
}

/// Checks the rules that need only the signature packet; returns its creation time and hash.
fn check_packet_rules(signature: &SignaturePacket, policy: &TrustPolicy) -> Result<(u64, Hash), Violation> {
    if signature.typ != SignatureType::Binary {
        let message = format!(
            "it is a signature of type 0x{:02X} ({}): expected type 0x00, over a binary document",
            u8::from(signature.typ),
            describe_type(signature.typ)
        );
        return Err(Violation::new("type", message));
    }
    if let Some(what) = signature.unknown_critical() {
        return Err(Violation::new("critical-subpacket", format!("it has {what}, which is not supported")));
    }
    let Some(created) = signature.created() else {
        return Err(Violation::new("no-date", "it has no creation time"));
    };
    if created > policy.now.saturating_add(CLOCK_SKEW) {
        let message = format!("its creation time {} is in the future", date(created));
        return Err(Violation::new("future", message));
    }
    if let Some(end) = signature.expires().filter(|end| *end <= policy.now) {
        let message = format!("it was made on {} and expired on {}", date(created), date(end));
        return Err(Violation::new("signature-expired", message));
    }
    Ok((created, signature.acceptable_hash().ok_or_else(|| hash_violation(signature, ""))?))
}

impl PendingSignature {
    /// Does the cryptographic check over the digest of the file. Without a digest the bytes match a known SHA-1
    /// collision attack, and the signature is refused.
    pub(super) fn verify_digest(&self, digest: Option<&[u8]>) -> SignatureResult {
        let has_signed = |key: &Key| digest.is_some_and(|digest| key.verify(&self.packet, digest, None));
        if let Some((signer, validity)) = self.candidates.iter().find(|(one, _)| has_signed(&one.key)) {
            let note = validity_note(signer, validity, self.signed_at);
            let good = SignatureStatus::Good;
            return SignatureResult::new(good, "good", note, Some(signer), Some(self.signed_at));
        }
        let first = self.candidates.first().map(|(candidate, _)| candidate);
        let violation = match digest {
            None => Violation::new("collision", "the file matches a known SHA-1 collision attack"),
            Some(_) => {
                let key = first.map(|one| one.key.fingerprint.to_string()).unwrap_or_default();
                let message =
                    format!("key {key} did not sign these bytes: the file or the signature was changed");
                Violation::new("bad-signature", message)
            }
        };
        *SignatureResult::refused(violation, first, Some(self.signed_at))
    }

    fn check_key(
        &self,
        certificate: &Certificate,
        key: &Key,
        policy: &TrustPolicy,
    ) -> Result<KeyValidity, Violation> {
        let Some(pin) = policy.pin(certificate.fingerprint()) else {
            let message = format!(
                "key {} belongs to primary key {}, which is not trusted",
                key.fingerprint,
                certificate.fingerprint()
            );
            return Err(Violation::new("not-pinned", message));
        };
        if self.packet.version != key.version {
            let message = format!(
                "it is of version {} and key {} of version {}: they must be the same",
                self.packet.version, key.fingerprint, key.version
            );
            return Err(Violation::new("version", message));
        }
        let (now, signed_at) = (policy.now, self.signed_at);
        let validity = PinnedCertificate { certificate, pin, now, signed_at }.check_key(key)?;
        match (self.hash, pin.sha1_until) {
            (Hash::Sha1, None) => Err(hash_violation(&self.packet, &format!(" under {}", pin.name))),
            (Hash::Sha1, Some(end)) if self.signed_at >= end => {
                Err(hash_violation(&self.packet, &format!(" under {} from {} on", pin.name, date(end))))
            }
            _ => Ok(validity),
        }
    }
}

/// The message of a good signature: the key's validity at signing time, also if the key has expired since.
fn validity_note(signer: &CandidateKey, validity: &KeyValidity, signed_at: u64) -> String {
    let key = &signer.key.fingerprint;
    let kind = if key.as_str() == signer.primary { "primary key" } else { "subkey" };
    let (signed, created) = (date(signed_at), date(signer.key.created));
    let range = match validity.expires {
        Some(until) => format!("{created} to {}", date(until)),
        None => format!("from {created}, without end"),
    };
    let revoked = validity.soft_revocation.map(|one| format!("; {} since {}", one.reason, date(one.at)));
    format!(
        "signed {signed}, within the validity of the {kind} ({range}){}, by {kind} {key} of {}",
        revoked.unwrap_or_default(),
        signer.owner
    )
}

fn hash_violation(signature: &SignaturePacket, limit: &str) -> Violation {
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
    let is_named =
        |key: &Key| signature.is_issued_by(&key.fingerprint).unwrap_or(key.version == signature.version);
    let all =
        certificates.iter().flat_map(|certificate| certificate.keys().map(move |key| (certificate, key)));
    all.filter(|(_, key)| is_named(key)).collect()
}

/// The issuer's fingerprint or key ID in the signature.
fn describe_issuer(signature: &SignaturePacket) -> String {
    let fingerprints = signature.issuer_fingerprints().into_iter().map(|fingerprint| fingerprint.to_string());
    fingerprints.chain(signature.issuer_key_ids()).next().unwrap_or_else(|| "no key it names".to_owned())
}

fn describe_type(typ: SignatureType) -> &'static str {
    match u8::from(typ) {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::DetachedSignatures;
    use super::*;

    #[test]
    fn sha1_collision_is_refused() {
        let good = include_bytes!("../../../tests/fixtures/openpgp/good.sig");
        let read = DetachedSignatures::parse(good, "good.sig").unwrap();
        let packet = read.signatures[0].clone().unwrap();
        let hash = packet.acceptable_hash().unwrap();
        let pending = PendingSignature { packet, hash, signed_at: 0, candidates: Vec::new() };
        let result = pending.verify_digest(None);
        assert_eq!((result.status, result.rule), (SignatureStatus::Refused, "collision"));
        assert_eq!(result.hint.as_deref(), Some("use another release, and report it to the vendor"));
    }
}
