//! The commands, one file per command.

mod bump_coreos;
mod cache;
mod completions;
mod diff;
mod downgrade;
mod edit_manifest;
mod fetch;
mod manifest_fixes;
mod preview;
mod releases;
mod report;
mod sbom;
mod set_aside_accepted;
mod sort_manifests;
mod verify_manifests;
pub mod verify_signature;
mod why;

pub use bump_coreos::bump_coreos;
pub use cache::cache;
pub use completions::completions;
pub use diff::diff;
pub use edit_manifest::edit_manifest;
pub use fetch::fetch;
pub(crate) use manifest_fixes::check_manifests;
pub use releases::releases;
pub use report::{report, run_with_report};
pub use sbom::sbom;
pub use sort_manifests::sort_manifests;
pub use verify_manifests::verify_manifests;
pub use why::why;
