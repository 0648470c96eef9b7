//! How the blocks of a squashfs are inflated: gzip, xz and lz4 as the crate does it, zstd in Rust.
//!
//! The C library behind the crate's own zstd would be the dearest single part of the tool's first build, for a
//! compressor that no vendor uses; it would also be C that reads what the signer of an image wrote.

use backhand::compression::{CompressionAction, Compressor, DefaultCompressor};
use backhand::kind::Kind;
use backhand::{BackhandError, FilesystemCompressor, MAX_BLOCK_SIZE, SuperBlock};
use ruzstd::decoding::FrameDecoder;

/// A block of a table, inflated (`SQUASHFS_METADATA_SIZE` in Linux `fs/squashfs/squashfs_fs.h`).
pub(super) const TABLE_BLOCK: usize = 8192;

/// Inflates the blocks of files.
pub(super) static BLOCKS: Decompressor = Decompressor { most: MAX_BLOCK_SIZE as usize };
/// Inflates the blocks of tables.
static TABLES: Decompressor = Decompressor { most: TABLE_BLOCK };

/// What the squashfs reader is told of us: it reads nothing but tables.
pub(super) fn table_kind() -> Kind {
    Kind::new_v4(&TABLES)
}

/// Inflates blocks, none to more than so many bytes: gzip and xz would let one grow to 4 MiB and more. It writes none.
pub(super) struct Decompressor {
    most: usize,
}

impl CompressionAction for Decompressor {
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
                    .map_err(|error| BackhandError::StdIo(std::io::Error::other(error.to_string())))?;
            }
            other => DefaultCompressor.decompress(bytes, out, other)?,
        }
        if out.len() > self.most { Err(BackhandError::CorruptedOrInvalidSquashfs) } else { Ok(()) }
    }

    fn compress(&self, _: &[u8], fc: FilesystemCompressor, _: u32) -> Result<Vec<u8>, BackhandError> {
        Err(BackhandError::UnsupportedCompression(format!("{fc:?}")))
    }
}
