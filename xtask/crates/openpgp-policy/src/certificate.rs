//! OpenPGP certificates (transferable public keys, RFC 9580, 10.1): read and grouped, nothing believed yet.

use std::collections::HashSet;

use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{PacketHeader, PublicKey};
use pgp::types::{Tag, VerifyingKey};
use ring::digest::{SHA256, digest};

use coreos_types::error::{Error, Result, catch_panic};

use super::armor;
use super::hash::Hash;
use super::packet::{FieldReader, Packet, packets, tag};
use super::signature::{SignaturePacket, sniff};
use super::trust::Fingerprint;

/// A file with certificates larger than this is refused: key servers can be flooded.
const MAX_SIZE: usize = 4 * 1024 * 1024;
/// Keys, and user ids, in one file. A vendor's certificate has about ten subkeys, and a key of an old kind takes
/// milliseconds to read.
const MAX_KEYS: usize = 128;
const MAX_USER_IDS: usize = 1024;
/// The signature type of a key revocation (RFC 9580, 5.2.1.11).
pub(super) const KEY_REVOCATION: u8 = 0x20;

/// A primary key with what hangs on it. Its fingerprint is computed from the key, so it may be compared with a
/// pin; every other word in it counts only once the primary key's signature over it was verified.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub(super) primary: Key,
    /// Signatures directly on the primary key: 0x1F and 0x20.
    pub(super) direct: Vec<SignaturePacket>,
    pub(super) user_ids: Vec<UserId>,
    pub(super) subkeys: Vec<Subkey>,
}

/// A user id and the certifications on it.
#[derive(Debug, Clone)]
pub(super) struct UserId {
    pub(super) text: Vec<u8>,
    pub(super) signatures: Vec<SignaturePacket>,
}

/// A subkey and the signatures on it: bindings (0x18) and revocations (0x28).
#[derive(Debug, Clone)]
pub(super) struct Subkey {
    pub(super) key: Key,
    pub(super) signatures: Vec<SignaturePacket>,
}

impl Certificate {
    /// Reads exactly one certificate, armored or binary; `source` is the path or URL that messages name.
    ///
    /// # Errors
    /// Failed (2) for what is unreadable, a secret-key export, or several certificates.
    pub fn parse(bytes: &[u8], source: &str) -> Result<Certificate> {
        let mut found = Certificate::parse_all(bytes, source)?;
        match found.pop() {
            Some(certificate) if found.is_empty() => Ok(certificate),
            _ => Err(Error::failed(format!("{source} holds {} certificates: expected one", found.len() + 1))),
        }
    }

    /// Reads every certificate of a file, at least one.
    ///
    /// # Errors
    /// Failed (2) for what is unreadable, or a secret-key export.
    pub fn parse_all(bytes: &[u8], source: &str) -> Result<Vec<Certificate>> {
        if bytes.len() > MAX_SIZE {
            return Err(Error::failed(format!(
                "{source} has {} bytes: a certificate has far fewer",
                bytes.len()
            )));
        }
        let binary = match armor::label(bytes) {
            Some(label) => dearmor(bytes, &label, source)?,
            None => bytes.to_vec(),
        };
        let mut certificates: Vec<Certificate> = Vec::new();
        let mut component = Component::Nowhere;
        check_limits(&binary, source)?;
        for packet in packets(&binary) {
            let Ok(packet) = packet else {
                let what =
                    if certificates.is_empty() { sniff(bytes) } else { "a certificate that is cut off" };
                return Err(unreadable(source, &format!("it looks like {what}")));
            };
            match packet.tag {
                tag::SECRET_KEY | tag::SECRET_SUBKEY => return Err(secret(source)),
                tag::PUBLIC_KEY => {
                    certificates.push(
                        Certificate::from_primary(packet.body).map_err(|why| unreadable(source, &why))?,
                    );
                    component = Component::Primary;
                }
                _ => match certificates.last_mut() {
                    Some(certificate) => certificate.add(packet, &mut component),
                    None => return Err(unreadable(source, "it does not begin with a public key")),
                },
            }
        }
        match certificates.is_empty() {
            true => Err(unreadable(source, &format!("it looks like {}", sniff(bytes)))),
            false => Ok(merge_copies(&certificates)),
        }
    }

    /// The primary key's fingerprint, computed from the key itself.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.primary.fingerprint
    }

    /// The first user id that can be shown, when there is one: keys.openpgp.org gives none out without its owner's
    /// consent, and one with control characters would speak to the terminal.
    pub fn name(&self) -> Option<&str> {
        let mut texts = self.user_ids.iter().filter_map(|user_id| std::str::from_utf8(&user_id.text).ok());
        texts.find(|text| !text.chars().any(char::is_control))
    }

    /// Whether it has that key, given as a fingerprint or key ID.
    pub fn has_key(&self, fingerprint_or_id: &str) -> bool {
        self.keys().any(|key| {
            key.fingerprint.as_str() == fingerprint_or_id || key.fingerprint.key_id() == fingerprint_or_id
        })
    }

    /// The certificate in binary form, less what could not be read: what a cache keeps, and what is part of its key.
    pub fn to_bytes(&self) -> Vec<u8> {
        let signatures = |all: &[SignaturePacket]| -> Vec<u8> {
            all.iter().flat_map(|signature| framed(tag::SIGNATURE, &signature.raw)).collect()
        };
        let mut bytes = [framed(tag::PUBLIC_KEY, &self.primary.body), signatures(&self.direct)].concat();
        for user_id in &self.user_ids {
            bytes.extend(framed(tag::USER_ID, &user_id.text));
            bytes.extend(signatures(&user_id.signatures));
        }
        for subkey in &self.subkeys {
            bytes.extend(framed(tag::PUBLIC_SUBKEY, &subkey.key.body));
            bytes.extend(signatures(&subkey.signatures));
        }
        bytes
    }

    /// The primary key, then every subkey.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.primary).chain(self.subkeys.iter().map(|subkey| &subkey.key))
    }

    /// Takes in every signature, user id and subkey of another copy of the same certificate. So a key that one copy
    /// knows to be revoked is revoked.
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
        Ok(Certificate { primary, direct: Vec::new(), user_ids: Vec::new(), subkeys: Vec::new() })
    }

    fn add(&mut self, packet: Packet<'_>, component: &mut Component) {
        match packet.tag {
            tag::SIGNATURE => self.add_signature(packet.body, *component),
            tag::USER_ID => *component = self.user_id_component(packet.body),
            tag::PUBLIC_SUBKEY => {
                *component =
                    Key::parse(packet.body).map_or(Component::Nowhere, |key| self.subkey_component(key))
            }
            // The trust packets of a keyring stand between a component and its signatures.
            tag::TRUST => {}
            // What we do not know has signatures of its own, which must not fall to the component before it.
            _ => *component = Component::Nowhere,
        }
    }

    /// The component of a user id; one that stands twice is one.
    fn user_id_component(&mut self, text: &[u8]) -> Component {
        let known = self.user_ids.iter().position(|user_id| user_id.text == text);
        Component::UserId(known.unwrap_or_else(|| {
            self.user_ids.push(UserId { text: text.to_vec(), signatures: Vec::new() });
            self.user_ids.len() - 1
        }))
    }

    /// The component of a subkey; one that stands twice is one, so that no revocation on it goes unseen.
    fn subkey_component(&mut self, key: Key) -> Component {
        let known = self.subkeys.iter().position(|subkey| subkey.key.fingerprint == key.fingerprint);
        Component::Subkey(known.unwrap_or_else(|| {
            self.subkeys.push(Subkey { key, signatures: Vec::new() });
            self.subkeys.len() - 1
        }))
    }

    /// Signatures that cannot be read, such as those of old versions by other people, count for nothing. A key
    /// revocation counts wherever it stands: people append the one that they kept in a drawer.
    fn add_signature(&mut self, body: &[u8], component: Component) {
        let Ok(signature) = SignaturePacket::parse(body) else { return };
        match component {
            _ if signature.typ == KEY_REVOCATION => self.direct.push(signature),
            Component::Primary => self.direct.push(signature),
            Component::UserId(at) => self.user_ids[at].signatures.push(signature),
            Component::Subkey(at) => self.subkeys[at].signatures.push(signature),
            Component::Nowhere => {}
        }
    }
}

fn merge_signatures(ours: &mut Vec<SignaturePacket>, theirs: &[SignaturePacket]) {
    let known: HashSet<&[u8]> = ours.iter().map(|our| &our.raw[..]).collect();
    let new: Vec<_> = theirs.iter().filter(|their| !known.contains(&their.raw[..])).cloned().collect();
    ours.extend(new);
}

/// Refuses a file with more keys or user ids than anybody's, before one of them is looked at.
fn check_limits(binary: &[u8], source: &str) -> Result<()> {
    let count = |tags: &[u8]| packets(binary).flatten().filter(|packet| tags.contains(&packet.tag)).count();
    let (keys, user_ids) = (count(&[tag::PUBLIC_KEY, tag::PUBLIC_SUBKEY]), count(&[tag::USER_ID]));
    if keys > MAX_KEYS || user_ids > MAX_USER_IDS {
        return Err(Error::failed(format!(
            "{source} has {keys} keys and {user_ids} user ids: expected one certificate, or a few"
        ))
        .with_hint("export the signing key alone, for example with `gpg --armor --export FINGERPRINT`"));
    }
    Ok(())
}

/// Copies of one certificate as one, in the order of first sight.
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

/// What the next signature packet belongs to.
#[derive(Clone, Copy)]
enum Component {
    Primary,
    /// The user id of this number.
    UserId(usize),
    /// The subkey of this number.
    Subkey(usize),
    Nowhere,
}

fn dearmor(bytes: &[u8], label: &str, source: &str) -> Result<Vec<u8>> {
    match label {
        "PUBLIC KEY BLOCK" => {}
        "PRIVATE KEY BLOCK" => return Err(secret(source)),
        other => return Err(unreadable(source, &format!("it is an armored PGP {other}"))),
    }
    let armored = armor::parse(bytes).map_err(|why| unreadable(source, &why))?;
    if armored.blocks.iter().any(|block| block.label == "PRIVATE KEY BLOCK") {
        return Err(secret(source));
    }
    let blocks = armored.blocks.into_iter().filter(|block| block.label == "PUBLIC KEY BLOCK");
    Ok(blocks.flat_map(|block| block.bytes).collect())
}

fn unreadable(source: &str, why: &str) -> Error {
    Error::failed(format!("{source} is no readable OpenPGP certificate: {why}"))
        .with_hint("export the public key, for example with `gpg --armor --export FINGERPRINT`")
}

fn secret(source: &str) -> Error {
    Error::failed(format!(
        "{source} is a secret-key export: a signing key is given by its public certificate"
    ))
    .with_hint(
        "export the public part with `gpg --armor --export FINGERPRINT`, and keep the secret one to yourself",
    )
}

/// A packet with a new-format header of five length raw.
fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&[0xc0 | tag, 0xff][..], &length.to_be_bytes(), body].concat()
}

/// A primary key or subkey of version 4 or 6.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) fingerprint: Fingerprint,
    pub(super) version: u8,
    /// Unix seconds.
    pub(super) created: u64,
    pub(super) algorithm: u8,
    /// The packet's body as it came: this is hashed.
    body: Vec<u8>,
    public_key: PublicKey,
}

impl Key {
    fn parse(body: &[u8]) -> std::result::Result<Key, String> {
        let mut fields = FieldReader(body);
        let (Some(version), Some(created), Some(algorithm)) =
            (fields.octet(), fields.number(4), fields.octet())
        else {
            return Err("a key in it is cut off".to_owned());
        };
        if !matches!(version, 4 | 6) {
            return Err(format!("it has a key of version {version}: expected version 4 or 6"));
        }
        let length = u32::try_from(body.len()).map_err(|error| error.to_string())?;
        // A subkey's body reads as a primary key's does; only the public_key is wanted of it.
        let header = PacketHeader::new_fixed(Tag::PublicKey, length);
        let mut rest = body;
        let read = catch_panic("the OpenPGP reader", || PublicKey::try_from_reader(header, &mut rest));
        let public_key = read
            .map_err(|fault| fault.to_string())?
            .map_err(|error| format!("a key in it is malformed: {error}"))?;
        if !rest.is_empty() {
            return Err("a key in it has trailing bytes".to_owned());
        }
        let mut key = Key {
            fingerprint: Fingerprint::from_bytes(&[]),
            version,
            created,
            algorithm,
            body: body.to_vec(),
            public_key,
        };
        key.fingerprint =
            key.computed_fingerprint().ok_or("a key in it bears the mark of a SHA-1 collision")?;
        Ok(key)
    }

    /// RFC 9580, 5.5.4: SHA-1 over version 4 keys, SHA-256 over version 6 keys.
    fn computed_fingerprint(&self) -> Option<Fingerprint> {
        let hashed = self.hashed_form();
        match self.version {
            6 => Some(Fingerprint::from_bytes(digest(&SHA256, &hashed).as_ref())),
            _ => Some(Fingerprint::from_bytes(&Hash::Sha1.digest(&[&hashed])?)),
        }
    }

    /// The key as it is hashed in signatures over it (RFC 9580, 5.2.4).
    pub(super) fn hashed_form(&self) -> Vec<u8> {
        let length = self.body.len() as u32;
        match self.version {
            6 => [&[0x9b][..], &length.to_be_bytes(), &self.body].concat(),
            _ => [&[0x99][..], &length.to_be_bytes()[2..], &self.body].concat(),
        }
    }

    /// Whether this key made `signature` over a digest that already covers the signature's trailer.
    pub(super) fn verify_digest(&self, signature: &SignaturePacket, digest: &[u8]) -> bool {
        let hash = HashAlgorithm::from(signature.hash_number);
        signature.version == self.version
            && self.has_algorithm(signature.key_algorithm)
            && digest.starts_with(&signature.digest_start)
            && catch_panic("the OpenPGP public_key", || {
                self.public_key.verify(hash, digest, &signature.value)
            })
            .is_ok_and(|verified| verified.is_ok())
    }

    /// Algorithms 1 and 3 are both RSA.
    fn has_algorithm(&self, algorithm: u8) -> bool {
        let plain = |algorithm| if algorithm == 3 { 1 } else { algorithm };
        plain(self.algorithm) == plain(algorithm)
    }

    /// Whether this key made `signature` over those raw, by any hash that can be computed at all: which hashes
    /// count is for the policy to say.
    pub(super) fn verify_parts(&self, signature: &SignaturePacket, parts: &[&[u8]]) -> bool {
        let trailer = signature.trailer();
        let all: Vec<&[u8]> =
            std::iter::once(&signature.salt[..]).chain(parts.iter().copied()).chain([&trailer[..]]).collect();
        let digest = match signature.hash() {
            Some(hash) => hash.digest(&all),
            None => HashAlgorithm::from(signature.hash_number).digest(&all.concat()).ok(),
        };
        digest.is_some_and(|digest| self.verify_digest(signature, &digest))
    }
}
