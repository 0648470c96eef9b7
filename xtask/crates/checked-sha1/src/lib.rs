//! SHA-1 with the detection of collision attacks.
//!
//! Every function of sha1-checked is `#[inline]`, and so is compiled into the crate that calls it, with that crate's
//! optimisation. Users run the tool in the dev profile, without optimisation, where it took five times as long.
//! This crate is the only caller, and the workspace's `Cargo.toml` optimises it.

use std::io::Write;

use sha1_checked::Sha1;

/// An incremental hash; a clone has the same state.
#[derive(Debug, Clone, Default)]
pub struct CheckedSha1(Sha1);

impl CheckedSha1 {
    /// A hash that looks for no collision, for a digest that only names a file. Faster.
    pub fn without_collision_detection() -> CheckedSha1 {
        CheckedSha1(Sha1::builder().detect_collision(false).build())
    }

    /// Adds octets.
    #[inline(never)]
    pub fn update(&mut self, bytes: &[u8]) {
        // Writing to a hash cannot fail.
        drop(self.0.write_all(bytes));
    }

    /// The digest (RFC 3174); `None` if the octets match a known collision attack.
    #[inline(never)]
    pub fn finish(self) -> Option<[u8; 20]> {
        let result = self.0.try_finalize();
        (!result.has_collision()).then(|| (*result.hash()).into())
    }
}
