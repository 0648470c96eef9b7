//! Signature packets of versions 4 and 6 (RFC 9580, 5.2.3).

use std::sync::{Arc, OnceLock};

use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::SignatureType;
use pgp::types::{Mpi, SignatureBytes};

use super::hash::Hash;
use super::packet::FieldReader;
use super::subpacket::{self, Subpacket, kind};
use super::trust_policy::Fingerprint;
use super::violation::Violation;

/// A parsed signature packet, or the violated rule of its format: another signature in the same file can still be
/// valid.
pub(super) type ParsedSignature = Result<SignaturePacket, Violation>;

fn malformed_violation(why: impl std::fmt::Display) -> Violation {
    Violation::new("malformed", format!("it is malformed: {why}"))
}

/// One signature packet of version 4 or 6.
#[derive(Debug, Clone)]
pub(super) struct SignaturePacket {
    pub(super) version: u8,
    pub(super) typ: SignatureType,
    pub(super) key_algorithm: u8,
    /// The hash algorithm's number; [`SignaturePacket::acceptable_hash`] returns the accepted ones.
    pub(super) hash_number: u8,
    pub(super) hashed: Vec<Subpacket>,
    pub(super) unhashed: Vec<Subpacket>,
    /// The packet's body as received.
    pub(super) raw: Vec<u8>,
    /// The number of octets of `raw`, up to the end of the hashed subpackets, that are hashed.
    hashed_length: usize,
    pub(super) digest_start: [u8; 2],
    /// The salt, which is hashed first; version 6 only.
    pub(super) salt: Vec<u8>,
    pub(super) value: SignatureBytes,
    /// Whether the certificate's key made this signature: shared by all copies of the packet, so that each is checked
    /// once in a run.
    pub(super) is_verified: Arc<OnceLock<bool>>,
}

impl SignaturePacket {
    pub(super) fn parse(body: &[u8]) -> ParsedSignature {
        let cut_off = || malformed_violation("it is cut off");
        let mut fields = FieldReader(body);
        let version = fields.octet().ok_or_else(cut_off)?;
        if !matches!(version, 4 | 6) {
            let message = format!("it is a signature of version {version}: expected version 4 or 6");
            return Err(Violation::new("version", message));
        }
        let packet = SignaturePacket::parse_fields(version, body, &mut fields).ok_or_else(cut_off)??;
        if !fields.0.is_empty() {
            return Err(malformed_violation(format!("{} bytes trail its last field", fields.0.len())));
        }
        if let Some(kind) = subpacket::find_invalid_type(&packet.hashed) {
            return Err(malformed_violation(format!("its subpackets of type {kind} contradict each other")));
        }
        let fits = |hash: Hash| hash.salt_length() == Some(packet.salt.len());
        if version == 6 && packet.acceptable_hash().is_some_and(|hash| !fits(hash)) {
            return Err(malformed_violation("its salt has the wrong length"));
        }
        Ok(packet)
    }

    /// Parses the fields after the version; `None` if the packet is cut off.
    fn parse_fields(version: u8, body: &[u8], fields: &mut FieldReader<'_>) -> Option<ParsedSignature> {
        let typ = SignatureType::from(fields.octet()?);
        let (key_algorithm, hash_number) = (fields.octet()?, fields.octet()?);
        let width = if version == 6 { 4 } else { 2 };
        let length = fields.length(width)?;
        let hashed = fields.take(length)?;
        let hashed_length = 4 + width + length;
        let length = fields.length(width)?;
        let unhashed = fields.take(length)?;
        let digest_start = fields.take(2)?.try_into().ok()?;
        let salt_length = if version == 6 { fields.octet()? } else { 0 };
        let salt = fields.take(usize::from(salt_length))?.to_vec();
        let (Some(hashed), Some(unhashed)) = (subpacket::parse(hashed), subpacket::parse(unhashed)) else {
            return Some(Err(malformed_violation("its subpackets overlap")));
        };
        let Some(value) = parse_value(key_algorithm, fields)? else {
            return Some(Err(malformed_violation(format!(
                "public-key algorithm {key_algorithm} does not sign"
            ))));
        };
        Some(Ok(SignaturePacket {
            version,
            typ,
            key_algorithm,
            hash_number,
            hashed,
            unhashed,
            raw: body.to_vec(),
            hashed_length,
            digest_start,
            salt,
            value,
            is_verified: Arc::default(),
        }))
    }

    /// The hash algorithm; `None` if it is never accepted.
    pub(super) fn acceptable_hash(&self) -> Option<Hash> {
        Hash::from_number(self.hash_number)
    }

    /// The hashed octets (RFC 9580, 5.2.4): the salt, the signed octets and this signature's own fields.
    pub(super) fn message(&self, parts: &[&[u8]]) -> Vec<u8> {
        [&self.salt, &parts.concat(), &self.trailer()[..]].concat()
    }

    /// The hash of a [`SignaturePacket::message`]; `None` for a hash that cannot be computed, and for octets that match
    /// a known SHA-1 collision.
    pub(super) fn digest(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self.acceptable_hash() {
            Some(hash) => hash.digest(message),
            None => HashAlgorithm::from(self.hash_number).digest(message).ok(),
        }
    }

    /// The length in octets of the first integer of the signature value.
    pub(super) fn first_mpi_octets(&self) -> Option<usize> {
        match &self.value {
            SignatureBytes::Mpis(integers) => integers.first().map(Mpi::len),
            SignatureBytes::Native(_) => None,
        }
    }

    /// Whether the issuer subpackets name this key; `None` without any. A fingerprint is more specific than a key ID.
    pub(super) fn is_issued_by(&self, key: &Fingerprint) -> Option<bool> {
        let (fingerprints, ids) = (self.issuer_fingerprints(), self.issuer_key_ids());
        match (fingerprints.is_empty(), ids.is_empty()) {
            (false, _) => Some(fingerprints.contains(key)),
            (true, false) => Some(ids.iter().any(|id| id == key.key_id())),
            (true, true) => None,
        }
    }

    /// Whether this certifies a user ID.
    pub(super) fn is_certification(&self) -> bool {
        (0x10..=0x13).contains(&u8::from(self.typ))
    }

    /// The octets that are hashed after the signed octets (RFC 9580, 5.2.4).
    pub(super) fn trailer(&self) -> Vec<u8> {
        let length = u32::try_from(self.hashed_length).unwrap_or(u32::MAX);
        [&self.raw[..self.hashed_length], &[self.version, 0xff], &length.to_be_bytes()].concat()
    }

    fn hashed_subpacket(&self, kind: u8) -> Option<&Subpacket> {
        self.hashed.iter().find(|packet| packet.kind == kind)
    }

    fn subpackets(&self, kind: u8) -> impl Iterator<Item = &Subpacket> {
        self.hashed.iter().chain(&self.unhashed).filter(move |packet| packet.kind == kind)
    }

    /// The creation time, Unix seconds.
    pub(super) fn created(&self) -> Option<u64> {
        self.hashed_subpacket(kind::CREATED)?.four_octet_number()
    }

    /// The expiration time of the signature itself, Unix seconds.
    pub(super) fn expires(&self) -> Option<u64> {
        let seconds =
            self.hashed_subpacket(kind::EXPIRES)?.four_octet_number().filter(|seconds| *seconds > 0)?;
        Some(self.created()? + seconds)
    }

    /// The key's lifetime in this self-signature, in seconds from the key's creation.
    pub(super) fn key_lifetime(&self) -> Option<u64> {
        self.hashed_subpacket(kind::KEY_EXPIRES)?.four_octet_number().filter(|seconds| *seconds > 0)
    }

    /// The first octet of the key flags (RFC 9580, 5.2.3.29); `None` without the subpacket.
    pub(super) fn key_flags(&self) -> Option<u8> {
        Some(self.hashed_subpacket(kind::KEY_FLAGS)?.data.first().copied().unwrap_or(0))
    }

    pub(super) fn revocation_reason(&self) -> Option<u8> {
        self.hashed_subpacket(kind::REVOCATION_REASON)?.data.first().copied()
    }

    /// The embedded signatures, of both areas: each is verified on its own.
    pub(super) fn parse_embedded_signatures(&self) -> impl Iterator<Item = ParsedSignature> {
        self.subpackets(kind::EMBEDDED).map(|packet| SignaturePacket::parse(&packet.data))
    }

    pub(super) fn issuer_fingerprints(&self) -> Vec<Fingerprint> {
        self.subpackets(kind::ISSUER_FINGERPRINT)
            .filter_map(|packet| packet.data.split_first())
            .map(|(_version, octets)| Fingerprint::from_bytes(octets))
            .collect()
    }

    /// Issuer key IDs, upper-case hex; the all-zero ID (anonymous signer) is skipped.
    pub(super) fn issuer_key_ids(&self) -> Vec<String> {
        self.subpackets(kind::ISSUER)
            .map(|packet| hex::encode_upper(&packet.data))
            .filter(|id| id.chars().any(|digit| digit != '0'))
            .collect()
    }

    /// A description of the first critical subpacket that is not supported.
    pub(super) fn unknown_critical(&self) -> Option<String> {
        self.hashed.iter().chain(&self.unhashed).find_map(Subpacket::unknown_critical)
    }
}

/// The signature value's fields (RFC 9580, 5.2.3.1 to 5.2.3.5). Outer `None`: the packet is cut off; inner
/// `None`: the algorithm does not sign.
fn parse_value(key_algorithm: u8, fields: &mut FieldReader<'_>) -> Option<Option<SignatureBytes>> {
    let integers = match key_algorithm {
        1 | 3 => 1,
        17 | 19 | 22 => 2,
        27 => return Some(Some(SignatureBytes::Native(fields.take(64)?.to_vec().into()))),
        28 => return Some(Some(SignatureBytes::Native(fields.take(114)?.to_vec().into()))),
        _ => return Some(None),
    };
    let integers: Option<Vec<Mpi>> = (0..integers).map(|_| fields.mpi().map(Mpi::from_slice)).collect();
    Some(Some(SignatureBytes::Mpis(integers?)))
}
