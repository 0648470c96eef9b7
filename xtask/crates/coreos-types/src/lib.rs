//! Vocabulary of the other crates.
//!
//! - [`release`], [`channel`], [`channel_or_stream`], [`board`]: the words of release servers.
//! - [`flavor`], [`systemd_version`]: what the sources of a stage1 name.
//! - [`parse_error`]: the error of a word that is none of these.
//! - [`vendor`]: who publishes images, with file names, servers and pinned keys.
//! - [`error`]: the [`Error`](error::Error) that stops a command, with its causes and a hint.
//! - [`signer`]: the signer of a file.
//! - [`calendar`]: Unix seconds as RFC 3339.
//! - [`shell`]: quoting for commands that are printed.
//!
//! The crate does no I/O and depends on no other crate of this workspace.

#[macro_use]
mod word_enum;

pub mod board;
pub mod calendar;
pub mod channel;
pub mod channel_or_stream;
pub mod error;
pub mod flavor;
pub mod parse_error;
pub mod release;
pub mod shell;
pub mod signer;
pub mod systemd_version;
pub mod vendor;
