//! How the blocks of a squashfs are inflated: gzip, xz and lz4 as the crate does it, zstd in Rust.
//!
//! The C library behind the crate's own zstd would be the dearest single part of the tool's first build, for a
//! compressor that no vendor uses; it would also be C that reads what the signer of an image wrote.

use backhand::compression::{CompressionAction, Compressor, DefaultCompressor};
use backhand::kind::Kind;
use backhand::{BackhandError, FilesystemCompressor, MAX_BLOCK_SIZE, SuperBlock};
use ruzstd::decoding::FrameDecoder;

/// Inflates blocks; it never writes any.
pub(super) struct Compressors;

/// A block of a table, inflated (`SQUASHFS_METADATA_SIZE` in Linux `fs/squashfs/squashfs_fs.h`).
pub(super) const TABLE_BLOCK: usize = 8192;

/// What the squashfs reader is told of us: it reads nothing but tables.
pub(super) fn kind_of_tables() -> Kind {
    Kind::new_v4(&TableBlocks)
}

/// Inflates the blocks of tables, none to more than a block holds: gzip and xz would let one grow to 4 MiB and more.
struct TableBlocks;

impl CompressionAction for TableBlocks {
    type Error = BackhandError;
    type Compressor = Compressor;
    type FilesystemCompressor = FilesystemCompressor;
    type SuperBlock = SuperBlock;

    fn decompress(
        &self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        compressor: Compressor,
    ) -> Result<(), BackhandError> {
        Compressors.decompress(bytes, out, compressor)?;
        if out.len() > TABLE_BLOCK {
            return Err(BackhandError::CorruptedOrInvalidSquashfs);
        }
        Ok(())
    }

    fn compress(&self, bytes: &[u8], fc: FilesystemCompressor, size: u32) -> Result<Vec<u8>, BackhandError> {
        Compressors.compress(bytes, fc, size)
    }
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
            Compressor::Zstd => {
                let mut decoder = FrameDecoder::new();
                // It keeps as much as the frame says that it looks back: 128 MiB, if it may.
                decoder.set_max_window_size(u64::from(MAX_BLOCK_SIZE));
                decoder
                    .decode_all_to_vec(bytes, out)
                    .map_err(|error| BackhandError::StdIo(std::io::Error::other(error.to_string())))
            }
            other => DefaultCompressor.decompress(bytes, out, other),
        }
    }

    fn compress(&self, _: &[u8], fc: FilesystemCompressor, _: u32) -> Result<Vec<u8>, BackhandError> {
        Err(BackhandError::UnsupportedCompression(format!("{fc:?}")))
    }
}
