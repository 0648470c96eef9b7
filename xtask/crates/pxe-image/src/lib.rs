//! From a stream of bytes to a verified image, and from that to a tree.
//!
//! [`pass`] reads the `.cpio.gz` once, and from that one read take the signature check, the digest and the
//! unpacking side by side. What is unpacked lies in a file without a name ([`Scratch`]) until the signature holds;
//! then [`UsrImage`] opens it.

mod blocks;
mod broadcast;
mod decompress;
mod gzip;
pub mod ingest;
mod temp_file;
mod superblock;
mod tables;
mod extract;
mod usr_squashfs;
mod verified;

pub use ingest::{Content, Digest, Passed, Watch};
pub use temp_file::Scratch;
pub use extract::Limits;
pub use usr_squashfs::UsrImage;
pub use verified::{Proving, Unsigned, VerifiedImage};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
