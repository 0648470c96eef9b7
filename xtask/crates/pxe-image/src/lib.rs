//! From the byte stream of a PXE image to a verified `/usr` tree.
//!
//! [`VerifiedImage::read_and_verify`] reads the `.cpio.gz` once, for the [`SignatureCheck`], whose hash is the [`Digest`]
//! of the image, and for the extraction of `usr.squashfs` to a file without a name ([`TempFileDir`]) in another thread. Only
//! an image with a valid signature opens as a [`UsrSquashfs`], which reads the tables into a tree and the files on demand.
//!
//! # Invariants
//! - No parser sees bytes that were not verified, except gzip and cpio; their output has no name until then.
//! - The output of a stream is limited; so are headers, names, blocks and tables.
//! - A panic of a decompressor is an error.

mod block_reader;
mod chunk_channel;
mod decompressor;
mod digest;
mod extract_squashfs;
mod gzip;
mod inflate_limits;
mod newc_header;
mod scoped_thread;
mod signature_check;
mod superblock;
mod tables;
mod temp_file;
mod usr_squashfs;
mod verified_image;

pub use digest::Digest;
pub use scoped_thread::spawn_scoped;
pub use signature_check::{CheckOutcome, SignatureCheck};
pub use temp_file::TempFileDir;
pub use usr_squashfs::UsrSquashfs;
pub use verified_image::VerifiedImage;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
