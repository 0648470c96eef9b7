//! `cargo xtask demo`, end to end.
