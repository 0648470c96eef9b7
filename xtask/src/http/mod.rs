//! Downloads over HTTP: proxies, redirects, TLS, retries and resumption.
//!
//! A [`Client`] opens a [`Download`], which is a reader. An interrupted connection is retried ([`download_limits`]) by
//! requesting the rest of the same entity ([`classify_response`]). A permanent failure becomes an error with a hint
//! ([`error`]).

mod classify_response;
mod client;
mod download;
mod download_limits;
mod error;
mod proxy;
mod public_address;
mod request_transport;
mod tls;
mod url;

pub use classify_response::ResumePoint;
pub use client::{Client, ClientConfig, Event};
pub use download::Download;
pub use download_limits::DownloadLimits;
pub use proxy::{ProxyConfig, ProxyVariable};
pub use tls::CaBundle;
pub use url::{Url, redact};

/// Limit of a detached signature, in bytes.
pub const MAX_SIGNATURE_LEN: u64 = 64 << 10;
/// Limit of an OpenPGP certificate from a server, in bytes.
pub const MAX_CERTIFICATE_LEN: u64 = 1 << 20;
/// Limit of a list or `version.txt`, in bytes.
pub const MAX_LIST_LEN: u64 = 64 << 20;
/// Limit of an image in bytes, compressed and decompressed.
pub const MAX_IMAGE_LEN: u64 = 2 << 30;
