//! SHA-1 with the detection of collision attacks, behind plain calls.
//!
//! Every function of sha1-checked is `#[inline]`, and so is compiled into the crate that calls it, with that crate's
//! optimisation. People run the tool in the dev profile, where that is none: it took five times as long. This crate
//! is the caller, and `Cargo.toml` of the workspace optimises it.

use std::io::Write;

use sha1_checked::Sha1;

/// A hash under way; a clone goes on from the same place.
#[derive(Debug, Clone, Default)]
pub struct CheckedSha1(Sha1);

impl CheckedSha1 {
    /// Takes in more octets.
    #[inline(never)]
    pub fn update(&mut self, bytes: &[u8]) {
        // Writing to a hash cannot fail.
        drop(self.0.write_all(bytes));
    }

    /// The digest (RFC 3174); `None` where the octets bear the mark of a collision attack.
    #[inline(never)]
    pub fn finish(self) -> Option<[u8; 20]> {
        let result = self.0.try_finalize();
        (!result.has_collision()).then(|| (*result.hash()).into())
    }
}
