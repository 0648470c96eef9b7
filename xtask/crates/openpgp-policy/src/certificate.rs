//! OpenPGP certificates (transferable public keys, RFC 9580, 10.1): parsed and grouped, not verified yet.

use std::collections::HashSet;

use coreos_types::{Error, Result};
use pgp::packet::SignatureType;
use pgp::types::Tag;

use super::certificate_file::{read_packet_bytes, secret_key_error, unreadable_error};
use super::detached_signatures::describe_format;
use super::key::Key;
use super::packet::{Packet, packets};
use super::signature::SignaturePacket;
use super::trust_policy::Fingerprint;

/// A file with certificates larger than this is refused: key servers can be flooded.
const MAX_SIZE: usize = 4 * 1024 * 1024;
/// The keys, and the user IDs, in one file. A vendor's certificate has about ten subkeys.
const MAX_KEYS: usize = 128;
const MAX_USER_IDS: usize = 1024;
/// The length of a user ID in bytes: longer ones are not printed, and lose their signatures.
pub(super) const MAX_USER_ID: usize = 2048;

/// A primary key with its signatures, user IDs and subkeys. Its fingerprint is computed from the key and can be
/// compared with a pin; everything else is accepted only after the primary key's signature over it was verified.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub(super) primary: Key,
    /// Signatures directly on the primary key: 0x1F and 0x20.
    pub(super) direct: Vec<SignaturePacket>,
    pub(super) user_ids: Vec<Component<UserId>>,
    pub(super) subkeys: Vec<Component<Key>>,
}

/// A user ID and its certifications, or a subkey and its bindings (0x18) and revocations (0x28).
#[derive(Debug, Clone)]
pub(super) struct Component<T> {
    pub(super) content: T,
    pub(super) signatures: Vec<SignaturePacket>,
}

impl<T> Component<T> {
    pub(super) fn new(content: T) -> Component<T> {
        Component { content, signatures: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct UserId {
    /// The user ID as it is hashed in certifications (RFC 9580, 5.2.4).
    pub(super) hashed_form: Vec<u8>,
    /// The text; `None` if it is not UTF-8, longer than [`MAX_USER_ID`], or has control characters, which could control
    /// the terminal.
    printable: Option<String>,
}

impl UserId {
    pub(super) fn new(octets: &[u8]) -> UserId {
        let hashed_form = [&[0xb4][..], &(octets.len() as u32).to_be_bytes(), octets].concat();
        let text = std::str::from_utf8(octets).ok().filter(|text| text.len() <= MAX_USER_ID);
        let printable = text.filter(|text| !text.chars().any(char::is_control)).map(str::to_owned);
        UserId { hashed_form, printable }
    }

    /// The packet's body as received.
    pub(super) fn octets(&self) -> &[u8] {
        &self.hashed_form[5..]
    }
}

impl Certificate {
    /// Reads exactly one certificate, armored or binary; `source` is the path or URL that messages name.
    ///
    /// # Errors
    /// Failed (2) for an unreadable file, a secret-key export, or several certificates.
    pub fn parse(bytes: &[u8], source: &str) -> Result<Certificate> {
        let mut found = Certificate::parse_all(bytes, source)?;
        match found.pop() {
            Some(certificate) if found.is_empty() => Ok(certificate),
            _ => Err(Error::failed(format!("{source} has {} certificates: expected one", found.len() + 1))),
        }
    }

    /// Reads every certificate of a file, at least one.
    ///
    /// # Errors
    /// Failed (2) for an unreadable file or a secret-key export.
    pub fn parse_all(bytes: &[u8], source: &str) -> Result<Vec<Certificate>> {
        if bytes.len() > MAX_SIZE {
            return Err(Error::failed(format!(
                "{source} has {} bytes: a certificate has far fewer",
                bytes.len()
            )));
        }
        let binary = read_packet_bytes(bytes, source)?;
        check_limits(&binary, source)?;
        let mut read: Vec<std::result::Result<Certificate, String>> = Vec::new();
        let mut component_tag = None;
        for packet in packets(&binary) {
            let Ok(packet) = packet else {
                let what =
                    if read.is_empty() { describe_format(bytes) } else { "a certificate that is cut off" };
                return Err(unreadable_error(source, &format!("it looks like {what}")));
            };
            match packet.tag {
                Tag::SecretKey | Tag::SecretSubkey => return Err(secret_key_error(source)),
                Tag::PublicKey => {
                    component_tag = Some(packet.tag);
                    read.push(Certificate::parse_primary_key(packet.body));
                }
                // RFC 9580, 5.8, 5.10 and 5.14: marker, trust and padding packets are ignored wherever they are.
                Tag::Marker | Tag::Trust | Tag::Padding => {}
                _ => match read.last_mut() {
                    Some(Ok(certificate)) => certificate.add(packet, &mut component_tag),
                    // Keyrings hold old keys too: one that cannot be parsed is skipped, unless it is the only one.
                    Some(Err(_)) => {}
                    None => return Err(unreadable_error(source, "it does not begin with a public key")),
                },
            }
        }
        let first_error = read.iter().find_map(|certificate| certificate.as_ref().err().cloned());
        let certificates: Vec<Certificate> = read.into_iter().flatten().collect();
        if certificates.is_empty() {
            let why = first_error.unwrap_or_else(|| format!("it looks like {}", describe_format(bytes)));
            return Err(unreadable_error(source, &why));
        }
        let mut certificates = merge_copies(&certificates);
        for certificate in &mut certificates {
            certificate.check_signature_count(source)?;
        }
        Ok(certificates)
    }

    /// The primary key's fingerprint, computed from the key itself.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.primary.fingerprint
    }

    /// The first printable user ID; `None` if there is none: keys.openpgp.org publishes user IDs only with their owner's
    /// consent.
    pub fn printable_user_id(&self) -> Option<&str> {
        self.user_ids.iter().find_map(|user_id| user_id.content.printable.as_deref())
    }

    /// The fingerprints of the primary key and of every subkey.
    pub fn fingerprints(&self) -> impl Iterator<Item = &Fingerprint> {
        self.keys().map(|key| &key.fingerprint)
    }

    /// The certificate in binary form without the packets that could not be parsed, as the cache stores it and as a
    /// part of the cache key.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut add = |tag, body: &[u8], signatures: &[SignaturePacket]| {
            bytes.extend(frame_packet(tag, body));
            signatures.iter().for_each(|one| bytes.extend(frame_packet(Tag::Signature, &one.raw)));
        };
        add(Tag::PublicKey, self.primary.body(), &self.direct);
        self.user_ids.iter().for_each(|one| add(Tag::UserId, one.content.octets(), &one.signatures));
        self.subkeys.iter().for_each(|one| add(Tag::PublicSubkey, one.content.body(), &one.signatures));
        bytes
    }

    /// The primary key, then every subkey.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.primary).chain(self.subkeys.iter().map(|subkey| &subkey.content))
    }

    /// Adds every signature, user ID and subkey of another copy of the same certificate, so that a key that is revoked
    /// in one copy is revoked.
    pub fn merge(&mut self, other: &Certificate) {
        if self.primary == other.primary {
            merge_signatures(&mut self.direct, &other.direct);
            merge_components(&mut self.user_ids, &other.user_ids);
            merge_components(&mut self.subkeys, &other.subkeys);
        }
    }

    /// A certificate of a primary key without any signature or component.
    fn new(primary: Key) -> Certificate {
        Certificate { primary, direct: Vec::new(), user_ids: Vec::new(), subkeys: Vec::new() }
    }

    fn parse_primary_key(body: &[u8]) -> std::result::Result<Certificate, String> {
        let primary = Key::parse(body)?;
        // The policy reports unsupported algorithms and sizes; other keys that do not parse are not keys.
        if primary.check_algorithm().is_ok() {
            primary.public_key().map_err(|why| format!("a key in it is malformed: {why}"))?;
        }
        Ok(Certificate::new(primary))
    }

    /// Adds a packet. `component_tag` is the type of the packet that the following signatures belong to; `None` after
    /// an unknown packet, whose signatures are dropped.
    fn add(&mut self, packet: Packet<'_>, component_tag: &mut Option<Tag>) {
        *component_tag = match packet.tag {
            Tag::Signature => return self.add_signature(packet.body, *component_tag),
            Tag::UserId => {
                self.user_ids.push(Component::new(UserId::new(packet.body)));
                Some(Tag::UserId)
            }
            Tag::PublicSubkey => Key::parse(packet.body).ok().map(|key| {
                self.subkeys.push(Component::new(key));
                Tag::PublicSubkey
            }),
            _ => None,
        };
    }

    /// Adds a signature to its component. Signatures that cannot be parsed, such as old versions by third parties, are
    /// ignored. A key revocation is accepted in any position, because users append it to the exported certificate.
    fn add_signature(&mut self, body: &[u8], component_tag: Option<Tag>) {
        let Ok(signature) = SignaturePacket::parse(body) else { return };
        // Third-party certifications and forged ones: the policy never looks at them, and a flooded certificate has 100,000.
        if signature.is_issued_by(&self.primary.fingerprint) == Some(false)
            || !self.primary.fits_signature_size(&signature)
        {
            return;
        }
        let signatures = match component_tag {
            _ if signature.typ == SignatureType::KeyRevocation => Some(&mut self.direct),
            Some(Tag::PublicKey) => Some(&mut self.direct),
            Some(Tag::UserId) => self.user_ids.last_mut().map(|user_id| &mut user_id.signatures),
            Some(Tag::PublicSubkey) => self.subkeys.last_mut().map(|subkey| &mut subkey.signatures),
            _ => None,
        };
        if let Some(signatures) = signatures {
            signatures.push(signature);
        }
    }
}

/// Adds the components of another copy, each once, so that no revocation is missed.
fn merge_components<T: Clone + PartialEq>(ours: &mut Vec<Component<T>>, theirs: &[Component<T>]) {
    for theirs in theirs {
        match ours.iter_mut().find(|ours| ours.content == theirs.content) {
            Some(ours) => merge_signatures(&mut ours.signatures, &theirs.signatures),
            None => ours.push(theirs.clone()),
        }
    }
}

fn merge_signatures(ours: &mut Vec<SignaturePacket>, theirs: &[SignaturePacket]) {
    let known: HashSet<&[u8]> = ours.iter().map(|our| &our.raw[..]).collect();
    let new: Vec<_> = theirs.iter().filter(|their| !known.contains(&their.raw[..])).cloned().collect();
    ours.extend(new);
}

/// Refuses a file with too many keys or user IDs, before any of them is parsed.
fn check_limits(binary: &[u8], source: &str) -> Result<()> {
    let count = |tags: &[Tag]| packets(binary).flatten().filter(|packet| tags.contains(&packet.tag)).count();
    let (keys, user_ids) = (count(&[Tag::PublicKey, Tag::PublicSubkey]), count(&[Tag::UserId]));
    if keys > MAX_KEYS || user_ids > MAX_USER_IDS {
        return Err(Error::failed(format!(
            "{source} has {keys} keys and {user_ids} user IDs: expected one certificate, or a few"
        ))
        .with_hint("export the signing key alone, for example with `gpg --armor --export FINGERPRINT`"));
    }
    Ok(())
}

/// Merges copies of the same certificate, and of the same component; the order is that of the first copies.
pub(super) fn merge_copies(certificates: &[Certificate]) -> Vec<Certificate> {
    let mut merged: Vec<Certificate> = Vec::new();
    for certificate in certificates {
        if !merged.iter().any(|known| known.primary == certificate.primary) {
            merged.push(Certificate::new(certificate.primary.clone()));
        }
        merged.iter_mut().for_each(|known| known.merge(certificate));
    }
    merged
}

/// A packet with a header in the OpenPGP format with a five-octet length (RFC 9580, 4.2.1).
fn frame_packet(tag: Tag, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&[0xc0 | u8::from(tag), 0xff][..], &length.to_be_bytes(), body].concat()
}
