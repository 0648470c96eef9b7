//! How the blocks of a squashfs are inflated: gzip, xz and lz4 as the crate does it, zstd in Rust.
//!
//! The C library behind the crate's own zstd would be the dearest single part of the tool's first build, for a
//! compressor that no vendor uses; it would also be C that reads what the signer of an image wrote.

use backhand::compression::{CompressionAction, Compressor, DefaultCompressor};
use backhand::kind::Kind;
use backhand::{BackhandError, FilesystemCompressor, SuperBlock};
use ruzstd::decoding::FrameDecoder;

/// Inflates blocks; it never writes any.
pub(super) struct Compressors;

/// What the squashfs reader is told of us.
pub(super) fn kind() -> Kind {
    Kind::new_v4(&Compressors)
}

impl CompressionAction for Compressors {
    type Error = BackhandError;
    type Compressor = Compressor;
    type FilesystemCompressor = FilesystemCompressor;
    type SuperBlock = SuperBlock;

    /// Fills the room that `out` has at most, as the crate's own decompressors do.
    fn decompress(
        &self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        compressor: Compressor,
    ) -> Result<(), BackhandError> {
        match compressor {
            Compressor::Zstd => FrameDecoder::new()
                .decode_all_to_vec(bytes, out)
                .map_err(|error| BackhandError::StdIo(std::io::Error::other(error.to_string()))),
            other => DefaultCompressor.decompress(bytes, out, other),
        }
    }

    fn compress(&self, _: &[u8], fc: FilesystemCompressor, _: u32) -> Result<Vec<u8>, BackhandError> {
        Err(BackhandError::UnsupportedCompression(format!("{fc:?}")))
    }
}
