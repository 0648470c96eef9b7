//! Hashing: ring's assembly for SHA-2, and SHA-1 with the detection of known collision attacks.

use checked_sha1::CheckedSha1;
use ring::digest::{Algorithm, Context, SHA256, SHA384, SHA512};

/// A hash algorithm that a policy can accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    /// Only under a pin that allows it.
    Sha1,
    Sha2(&'static Algorithm),
}

impl Hash {
    /// The algorithm with this number (RFC 9580, 9.5). `None`: MD5, RIPEMD-160 and SHA-224 are never accepted, and no
    /// vendor signs with SHA-3.
    pub(super) fn from_number(number: u8) -> Option<Hash> {
        match number {
            2 => Some(Hash::Sha1),
            8 => Some(Hash::Sha2(&SHA256)),
            9 => Some(Hash::Sha2(&SHA384)),
            10 => Some(Hash::Sha2(&SHA512)),
            _ => None,
        }
    }

    /// The salt length in octets of a version 6 signature with this hash (RFC 9580, table 23).
    pub(super) fn salt_length(self) -> Option<usize> {
        match self {
            Hash::Sha1 => None,
            Hash::Sha2(algorithm) => Some(algorithm.output_len() / 2),
        }
    }

    /// Starts a hash.
    pub(super) fn hasher(self) -> Hasher {
        match self {
            Hash::Sha1 => Hasher::Sha1(Box::default()),
            Hash::Sha2(algorithm) => Hasher::Sha2(Box::new(Context::new(algorithm))),
        }
    }

    /// The digest of octets; `None` if they match a known SHA-1 collision attack.
    pub(super) fn digest(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }
}

/// The usual name of a hash algorithm that is not accepted, by its number.
pub(super) fn display_name(number: u8) -> String {
    let known = match number {
        1 => "MD5",
        2 => "SHA-1",
        3 => "RIPEMD-160",
        8 => "SHA-256",
        9 => "SHA-384",
        10 => "SHA-512",
        11 => "SHA-224",
        12 => "SHA3-256",
        14 => "SHA3-512",
        _ => return format!("hash algorithm {number}"),
    };
    known.to_owned()
}

/// An incremental hash; a clone has the same state.
#[derive(Clone)]
pub(super) enum Hasher {
    Sha1(Box<CheckedSha1>),
    Sha2(Box<Context>),
}

impl Hasher {
    /// Adds octets.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha2(context) => context.update(bytes),
        }
    }

    /// The digest; `None` if the octets match a known SHA-1 collision attack.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        match self {
            Hasher::Sha1(hasher) => hasher.finish().map(Vec::from),
            Hasher::Sha2(context) => Some(context.finish().as_ref().to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn digests_equal_those_of_coreutils() {
        // printf 'hello' | sha1sum, sha256sum …
        let table = [
            (2, "AAF4C61DDCC5E8A2DABEDE0F3B482CD9AEA9434D"),
            (8, "2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824"),
        ];
        for (number, expected) in table {
            let hash = Hash::from_number(number).unwrap();
            assert_eq!(hex::encode_upper(hash.digest(b"hello").unwrap()), expected, "{number}");
        }
        let weak = [(12, "SHA3-256"), (13, "hash algorithm 13"), (14, "SHA3-512")];
        assert_eq!(
            weak.map(|(number, _)| (number, display_name(number))),
            weak.map(|(number, name)| (number, name.to_owned()))
        );
        assert!([1, 3, 11, 12, 14].into_iter().all(|number| Hash::from_number(number).is_none()));
    }
}
