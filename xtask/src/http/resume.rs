//! Where an interrupted download continues.

/// Where an earlier download of the same entity stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePoint {
    /// Bytes that are there.
    pub at: u64,
    /// Bytes of the whole file, where the server named them.
    pub total: Option<u64>,
    /// The strong `ETag` or the `Last-Modified` of that entity.
    pub validator: String,
}
