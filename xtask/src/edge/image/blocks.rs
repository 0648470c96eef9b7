//! Reads the bytes of files out of a squashfs, block by block, and keeps no more of them than a few blocks.
//!
//! The crate's own file reader keeps every block of tail ends that it ever saw, which for a whole image is hundreds
//! of megabytes; here only the last one is kept, and files are read in the order in which they lie.

use std::fs::File;
use std::os::unix::fs::FileExt;

use backhand::compression::CompressionAction;

use super::compressors::Compressors;
use super::tables::{Layout, Stored, Tables, broken, told};
use crate::fault::Result;

/// One reader of file contents; every thread has its own.
pub(super) struct Blocks<'a> {
    file: &'a File,
    tables: &'a Tables,
    /// The block of tail ends read last: its index and content.
    last_fragment: Option<(u32, Vec<u8>)>,
    stored: Vec<u8>,
    block: Vec<u8>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(file: &'a File, tables: &'a Tables) -> Blocks<'a> {
        Blocks { file, tables, last_fragment: None, stored: Vec::new(), block: Vec::new() }
    }

    /// Appends the first `most` bytes of a file, or all of it where it is shorter, to `into`.
    ///
    /// # Errors
    /// The blocks do not give exactly the bytes that the file's size promises.
    pub(super) fn read(&mut self, layout: &Layout, most: u64, into: &mut Vec<u8>) -> Result<()> {
        let wanted = layout.size.min(most);
        let block_size = u64::from(self.tables.block_size);
        let (mut at, mut left) = (layout.start, wanted);
        for (number, stored) in layout.blocks.iter().enumerate() {
            if left == 0 {
                return Ok(());
            }
            // Only the last block of a file without a tail end may be short.
            let full = (layout.size - number as u64 * block_size).min(block_size);
            self.block(at, *stored, full as usize)?;
            at += u64::from(stored.size);
            let used = left.min(full) as usize;
            into.extend_from_slice(self.block.get(..used).ok_or_else(|| broken("a block is cut short"))?);
            left -= used as u64;
        }
        if left == 0 {
            return Ok(());
        }
        let (index, offset) = layout.fragment.ok_or_else(|| broken("a file has fewer blocks than bytes"))?;
        let fragment = self.fragment(index)?;
        let tail = fragment.get(offset as usize..).and_then(|rest| rest.get(..left as usize));
        into.extend_from_slice(
            tail.ok_or_else(|| broken("the tail end of a file lies outside of its block"))?,
        );
        Ok(())
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
            self.last_fragment = Some((index, kept));
        }
        Ok(self.last_fragment.as_ref().map_or(&[], |(_, bytes)| bytes))
    }

    /// Leaves the content of one block, at most `full` bytes, in `self.block`.
    fn block(&mut self, at: u64, stored: Stored, full: usize) -> Result<()> {
        self.block.clear();
        if stored.size == 0 {
            self.block.resize(full, 0);
            return Ok(());
        }
        if stored.size > self.tables.block_size {
            return Err(broken("a block is larger than blocks are"));
        }
        let Blocks { block, stored: bytes, .. } = self;
        let target = if stored.compressed { &mut *bytes } else { &mut *block };
        target.resize(stored.size as usize, 0);
        self.file
            .read_exact_at(target, at)
            .map_err(|error| broken("a block cannot be read").because(error))?;
        if stored.compressed {
            // The decompressors fill the room there is; what is left out of a larger block is noticed by its length.
            block.reserve_exact(self.tables.block_size as usize);
            let inflate = || Compressors.decompress(bytes, block, self.tables.compressor);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(inflate))
                .map_err(|panic| super::pass::panicked("the decompressor", panic.as_ref()))?
                .map_err(|error| broken("a block does not decompress").because(told(&error)))?;
        }
        if self.block.len() > self.tables.block_size as usize {
            return Err(broken("a block is larger than blocks are"));
        }
        Ok(())
    }
}
