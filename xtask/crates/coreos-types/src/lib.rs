//! Vocabulary of the other crates.
//!
//! - [`release`]: channel, board, release and systemd version, as release servers name them.
//! - [`vendor`]: who publishes images, with file names, servers and pinned keys.
//! - [`error`]: the [`Error`](error::Error) that stops a command, with its causes and a hint.
//! - [`signer`]: the signer of a file.
//! - [`calendar`]: Unix seconds as RFC 3339.
//! - [`shell`]: quoting for commands that are printed.
//!
//! The crate does no I/O and depends on no other crate of this workspace.

#[macro_use]
mod word_enum;

pub mod calendar;
pub mod channel_or_stream;
pub mod error;
pub mod release;
pub mod shell;
pub mod signer;
pub mod vendor;
