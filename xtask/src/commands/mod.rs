//! The commands, one file per command.

mod bump_coreos;
mod bump_preview;
mod cache;
mod completions;
mod diff;
mod downgrade;
mod edit_manifest;
mod fetch;
mod manifest_fixes;
mod releases;
mod report;
mod sbom;
mod sort_manifests;
mod verify_manifests;
pub mod verify_signature;
mod why;

pub use bump_coreos::bump_coreos;
pub(crate) use cache::cache;
pub(crate) use completions::completions;
pub(crate) use diff::diff;
pub(crate) use edit_manifest::edit_manifest;
pub use fetch::fetch;
pub(crate) use manifest_fixes::check_manifests;
pub use releases::releases;
pub(crate) use report::{last_report, run_and_store_report};
pub(crate) use sbom::sbom;
pub(crate) use sort_manifests::sort_manifests;
pub use verify_manifests::verify_manifests;
pub(crate) use why::why;
