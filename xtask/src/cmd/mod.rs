//! One file a command: the only place where edge and core meet.
#![allow(
    clippy::disallowed_methods,
    reason = "commands ask for the directory and the variables they run under"
)]

pub mod verify_signature;
