//! Decompression of squashfs blocks: gzip, xz and lz4 with backhand, zstd with ruzstd.
//!
//! The C library of backhand's zstd would be the most expensive part of the first build, for a compressor that no vendor
//! uses; it would also be C code that parses what the signer of an image wrote.

use backhand::compression::{CompressionAction, Compressor, DefaultCompressor};
use backhand::kind::Kind;
use backhand::{BackhandError, FilesystemCompressor, MAX_BLOCK_SIZE, SuperBlock};
use ruzstd::decoding::FrameDecoder;

/// The size of an uncompressed block of a table, in bytes (`SQUASHFS_METADATA_SIZE` in Linux `fs/squashfs/squashfs_fs.h`).
pub(super) const TABLE_BLOCK: usize = 8192;

pub(super) static DATA_DECOMPRESSOR: Decompressor = Decompressor { max: MAX_BLOCK_SIZE as usize };
static TABLE_DECOMPRESSOR: Decompressor = Decompressor { max: TABLE_BLOCK };

/// The squashfs kind with the decompressor of tables: backhand reads nothing but tables here.
pub(super) fn table_kind() -> Kind {
    Kind::new_v4(&TABLE_DECOMPRESSOR)
}

/// Decompressor of blocks to at most `max` bytes each: gzip and xz alone would allow 4 MiB and more. Compression is an
/// error.
pub(super) struct Decompressor {
    max: usize,
}

impl CompressionAction for Decompressor {
    type Error = BackhandError;
    type Compressor = Compressor;
    type FilesystemCompressor = FilesystemCompressor;
    type SuperBlock = SuperBlock;

    /// Fills `out` up to its capacity, as backhand's own decompressors do.
    fn decompress(
        &self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        compressor: Compressor,
    ) -> Result<(), BackhandError> {
        match compressor {
            Compressor::Zstd => {
                let mut decoder = FrameDecoder::new();
                // The decoder allocates the window size of the frame: up to 128 MiB without this limit.
                decoder.set_max_window_size(u64::from(MAX_BLOCK_SIZE));
                decoder
                    .decode_all_to_vec(bytes, out)
                    .map_err(|error| BackhandError::StdIo(std::io::Error::other(error.to_string())))?;
            }
            other => DefaultCompressor.decompress(bytes, out, other)?,
        }
        if out.len() > self.max { Err(BackhandError::CorruptedOrInvalidSquashfs) } else { Ok(()) }
    }

    fn compress(&self, _: &[u8], fc: FilesystemCompressor, _: u32) -> Result<Vec<u8>, BackhandError> {
        Err(BackhandError::UnsupportedCompression(format!("{fc:?}")))
    }
}
