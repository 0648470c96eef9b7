//! Reads the bytes of files out of a squashfs, block by block, and keeps no more of them than a few blocks.
//!
//! The crate's own file reader keeps every block of tail ends that it ever saw, which for a whole image is hundreds
//! of megabytes; here only the last one is kept, and files are read in the order in which they lie.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use backhand::compression::CompressionAction;

use super::decompress::BLOCKS;
use super::tables::{BlockSize, FileLayout, Tables, broken, error_text};
use coreos_types::error::{Result, catch_panic};

/// One reader of file contents; every thread has its own.
pub(super) struct BlockReader<'a> {
    file: &'a File,
    tables: &'a Tables,
    /// The block of tail ends read last: its index and content.
    last_fragment: Option<(u32, Vec<u8>)>,
    stored: Vec<u8>,
    block: Vec<u8>,
    /// Which block it is that `block` holds: one part of it is often requested after another.
    held: Option<(u64, BlockSize)>,
}

impl<'a> BlockReader<'a> {
    pub(super) fn new(file: &'a File, tables: &'a Tables) -> BlockReader<'a> {
        BlockReader { file, tables, last_fragment: None, stored: Vec::new(), block: Vec::new(), held: None }
    }

    /// The bytes of a file from `range.start` up to `range.end`, which is not past its size.
    ///
    /// # Errors
    /// The blocks do not give exactly the bytes that the file's size promises.
    pub(super) fn read(&mut self, layout: &FileLayout, range: Range<u64>) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or_default());
        let block_size = u64::from(self.tables.block_size);
        let mut at = layout.start;
        for (number, stored) in layout.blocks.iter().enumerate() {
            let start = number as u64 * block_size;
            if start >= range.end {
                return Ok(bytes);
            }
            // Only the last block of a file without a tail end may be short.
            let full = layout.size.saturating_sub(start).min(block_size);
            if let Some(part) = overlap(&range, start, full) {
                self.block(at, *stored, full as usize)?;
                bytes.extend_from_slice(self.block.get(part).ok_or_else(|| broken("a block is cut short"))?);
            }
            at += u64::from(stored.size);
        }
        let start = layout.blocks.len() as u64 * block_size;
        if let Some(part) = overlap(&range, start, layout.size.saturating_sub(start)) {
            let (index, offset) =
                layout.fragment.ok_or_else(|| broken("a file has fewer blocks than bytes"))?;
            let tail = self.fragment(index)?.get(offset as usize..).and_then(|rest| rest.get(part));
            bytes.extend_from_slice(
                tail.ok_or_else(|| broken("the tail end of a file lies outside of its block"))?,
            );
        }
        Ok(bytes)
    }

    /// The block of tail ends of this number.
    fn fragment(&mut self, index: u32) -> Result<&[u8]> {
        if self.last_fragment.as_ref().is_none_or(|(last, _)| *last != index) {
            let (start, stored) = *self
                .tables
                .fragments
                .get(index as usize)
                .ok_or_else(|| broken("a file's tail end lies in a block that is not there"))?;
            self.block(start, stored, self.tables.block_size as usize)?;
            let mut kept = self.last_fragment.take().map_or_else(Vec::new, |(_, kept)| kept);
            std::mem::swap(&mut kept, &mut self.block);
            self.held = None;
            self.last_fragment = Some((index, kept));
        }
        Ok(self.last_fragment.as_ref().map_or(&[], |(_, bytes)| bytes))
    }

    /// Leaves the content of one block, at most `full` bytes, in `self.block`.
    fn block(&mut self, at: u64, stored: BlockSize, full: usize) -> Result<()> {
        if self.held == Some((at, stored)) {
            return Ok(());
        }
        self.held = None;
        self.block.clear();
        if stored.size == 0 {
            self.block.resize(full, 0);
            return Ok(());
        }
        if stored.size > self.tables.block_size {
            return Err(broken("a block is larger than blocks are"));
        }
        let BlockReader { block, stored: bytes, .. } = self;
        let target = if stored.compressed { &mut *bytes } else { &mut *block };
        target.resize(stored.size as usize, 0);
        self.file
            .read_exact_at(target, at)
            .map_err(|error| broken("a block cannot be read").with_cause(error))?;
        if stored.compressed {
            // The decompressors fill the room there is; what is left out of a larger block is noticed by its length.
            block.reserve_exact(self.tables.block_size as usize);
            let inflate = || BLOCKS.decompress(bytes, block, self.tables.compressor);
            catch_panic("the decompressor", inflate)?
                .map_err(|error| broken("a block does not decompress").with_cause(error_text(&error)))?;
        }
        if self.block.len() > self.tables.block_size as usize {
            return Err(broken("a block is larger than blocks are"));
        }
        self.held = Some((at, stored));
        Ok(())
    }
}

/// The part of a piece of `length` bytes at `start` that a range takes, counted from the start of the piece.
fn overlap(range: &Range<u64>, start: u64, length: u64) -> Option<Range<usize>> {
    let (from, to) = (range.start.max(start), range.end.min(start.saturating_add(length)));
    (from < to).then(|| (from - start) as usize..(to - start) as usize)
}
