//! Digests of files.

use ring::digest::SHA256;

/// The SHA-256 or SHA-512 of a file, by which reports and the cache name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256.
    Sha256([u8; 32]),
    /// SHA-512.
    Sha512([u8; 64]),
}

impl Digest {
    /// The SHA-256 of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Digest {
        let mut octets = [0; 32];
        octets.copy_from_slice(ring::digest::digest(&SHA256, bytes).as_ref());
        Digest::Sha256(octets)
    }

    /// Lower-case hexadecimal: 64 digits of a SHA-256, 128 of a SHA-512.
    pub fn hex(&self) -> String {
        hex::encode(self.octets())
    }

    /// Parses what [`Digest::hex`] returned; `None` for anything else, upper-case digits included.
    pub fn from_hex(text: &str) -> Option<Digest> {
        let digest = Digest::from_octets(&hex::decode(text).ok()?)?;
        Some(digest).filter(|_| !text.bytes().any(|byte| byte.is_ascii_uppercase()))
    }

    /// The octets: 32 of a SHA-256, 64 of a SHA-512.
    pub fn octets(&self) -> &[u8] {
        match self {
            Digest::Sha256(octets) => octets,
            Digest::Sha512(octets) => octets,
        }
    }

    /// A digest from its octets, whose number identifies the algorithm; `None` for another number.
    pub(super) fn from_octets(octets: &[u8]) -> Option<Digest> {
        let sha256 = octets.try_into().map(Digest::Sha256);
        sha256.or_else(|_| octets.try_into().map(Digest::Sha512)).ok()
    }
}

impl std::fmt::Display for Digest {
    /// The form in reports, `sha256:HEX` or `sha512:HEX`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let algorithm = match self {
            Digest::Sha256(_) => "sha256",
            Digest::Sha512(_) => "sha512",
        };
        write!(f, "{algorithm}:{}", self.hex())
    }
}
