//! Gets files: limits, retries, resume, proxies.
//!
//! A [`Client`] opens a [`Download`], which is a plain reader: whatever breaks on the way is mended inside of it
//! ([`patience`]), by asking for the rest of the same entity ([`answer`]). What cannot be mended is told in words
//! ([`told`]). Where files lie is [`ReleaseDir`]'s to know.

mod client;
mod download;
mod error;
mod release_dir;
mod response;
mod retry;
mod tls;
mod url;

pub use client::{Client, ClientConfig};
pub use download::{Download, Resume};
pub use release_dir::ReleaseDir;
pub use retry::RetryPolicy;

/// The most bytes that a detached signature may have.
pub const MOST_SIGNATURE: u64 = 64 << 10;
/// The most bytes that a list, `version.txt` or a certificate may have.
pub const MOST_LIST: u64 = 64 << 20;
/// The most bytes that an image may have: it inflates to at most as many.
pub const MOST_IMAGE: u64 = 2 << 30;
