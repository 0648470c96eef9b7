//! From a stream of bytes to a verified image, and from that to a tree.
//!
//! [`pass`] reads the `.cpio.gz` once, and from that one read take the signature check, the digest and the
//! unpacking side by side. What is unpacked lies in a file without a name ([`Scratch`]) until the signature holds;
//! then [`UsrImage`] opens it.

mod blocks;
mod chunks;
mod compressors;
mod gunzip;
pub mod pass;
mod scratch;
mod superblock;
mod tables;
mod unpack;
mod usr_image;
mod verified;

pub use pass::{Content, Digest, Passed, Watch};
pub use scratch::Scratch;
pub use unpack::Limits;
pub use usr_image::UsrImage;
pub use verified::{Proving, Unsigned, VerifiedImage};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
