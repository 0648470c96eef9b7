//! Public keys of versions 4 and 6 (RFC 9580, 5.5.2): fingerprint, algorithm, size, and the cryptographic check.

use std::sync::{Arc, OnceLock};

use pgp::packet::{PacketHeader, PublicKey};
use pgp::types::Tag;
use ring::digest::SHA256;

use super::hash::Hash;
use super::packet::FieldReader;
use super::public_key_check::{verify_ed25519, verify_rsa, verify_with_pgp};
use super::signature::SignaturePacket;
use super::trust_policy::Fingerprint;
use super::violation::Violation;
use coreos_types::error::catch_panic;

/// RSA and DSA keys with fewer bits are refused (NIST SP 800-131A; Sequoia's standard policy).
const MIN_BITS: usize = 2048;
/// RSA keys with more bits are refused: the pgp crate and ring read no longer ones, and a check would take long.
const MAX_BITS: usize = 8192;

/// The octets of a key; a longer one is malformed, because each signature over a key hashes it. RSA with 8,192 bits has
/// about 1,040.
const MAX_LENGTH: usize = 4096;

/// A primary key or subkey of version 4 or 6.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) fingerprint: Fingerprint,
    pub(super) version: u8,
    /// Unix seconds.
    pub(super) created: u64,
    pub(super) algorithm: u8,
    /// The key as it is hashed in signatures over it (RFC 9580, 5.2.4): the packet's body as received after its length.
    pub(super) hashed_form: Vec<u8>,
    /// Parsed when a signature is checked for the first time: a server may send hundreds of keys that cost
    /// milliseconds each.
    public_key: Arc<OnceLock<Result<PublicKey, String>>>,
}

impl Key {
    /// Parses the body of a key packet; the algorithm's own fields are read when they are needed.
    pub(super) fn parse(body: &[u8]) -> Result<Key, String> {
        let mut fields = FieldReader(body);
        let (Some(version), Some(created), Some(algorithm)) =
            (fields.octet(), fields.number(4), fields.octet())
        else {
            return Err("a key in it is cut off".to_owned());
        };
        if !matches!(version, 4 | 6) {
            return Err(format!("it has a key of version {version}: expected version 4 or 6"));
        }
        if body.len() > MAX_LENGTH {
            return Err(format!("a key in it has {} bytes: expected at most {MAX_LENGTH}", body.len()));
        }
        let length = (body.len() as u32).to_be_bytes();
        let hashed_form = match version {
            6 => [&[0x9b][..], &length, body].concat(),
            _ => [&[0x99][..], &length[2..], body].concat(),
        };
        // RFC 9580, 5.5.4: SHA-1 over version 4 keys, SHA-256 over version 6 keys.
        let hash = if version == 6 { Hash::Sha2(&SHA256) } else { Hash::Sha1 };
        let fingerprint = hash.digest(&hashed_form).ok_or("a key in it matches a known SHA-1 collision")?;
        Ok(Key {
            fingerprint: Fingerprint::from_bytes(&fingerprint),
            version,
            created,
            algorithm,
            hashed_form,
            public_key: Arc::default(),
        })
    }

    /// The packet's body as received.
    pub(super) fn body(&self) -> &[u8] {
        &self.hashed_form[if self.version == 6 { 5 } else { 3 }..]
    }

    /// Checks that this key can make signatures; messages name it as `what`. Keys that only encrypt are left to the key
    /// flags.
    pub(super) fn check_usable(&self, what: &str) -> Result<(), Violation> {
        let malformed = |why| Violation::new("unsupported-key", format!("malformed: {why}"));
        self.check_algorithm().and_then(|()| self.public_key().map(drop).map_err(malformed)).map_err(
            |Violation { rule, message }| {
                Violation::new(rule, format!("{what} {} is {message}", self.fingerprint))
            },
        )
    }

    /// Checks algorithm and size, without parsing the key. The message describes the key, such as `RSA with 1024 bits`.
    pub(super) fn check_algorithm(&self) -> Result<(), Violation> {
        let unsupported = |description: String| Err(Violation::new("unsupported-key", description));
        match self.algorithm {
            1 | 3 | 17 => {
                let (name, max) = if self.algorithm == 17 { ("DSA", 4096) } else { ("RSA", MAX_BITS) };
                match self.first_mpi_bits() {
                    bits if bits < MIN_BITS => {
                        let message = format!("{name} with {bits} bits: expected at least {MIN_BITS}");
                        Err(Violation::new("weak-key", message))
                    }
                    bits if bits > max => {
                        unsupported(format!("{name} with {bits} bits: expected at most {max}"))
                    }
                    _ => Ok(()),
                }
            }
            19 | 22 => {
                let name = if self.algorithm == 19 { "ECDSA" } else { "EdDSA" };
                match self.curve_oid().map(unsupported_curve) {
                    Some(None) => Ok(()),
                    Some(Some(curve)) => unsupported(format!("{name} on curve {curve}")),
                    None => unsupported(format!("{name} without a curve")),
                }
            }
            2 | 16 | 18 | 25..=28 => Ok(()),
            other => unsupported(format!("public-key algorithm {other}")),
        }
    }

    pub(super) fn algorithm_fields(&self) -> FieldReader<'_> {
        let header = if self.version == 6 { 10 } else { 6 };
        FieldReader(self.body().get(header..).unwrap_or_default())
    }

    /// The bits of the modulus (RSA) or prime (DSA), without leading zeros.
    fn first_mpi_bits(&self) -> usize {
        let magnitude = self.algorithm_fields().mpi().unwrap_or_default();
        let digits = &magnitude[magnitude.iter().take_while(|octet| **octet == 0).count()..];
        digits.first().map_or(0, |first| digits.len() * 8 - first.leading_zeros() as usize)
    }

    fn curve_oid(&self) -> Option<&[u8]> {
        let mut fields = self.algorithm_fields();
        let length = fields.octet()?;
        fields.take(usize::from(length))
    }

    /// Whether a signature value has the size that this key makes: a cheap check that rejects many forged ones.
    pub(super) fn fits_signature_size(&self, signature: &SignaturePacket) -> bool {
        let bits = self.first_mpi_bits();
        // The chance that a real RSA value has 64 leading zero bits is 2^-64.
        !matches!(self.algorithm, 1 | 3)
            || signature
                .first_mpi_octets()
                .is_some_and(|octets| (bits.saturating_sub(64)..bits + 8).contains(&(octets * 8)))
    }

    /// The key as the pgp crate reads it.
    pub(super) fn public_key(&self) -> Result<&PublicKey, String> {
        let parse = || {
            let mut rest = self.body();
            // A subkey's body has the format of a primary key's; only the cryptographic check is used.
            let header = PacketHeader::new_fixed(Tag::PublicKey, rest.len() as u32);
            let read = catch_panic("the OpenPGP parser", || PublicKey::try_from_reader(header, &mut rest));
            let key = read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
            if rest.is_empty() { Ok(key) } else { Err("trailing bytes".to_owned()) }
        };
        self.public_key.get_or_init(parse).as_ref().map_err(Clone::clone)
    }

    /// Whether this key made `signature`, a part of its certificate, over these octets, with any hash that can be
    /// computed: the policy decides which hashes are accepted. The outcome is cached in the packet.
    pub(super) fn verify_with_any_hash(&self, signature: &SignaturePacket, parts: &[&[u8]]) -> bool {
        let verify = || {
            let message = signature.message(parts);
            let digest = signature.digest(&message);
            digest.is_some_and(|digest| self.verify(signature, &digest, Some(&message)))
        };
        *signature.is_verified.get_or_init(verify)
    }

    /// Whether this key made `signature` over a digest that already covers the signature's trailer. With the hashed octets,
    /// if they are known, ring checks RSA signatures.
    pub(super) fn verify(&self, signature: &SignaturePacket, digest: &[u8], message: Option<&[u8]>) -> bool {
        #[cfg(test)]
        VERIFICATIONS.set(VERIFICATIONS.get() + 1);
        // Algorithms 1 and 3 are both RSA.
        let plain = |algorithm| if algorithm == 3 { 1 } else { algorithm };
        signature.version == self.version
            && plain(self.algorithm) == plain(signature.key_algorithm)
            && digest.starts_with(&signature.digest_start)
            && self.fits_signature_size(signature)
            && self.public_key().is_ok_and(|key| {
                message.is_some_and(|message| verify_rsa(self.algorithm_fields(), signature, message))
                    || verify_ed25519(key, signature, digest)
                        .unwrap_or_else(|| verify_with_pgp(key, signature, digest))
            })
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.fingerprint == other.fingerprint
    }
}

#[cfg(test)]
thread_local! {
    /// The calls of [`Key::verify`] in this thread.
    pub(super) static VERIFICATIONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The name of the curve of an object identifier; `None` for those that are supported.
fn unsupported_curve(oid: &[u8]) -> Option<String> {
    match oid {
        // P-256, P-384, P-521 and Ed25519.
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]
        | [0x2b, 0x81, 0x04, 0x00, 0x22 | 0x23]
        | [0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01] => None,
        [0x2b, 0x65, 0x71] => Some("Ed448".to_owned()),
        [0x2b, 0x81, 0x04, 0x00, 0x0a] => Some("secp256k1".to_owned()),
        // RFC 5639: versionOne, in the order of its curves.
        [0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, number @ 1..=14] => {
            let bits = [160, 192, 224, 256, 320, 384, 512][usize::from(number - 1) / 2];
            Some(format!("brainpoolP{bits}{}1", if number % 2 == 1 { "r" } else { "t" }))
        }
        other => Some(format!("with the OID {}", hex::encode(other))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(algorithm: u8, material: &[u8]) -> Key {
        Key::parse(&[&[4, 0, 0, 0, 1, algorithm][..], material].concat()).unwrap()
    }

    fn mpi(bits: u16) -> Vec<u8> {
        let mut octets = vec![0xff; usize::from(bits.div_ceil(8))];
        octets[0] = 0xff >> ((8 - bits % 8) % 8);
        [&bits.to_be_bytes()[..], &octets].concat()
    }

    #[test]
    fn key_of_any_length_is_not_hashed() {
        let error = Key::parse(&[&[4, 0, 0, 0, 1, 1][..], &vec![0; MAX_LENGTH]].concat()).unwrap_err();
        assert_eq!(error, "a key in it has 4102 bytes: expected at most 4096");
    }

    #[test]
    fn weak_and_unsupported_keys_are_described() {
        let brainpool = [&[9][..], &[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7], &[0, 8, 4]].concat();
        let table = [
            (1, mpi(1024), "weak-key", "RSA with 1024 bits: expected at least 2048"),
            (3, mpi(2047), "weak-key", "RSA with 2047 bits: expected at least 2048"),
            (17, mpi(1024), "weak-key", "DSA with 1024 bits: expected at least 2048"),
            (1, mpi(8193), "unsupported-key", "RSA with 8193 bits: expected at most 8192"),
            (19, brainpool, "unsupported-key", "ECDSA on curve brainpoolP256r1"),
            (19, [&[5][..], &[0x2b, 0x81, 4, 0, 10]].concat(), "unsupported-key", "ECDSA on curve secp256k1"),
            (22, vec![3, 1, 2, 3], "unsupported-key", "EdDSA on curve with the OID 010203"),
            (99, Vec::new(), "unsupported-key", "public-key algorithm 99"),
        ];
        for (algorithm, material, rule, description) in table {
            let defect = key(algorithm, &material).check_algorithm().unwrap_err();
            assert_eq!((defect.rule, defect.message.as_str()), (rule, description));
        }
        // A number that claims more bits than it has.
        let padded = [&2048_u16.to_be_bytes()[..], &[0; 255], &[1]].concat();
        assert_eq!(key(1, &padded).check_algorithm().unwrap_err().rule, "weak-key");
    }
}
