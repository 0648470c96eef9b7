//! Vocabulary of the other crates.
//!
//! - [`release`]: vendor, channel, board, release and systemd version, as release servers name them.
//! - [`error`]: the [`Error`](error::Error) that stops a command, with its causes and a hint.
//! - [`provenance`]: who signed a file.
//! - [`calendar`]: Unix seconds as RFC 3339.
//! - [`shell`]: quoting for commands that are printed.
//!
//! Nothing here does I/O, and no other crate of this workspace is among its dependencies.

pub mod calendar;
pub mod channel;
pub mod error;
pub mod provenance;
pub mod release;
pub mod shell;
