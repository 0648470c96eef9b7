//! Limits of what a compressed image may become.

const MIB: u64 = 1 << 20;

/// How large an image may become when it is inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InflateLimits {
    /// Bytes, whatever the compressed size.
    pub max: u64,
    /// The compressed size in bytes, where it is known before it was read.
    pub size: Option<u64>,
}

impl Default for InflateLimits {
    fn default() -> InflateLimits {
        InflateLimits { max: 2048 * MIB, size: None }
    }
}

impl InflateLimits {
    /// At most 64 MiB more than four times the compressed size, or, where that is not known, than four times the bytes
    /// that were read so far; and never more than [`InflateLimits::max`]. A real image hardly shrinks at all, since what is in
    /// it is compressed already.
    pub(super) fn max_output(self, read: u64) -> u64 {
        let size = self.size.unwrap_or(read).max(read);
        self.max.min(size.saturating_mul(4).saturating_add(64 * MIB))
    }
}
