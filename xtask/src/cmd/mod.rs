//! One file a command: the only place where edge and core meet.

pub mod verify_signature;
