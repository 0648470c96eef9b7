//! What will change: the sources as they are, as they shall be, and the difference.

pub mod bump;
pub mod common_mk;
pub mod edit_manifest;
pub mod file_edits;
mod pin_mismatch;
pub mod sort_manifests;
pub mod sources;
pub mod systemd_version;
