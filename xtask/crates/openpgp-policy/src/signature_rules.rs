//! The rules for one file signature that need no data.

use super::certificate::Certificate;
use super::hash::{self, Hash};
use super::key::Key;
use super::key_validity::{KeyValidity, PinnedCertificate};
use super::signature::{ParsedSignature, SignaturePacket};
use super::trust_policy::{CLOCK_SKEW, TrustPolicy};
use super::verification_results::{SignatureResult, SignatureStatus};
use super::violation::Violation;
use coreos_types::calendar::date;
use pgp::packet::SignatureType;

/// A signature that violates no rule; the cryptographic check needs the file.
pub(super) struct PendingSignature {
    pub(super) packet: SignaturePacket,
    pub(super) hash: Hash,
    /// The keys that could have made the signature, each with the result if it did; several only if key IDs collide.
    candidates: Vec<(Key, SignatureResult)>,
    /// The result if none of them did.
    bad: SignatureResult,
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
    let packet = read.as_ref().map_err(|violation| SignatureResult::refused(violation.clone(), None))?;
    let keys = candidate_keys(packet, certificates);
    let (signed_at, hash) = check_packet_rules(packet, policy).map_err(|violation| {
        let result = SignatureResult::refused(violation, packet.created());
        // Only the cryptographic check can choose between several keys.
        if let [(certificate, key)] = keys[..] { result.with_key(certificate, key, policy) } else { result }
    })?;
    let results = keys.into_iter().map(|(certificate, key)| {
        let result = match check_key(packet, signed_at, certificate, key, policy) {
            Ok(validity) => {
                let note = validity_note(certificate, key, &validity, signed_at, policy);
                SignatureResult::new(SignatureStatus::Good, "good", note, Some(signed_at))
            }
            Err(violation) => SignatureResult::refused(violation, Some(signed_at)),
        };
        (key.clone(), result.with_key(certificate, key, policy))
    });
    let (candidates, refused): (Vec<_>, Vec<_>) =
        results.partition(|(_, result)| result.status == SignatureStatus::Good);
    let Some((key, good)) = candidates.first() else {
        let first = refused.into_iter().next().map(|(_, result)| result);
        let unknown = || SignatureResult::unknown_key(describe_issuer(packet), signed_at, policy);
        return Err(Box::new(first.unwrap_or_else(unknown)));
    };
    let key = &key.fingerprint;
    let message = format!("key {key} did not sign these bytes: the file or the signature was changed");
    let bad = good.clone().with_violation(Violation::new("bad-signature", message));
    Ok(PendingSignature { packet: packet.clone(), hash, candidates, bad })
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
    pub(super) fn verify_digest(self, digest: Option<&[u8]>) -> SignatureResult {
        let Some(digest) = digest else {
            let violation = Violation::new("collision", "the file matches a known SHA-1 collision attack");
            return self.bad.with_violation(violation);
        };
        let mut candidates = self.candidates.into_iter();
        let signer = candidates.find(|(key, _)| key.verify(&self.packet, digest, None));
        signer.map_or(self.bad, |(_, good)| good)
    }
}

/// Checks the rules that need a key and its certificate.
fn check_key(
    packet: &SignaturePacket,
    signed_at: u64,
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
    if packet.version != key.version {
        let message = format!(
            "it is of version {} and key {} of version {}: they must be the same",
            packet.version, key.fingerprint, key.version
        );
        return Err(Violation::new("version", message));
    }
    let validity = PinnedCertificate { certificate, pin, now: policy.now, signed_at }.check_key(key)?;
    match (packet.acceptable_hash(), pin.sha1_until) {
        (Some(Hash::Sha1), None) => Err(hash_violation(packet, &format!(" under {}", pin.name))),
        (Some(Hash::Sha1), Some(end)) if signed_at >= end => {
            Err(hash_violation(packet, &format!(" under {} from {} on", pin.name, date(end))))
        }
        _ => Ok(validity),
    }
}

/// The message of a good signature: the key's validity at signing time, also if the key has expired since.
fn validity_note(
    certificate: &Certificate,
    key: &Key,
    validity: &KeyValidity,
    signed_at: u64,
    policy: &TrustPolicy,
) -> String {
    let kind = if *key == certificate.primary { "primary key" } else { "subkey" };
    let (signed, created) = (date(signed_at), date(key.created));
    let range = match validity.expires {
        Some(until) => format!("{created} to {}", date(until)),
        None => format!("from {created}, without end"),
    };
    let revoked = validity.soft_revocation.map(|one| format!("; {} since {}", one.reason, date(one.at)));
    format!(
        "signed {signed}, within the validity of the {kind} ({range}){}, by {kind} {} of {}",
        revoked.unwrap_or_default(),
        key.fingerprint,
        policy.owner_name(certificate)
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
    fn sha1_collision_is_refused_with_its_key_and_date() {
        let certificate = include_bytes!("../../../tests/fixtures/openpgp/plain.pgp");
        let certificate = Certificate::parse(certificate, "plain.pgp").unwrap();
        let good = include_bytes!("../../../tests/fixtures/openpgp/good.sig");
        let read = DetachedSignatures::parse(good, "good.sig").unwrap();
        let policy = TrustPolicy::from_certificates(std::slice::from_ref(&certificate), 1_767_268_800);
        let pending = check_rules_without_data(&read.signatures[0], &[certificate], &policy);
        let SignatureResult { primary_key, signing_key, signed_at, name, .. } =
            pending.as_ref().ok().unwrap().candidates[0].1.clone();
        assert!([&primary_key, &signing_key, &signed_at, &name].into_iter().all(Option::is_some));
        let expected = SignatureResult {
            status: SignatureStatus::Refused,
            rule: "collision",
            primary_key,
            signing_key,
            signed_at,
            name,
            message: "the file matches a known SHA-1 collision attack".to_owned(),
            hint: Some("use another release, and report it to the vendor".to_owned()),
        };
        assert_eq!(pending.ok().unwrap().verify_digest(None), expected);
    }
}
