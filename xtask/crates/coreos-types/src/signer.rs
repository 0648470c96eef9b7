//! The signer of a file.

/// The signer of a file. Fingerprints are upper-case hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Fingerprint of the primary key, to which trust is pinned.
    pub primary: String,
    /// Fingerprint of the key that made the signature.
    pub signing_key: String,
    /// Signature creation time, RFC 3339 in UTC.
    pub signed_at: String,
    /// First user id of the certificate, if it has one.
    pub user_id: Option<String>,
}

impl Signer {
    /// `primary key` or `subkey`: which kind of key made the signature.
    pub fn key_kind(&self) -> &'static str {
        if self.signing_key == self.primary { "primary key" } else { "subkey" }
    }
}
