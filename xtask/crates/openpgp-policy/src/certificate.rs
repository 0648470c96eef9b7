//! OpenPGP certificates (transferable public keys, RFC 9580, 10.1): parsed and grouped, not verified yet.

use std::collections::HashSet;

use coreos_types::error::{Error, Result};

use super::certificate_file::{dearmor, secret, unreadable};
use super::key::Key;
use super::packet::{Packet, packets, tag};
use super::signature::{SignaturePacket, sniff};
use super::trust_policy::Fingerprint;

/// A file with certificates larger than this is refused: key servers can be flooded.
const MAX_SIZE: usize = 4 * 1024 * 1024;
/// The keys, and the user IDs, in one file. A vendor's certificate has about ten subkeys.
const MAX_KEYS: usize = 128;
const MAX_USER_IDS: usize = 1024;
/// The signature type of a key revocation (RFC 9580, 5.2.1.11).
pub(super) const KEY_REVOCATION: u8 = 0x20;

/// A primary key with its signatures, user IDs and subkeys. Its fingerprint is computed from the key and can be compared
/// with a pin; everything else is accepted only after the primary key's signature over it was verified.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub(super) primary: Key,
    /// Signatures directly on the primary key: 0x1F and 0x20.
    pub(super) direct: Vec<SignaturePacket>,
    pub(super) user_ids: Vec<UserId>,
    pub(super) subkeys: Vec<Subkey>,
}

/// A user ID and its certifications.
#[derive(Debug, Clone)]
pub(super) struct UserId {
    pub(super) text: Vec<u8>,
    pub(super) signatures: Vec<SignaturePacket>,
}

impl UserId {
    /// The user ID as it is hashed in certifications (RFC 9580, 5.2.4).
    pub(super) fn hashed_form(&self) -> Vec<u8> {
        let length = (self.text.len() as u32).to_be_bytes();
        [&[0xb4][..], &length, &self.text].concat()
    }
}

/// A subkey and its signatures: bindings (0x18) and revocations (0x28).
#[derive(Debug, Clone)]
pub(super) struct Subkey {
    pub(super) key: Key,
    pub(super) signatures: Vec<SignaturePacket>,
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
        let binary = dearmor(bytes, source)?;
        let mut certificates: Vec<Certificate> = Vec::new();
        let mut component = Component::Unknown;
        // Keyrings hold old keys too: one that cannot be parsed is skipped, unless it is the only one.
        let (mut unparsed, mut is_skipped) = (None, false);
        check_limits(&binary, source)?;
        for packet in packets(&binary) {
            let Ok(packet) = packet else {
                let what = match certificates.is_empty() && unparsed.is_none() {
                    true => sniff(bytes),
                    false => "a certificate that is cut off",
                };
                return Err(unreadable(source, &format!("it looks like {what}")));
            };
            match packet.tag {
                tag::SECRET_KEY | tag::SECRET_SUBKEY => return Err(secret(source)),
                tag::PUBLIC_KEY => {
                    component = Component::Primary;
                    is_skipped = false;
                    match Certificate::from_primary(packet.body) {
                        Ok(certificate) => certificates.push(certificate),
                        Err(why) => {
                            is_skipped = true;
                            unparsed.get_or_insert(why);
                        }
                    }
                }
                // RFC 9580, 5.8, 5.10 and 5.14: marker, trust and padding packets are ignored wherever they are.
                tag::MARKER | tag::TRUST | tag::PADDING => {}
                _ if is_skipped => {}
                _ => match certificates.last_mut() {
                    Some(certificate) => certificate.add(packet, &mut component),
                    None => return Err(unreadable(source, "it does not begin with a public key")),
                },
            }
        }
        if certificates.is_empty() {
            let why = unparsed.unwrap_or_else(|| format!("it looks like {}", sniff(bytes)));
            return Err(unreadable(source, &why));
        }
        let mut certificates = merge_copies(&certificates);
        certificates.iter_mut().try_for_each(|certificate| certificate.remove_implausible(source))?;
        Ok(certificates)
    }

    /// The primary key's fingerprint, computed from the key itself.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.primary.fingerprint
    }

    /// The first user ID in UTF-8 without control characters, which could control the terminal; `None` if there is none:
    /// keys.openpgp.org publishes user IDs only with their owner's consent.
    pub fn name(&self) -> Option<&str> {
        let mut texts = self.user_ids.iter().filter_map(|user_id| std::str::from_utf8(&user_id.text).ok());
        texts.find(|text| !text.chars().any(char::is_control))
    }

    /// The fingerprints of the primary key and of every subkey.
    pub fn fingerprints(&self) -> impl Iterator<Item = &Fingerprint> {
        self.keys().map(|key| &key.fingerprint)
    }

    /// The certificate in binary form without the packets that could not be parsed, as the cache stores it and as a part
    /// of the cache key.
    pub fn to_bytes(&self) -> Vec<u8> {
        let signatures = |all: &[SignaturePacket]| -> Vec<u8> {
            all.iter().flat_map(|signature| frame_packet(tag::SIGNATURE, &signature.raw)).collect()
        };
        let mut bytes =
            [frame_packet(tag::PUBLIC_KEY, &self.primary.body), signatures(&self.direct)].concat();
        for user_id in &self.user_ids {
            bytes.extend(frame_packet(tag::USER_ID, &user_id.text));
            bytes.extend(signatures(&user_id.signatures));
        }
        for subkey in &self.subkeys {
            bytes.extend(frame_packet(tag::PUBLIC_SUBKEY, &subkey.key.body));
            bytes.extend(signatures(&subkey.signatures));
        }
        bytes
    }

    /// The primary key, then every subkey.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.primary).chain(self.subkeys.iter().map(|subkey| &subkey.key))
    }

    /// Adds every signature, user ID and subkey of another copy of the same certificate, so that a key that is revoked in
    /// one copy is revoked.
    pub fn merge(&mut self, other: &Certificate) {
        if self.primary.fingerprint != other.primary.fingerprint {
            return;
        }
        merge_signatures(&mut self.direct, &other.direct);
        for theirs in &other.user_ids {
            match self.user_ids.iter_mut().find(|ours| ours.text == theirs.text) {
                Some(ours) => merge_signatures(&mut ours.signatures, &theirs.signatures),
                None => self.user_ids.push(theirs.clone()),
            }
        }
        for theirs in &other.subkeys {
            match self.subkeys.iter_mut().find(|ours| ours.key.fingerprint == theirs.key.fingerprint) {
                Some(ours) => merge_signatures(&mut ours.signatures, &theirs.signatures),
                None => self.subkeys.push(theirs.clone()),
            }
        }
    }

    fn from_primary(body: &[u8]) -> std::result::Result<Certificate, String> {
        let primary = Key::parse(body)?;
        // The policy reports unsupported algorithms and sizes; other keys that do not parse are not keys.
        if primary.defect().is_none_or(|defect| defect.description.starts_with("malformed")) {
            primary.public_key().map_err(|why| format!("a key in it is malformed: {why}"))?;
        }
        Ok(Certificate { primary, direct: Vec::new(), user_ids: Vec::new(), subkeys: Vec::new() })
    }

    fn add(&mut self, packet: Packet<'_>, component: &mut Component) {
        match packet.tag {
            tag::SIGNATURE => self.add_signature(packet.body, *component),
            tag::USER_ID => *component = self.user_id_component(packet.body),
            tag::PUBLIC_SUBKEY => {
                *component =
                    Key::parse(packet.body).map_or(Component::Unknown, |key| self.subkey_component(key))
            }
            // The signatures of an unknown component must not be added to the component before it.
            _ => *component = Component::Unknown,
        }
    }

    /// The component of a user ID; duplicates are merged.
    fn user_id_component(&mut self, text: &[u8]) -> Component {
        let known = self.user_ids.iter().position(|user_id| user_id.text == text);
        Component::UserId(known.unwrap_or_else(|| {
            self.user_ids.push(UserId { text: text.to_vec(), signatures: Vec::new() });
            self.user_ids.len() - 1
        }))
    }

    /// The component of a subkey; duplicates are merged, so that no revocation is missed.
    fn subkey_component(&mut self, key: Key) -> Component {
        let known = self.subkeys.iter().position(|subkey| subkey.key.fingerprint == key.fingerprint);
        Component::Subkey(known.unwrap_or_else(|| {
            self.subkeys.push(Subkey { key, signatures: Vec::new() });
            self.subkeys.len() - 1
        }))
    }

    /// Adds a signature to its component. Signatures that cannot be parsed, such as old versions by third parties, are
    /// ignored. A key revocation is accepted in any position, because users append it to the exported certificate.
    fn add_signature(&mut self, body: &[u8], component: Component) {
        let Ok(signature) = SignaturePacket::parse(body) else { return };
        // Third-party certifications: the policy never looks at them, and a flooded certificate has 100,000.
        if !signature.may_be_from(&self.primary.fingerprint) {
            return;
        }
        match component {
            _ if signature.typ == KEY_REVOCATION => self.direct.push(signature),
            Component::Primary => self.direct.push(signature),
            Component::UserId(at) => self.user_ids[at].signatures.push(signature),
            Component::Subkey(at) => self.subkeys[at].signatures.push(signature),
            Component::Unknown => {}
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
    let count = |tags: &[u8]| packets(binary).flatten().filter(|packet| tags.contains(&packet.tag)).count();
    let (keys, user_ids) = (count(&[tag::PUBLIC_KEY, tag::PUBLIC_SUBKEY]), count(&[tag::USER_ID]));
    if keys > MAX_KEYS || user_ids > MAX_USER_IDS {
        return Err(Error::failed(format!(
            "{source} has {keys} keys and {user_ids} user IDs: expected one certificate, or a few"
        ))
        .with_hint("export the signing key alone, for example with `gpg --armor --export FINGERPRINT`"));
    }
    Ok(())
}

/// Merges copies of the same certificate; the order is that of the first copies.
pub(super) fn merge_copies(certificates: &[Certificate]) -> Vec<Certificate> {
    let mut merged: Vec<Certificate> = Vec::new();
    for certificate in certificates {
        match merged.iter_mut().find(|known| known.fingerprint() == certificate.fingerprint()) {
            Some(known) => known.merge(certificate),
            None => merged.push(certificate.clone()),
        }
    }
    merged
}

/// The component that the next signature packet belongs to.
#[derive(Clone, Copy)]
enum Component {
    Primary,
    /// The user ID with this index.
    UserId(usize),
    /// The subkey with this index.
    Subkey(usize),
    /// An unknown component, or one that is not supported; its signatures are ignored.
    Unknown,
}

/// A packet with a header in the OpenPGP format with a five-octet length (RFC 9580, 4.2.1).
fn frame_packet(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&[0xc0 | tag, 0xff][..], &length.to_be_bytes(), body].concat()
}
