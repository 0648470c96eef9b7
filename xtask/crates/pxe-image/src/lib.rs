//! From the byte stream of a PXE image to a verified `/usr` tree.
//!
//! [`ingest::ingest`] reads the `.cpio.gz` once. From that one read up to three threads take what they need: the
//! [`SignatureCheck`], the [`Sha256Digest`], and the extraction of `usr.squashfs`, which goes to a file without a name
//! ([`UnlinkedTempDir`]). When the signature is valid the result is a [`VerifiedImage`], and only that opens as a
//! [`UsrSquashfs`], whose tables become a tree and whose files are read on demand.
//!
//! # Invariants
//! - No parser sees bytes that were not verified, except gzip and cpio, whose output has no name until then.
//! - What a stream inflates to is limited ([`InflateLimits`]); so are headers, names, blocks and tables.
//! - A panic of a decompressor is an error.

mod blocks;
mod broadcast;
mod decompress;
mod digest;
mod extract;
mod gzip;
pub mod ingest;
mod limits;
mod newc;
mod signature_check;
mod superblock;
mod tables;
mod temp_file;
mod usr_squashfs;
mod verified;

pub use digest::Sha256Digest;
pub use ingest::{Ingested, Payload};
pub use limits::InflateLimits;
pub use signature_check::{CheckOutcome, SignatureCheck};
pub use temp_file::UnlinkedTempDir;
pub use usr_squashfs::UsrSquashfs;
pub use verified::VerifiedImage;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
