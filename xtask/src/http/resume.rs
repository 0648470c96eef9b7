//! The resume point of an interrupted download.

/// The point at which an earlier download of the same entity stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePoint {
    /// Bytes that are already stored.
    pub at: u64,
    /// Length of the whole file in bytes, if known.
    pub total: Option<u64>,
    /// The strong `ETag` or the `Last-Modified` of that entity.
    pub validator: String,
}
