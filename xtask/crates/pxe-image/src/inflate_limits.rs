//! Limits of the uncompressed size of an image.

const MIB: u64 = 1 << 20;

/// The maximum uncompressed size of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InflateLimits {
    /// The limit in bytes for any compressed size.
    pub(super) max: u64,
    /// The compressed size in bytes; `None` if it is not known before the end of the stream.
    pub(super) compressed_size: Option<u64>,
}

impl Default for InflateLimits {
    fn default() -> InflateLimits {
        InflateLimits { max: 2048 * MIB, compressed_size: None }
    }
}

impl InflateLimits {
    /// The limit after `read` compressed bytes: 64 MiB plus four times the compressed size, or plus four times `read`
    /// if the size is not known, and at most [`InflateLimits::max`]. Compression hardly shrinks a real image, because its
    /// squashfs is compressed already.
    pub(super) fn max_output(self, read: u64) -> u64 {
        let size = self.compressed_size.unwrap_or(read).max(read);
        self.max.min(size.saturating_mul(4).saturating_add(64 * MIB))
    }
}
