//! One file a command: the only place where edge and core meet.
#![allow(
    clippy::disallowed_methods,
    reason = "commands ask for the directory and the variables they run under"
)]

mod bump_coreos;
mod completions;
mod context;
mod details;
mod diff;
mod edit_manifest;
mod fetch;
mod images;
mod preview;
mod report;
mod smoketest;
mod sort_manifests;
mod verify_manifests;
pub mod verify_signature;
mod why;

pub use bump_coreos::bump_coreos;
pub use completions::completions;
pub use context::Context;
pub use details::{client, tell_trust};
pub use diff::diff;
pub use edit_manifest::edit_manifest;
pub use fetch::fetch;
pub use report::{report, told};
pub use smoketest::smoketest;
pub use sort_manifests::sort_manifests;
pub use verify_manifests::verify_manifests;
pub use why::why;
