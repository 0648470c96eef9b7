//! The SHA-256 digest of a file.

/// The SHA-256 of a file, by which reports and the cache name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// The digest of `bytes`.
    pub fn compute(bytes: &[u8]) -> Sha256Digest {
        Sha256Digest::from_ring(&ring::digest::digest(&ring::digest::SHA256, bytes))
    }

    /// Lower-case hexadecimal, 64 digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Parses what [`Sha256Digest::hex`] returned; `None` for anything else, upper-case digits included.
    pub fn from_hex(text: &str) -> Option<Sha256Digest> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Sha256Digest(bytes)).filter(|_| !text.bytes().any(|byte| byte.is_ascii_uppercase()))
    }

    pub(super) fn from_ring(digest: &ring::digest::Digest) -> Sha256Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Sha256Digest(bytes)
    }
}

impl From<[u8; 32]> for Sha256Digest {
    fn from(bytes: [u8; 32]) -> Sha256Digest {
        Sha256Digest(bytes)
    }
}

impl std::fmt::Display for Sha256Digest {
    /// The form in reports, `sha256:HEX`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}
