//! What will change: the sources as they are, as they shall be, and the difference.

pub mod bump;
pub mod common_mk;
pub mod edit;
pub mod lines;
pub mod sort;
pub mod sources;
mod stale;
pub mod systemd;
