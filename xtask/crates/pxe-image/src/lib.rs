//! From a stream of bytes to a verified image, and from that to a tree.
//!
//! [`pass`] reads the `.cpio.gz` once, and from that one read take the signature check, the digest and the
//! unpacking side by side. What is unpacked lies in a file without a name ([`UnlinkedTempDir`]) until the signature holds;
//! then [`UsrSquashfs`] opens it.

mod blocks;
mod broadcast;
mod decompress;
mod extract;
mod gzip;
pub mod ingest;
mod limits;
mod newc;
mod superblock;
mod tables;
mod temp_file;
mod usr_squashfs;
mod verified;

pub use ingest::{Content, Digest, Ingested, Watch};
pub use limits::InflateLimits;
pub use temp_file::UnlinkedTempDir;
pub use usr_squashfs::UsrSquashfs;
pub use verified::{SignatureCheck, Unsigned, VerifiedImage};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
