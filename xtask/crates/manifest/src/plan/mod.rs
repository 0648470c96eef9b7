//! Plans: from the sources of a tree to the sources after a bump, an edit or sorting, and the difference.

pub mod bump;
pub mod edit_manifest;
pub mod file_edits;
pub mod sort_manifests;
pub mod sources;
pub mod systemd_version;
