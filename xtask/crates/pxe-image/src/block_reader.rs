//! Reader of file contents in a squashfs, block by block, with a few blocks in memory.
//!
//! The file reader of backhand caches every fragment block, which for a whole image is hundreds of megabytes; this one
//! caches only the last one, and callers read files in the order of their data.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use backhand::compression::CompressionAction;

use super::decompressor::DATA_DECOMPRESSOR;
use super::tables::{FileLayout, StoredBlock, Tables, broken_squashfs, error_text};
use coreos_types::{Result, error::catch_panic};

/// Reader of file contents; each thread has its own.
pub(super) struct BlockReader<'a> {
    file: &'a File,
    tables: &'a Tables,
    /// The index and content of the fragment block that was read last.
    last_fragment: Option<(u32, Vec<u8>)>,
    compressed_buffer: Vec<u8>,
    block: Vec<u8>,
    /// The offset and size of the block in `block`: callers often read several parts of one block in a row.
    loaded_block: Option<(u64, StoredBlock)>,
}

impl<'a> BlockReader<'a> {
    pub(super) fn new(file: &'a File, tables: &'a Tables) -> BlockReader<'a> {
        BlockReader {
            file,
            tables,
            last_fragment: None,
            compressed_buffer: Vec::new(),
            block: Vec::new(),
            loaded_block: None,
        }
    }

    /// Reads the bytes `range` of a file; `range.end` is at most the file's size.
    ///
    /// # Errors
    /// The blocks have more or fewer bytes than the file's size, or cannot be read or decompressed.
    pub(super) fn read(&mut self, layout: &FileLayout, range: Range<u64>) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or_default());
        let block_size = u64::from(self.tables.block_size);
        let mut at = layout.start;
        for (number, stored) in layout.blocks.iter().enumerate() {
            let start = number as u64 * block_size;
            if start >= range.end {
                return Ok(bytes);
            }
            // Only the last block of a file without a fragment may be short.
            let full = layout.size.saturating_sub(start).min(block_size);
            if let Some(part) = overlap(&range, start, full) {
                self.load_block(at, *stored, full as usize)?;
                bytes.extend_from_slice(
                    self.block.get(part).ok_or_else(|| broken_squashfs("a block is cut short"))?,
                );
            }
            at += u64::from(stored.size);
        }
        let start = layout.blocks.len() as u64 * block_size;
        if let Some(part) = overlap(&range, start, layout.size.saturating_sub(start)) {
            let (index, offset) = layout
                .fragment
                .ok_or_else(|| broken_squashfs("a file has fewer blocks than its size requires"))?;
            let tail =
                self.load_fragment_block(index)?.get(offset as usize..).and_then(|rest| rest.get(part));
            bytes.extend_from_slice(
                tail.ok_or_else(|| broken_squashfs("a file's fragment is outside of its fragment block"))?,
            );
        }
        Ok(bytes)
    }

    /// Returns fragment block `index`, decompressed.
    fn load_fragment_block(&mut self, index: u32) -> Result<&[u8]> {
        if self.last_fragment.as_ref().is_none_or(|(last, _)| *last != index) {
            let (start, stored) = *self
                .tables
                .fragments
                .get(index as usize)
                .ok_or_else(|| broken_squashfs("a file's fragment block does not exist"))?;
            self.load_block(start, stored, self.tables.block_size as usize)?;
            let mut content = self.last_fragment.take().map_or_else(Vec::new, |(_, content)| content);
            std::mem::swap(&mut content, &mut self.block);
            self.loaded_block = None;
            self.last_fragment = Some((index, content));
        }
        Ok(self.last_fragment.as_ref().map_or(&[], |(_, bytes)| bytes))
    }

    /// Loads one block, of at most `full` bytes, into `self.block`.
    fn load_block(&mut self, at: u64, stored: StoredBlock, full: usize) -> Result<()> {
        if self.loaded_block == Some((at, stored)) {
            return Ok(());
        }
        self.loaded_block = None;
        self.block.clear();
        if stored.size == 0 {
            self.block.resize(full, 0);
            return Ok(());
        }
        if stored.size > self.tables.block_size {
            return Err(broken_squashfs("a block is larger than the block size"));
        }
        let BlockReader { block, compressed_buffer: bytes, .. } = self;
        let target = if stored.compressed { &mut *bytes } else { &mut *block };
        target.resize(stored.size as usize, 0);
        self.file
            .read_exact_at(target, at)
            .map_err(|error| broken_squashfs("a block cannot be read").with_cause(error))?;
        if stored.compressed {
            // The decompressors fill the capacity of `block`; a larger block fails the check of its length below.
            block.reserve_exact(self.tables.block_size as usize);
            let inflate = || DATA_DECOMPRESSOR.decompress(bytes, block, self.tables.compressor);
            catch_panic("the decompressor", inflate)?.map_err(|error| {
                broken_squashfs("a block does not decompress").with_cause(error_text(&error))
            })?;
        }
        if self.block.len() > self.tables.block_size as usize {
            return Err(broken_squashfs("a block is larger than the block size"));
        }
        self.loaded_block = Some((at, stored));
        Ok(())
    }
}

/// The overlap of `range` with the `length` bytes at `start`, relative to `start`; `None` if it is empty.
fn overlap(range: &Range<u64>, start: u64, length: u64) -> Option<Range<usize>> {
    let (from, to) = (range.start.max(start), range.end.min(start.saturating_add(length)));
    (from < to).then(|| (from - start) as usize..(to - start) as usize)
}
