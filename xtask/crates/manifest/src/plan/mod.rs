//! Plans: from the sources of a tree to the sources after a bump, an edit or sorting, and the difference.

pub mod bump;
pub mod check_stage1_sources;
pub mod edit_manifest;
pub mod edit_plan;
pub mod sort_manifests;
pub mod systemd_version_to_pin;
