//! Vocabulary of the other crates.
//!
//! - [`Release`], [`Channel`], [`ChannelOrStream`], [`Board`]: the words of release servers.
//! - [`Flavor`], [`SystemdVersion`]: what the sources of a stage1 name.
//! - [`Vendor`]: who publishes images, with file names, servers and pinned keys.
//! - [`error`]: the [`Error`] that stops a command, with its causes and a hint.
//! - [`Signer`]: the signer of a file.
//! - [`calendar`]: Unix seconds as RFC 3339.
//! - [`shell`]: quoting for commands that are printed.
//!
//! The crate does no I/O and depends on no other crate of this workspace.

#[macro_use]
mod word_enum;

mod board;
pub mod calendar;
mod channel;
mod channel_or_stream;
pub mod error;
mod flavor;
mod release;
pub mod shell;
mod signer;
mod systemd_version;
mod vendor;

pub use self::board::Board;
pub use self::channel::Channel;
pub use self::channel_or_stream::ChannelOrStream;
pub use self::error::{Error, ErrorExt, ErrorKind, Result, ResultExt};
pub use self::flavor::Flavor;
pub use self::release::Release;
pub use self::signer::Signer;
pub use self::systemd_version::SystemdVersion;
pub use self::vendor::{Vendor, Vendors};
