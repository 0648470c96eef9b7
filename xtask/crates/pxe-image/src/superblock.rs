//! The superblock of a squashfs, and the sizes of its tables: checked before backhand reads them, so that a table that is
//! too large for its number of files is never decompressed.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::decompressor::TABLE_BLOCK;
use super::gzip::preview;
use super::tables::broken_squashfs;
use coreos_types::{Error, Result, ResultExt};

/// The nodes of one image; a real one has about 20,000.
pub(super) const MAX_NODES: u32 = usr::tree::MAX_NODES as u32;
/// The squashfs superblock's magic, `hsqs` (Linux `fs/squashfs/squashfs_fs.h`).
const MAGIC: [u8; 4] = *b"hsqs";
/// The offset of a table that does not exist.
const NO_TABLE: u64 = u64::MAX;
/// The superblock flag for an export table (`SQUASHFS_EXPORT`).
const EXPORT: u16 = 0x80;

/// The superblock (`squashfs_super_block` in Linux `fs/squashfs/squashfs_fs.h`).
struct Superblock([u8; 96]);

impl Superblock {
    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) | u32::from(self.u16(at + 2)) << 16
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from(self.u32(at)) | u64::from(self.u32(at + 4)) << 32
    }
}

/// Checks the version and compressor in the superblock, and the sizes of the tables against the number of nodes.
///
/// # Errors
/// The file is not a squashfs 4.0, its compressor is not supported, or its tables are larger than its nodes allow.
pub(super) fn check_superblock(file: &File) -> Result<()> {
    let mut block = Superblock([0; 96]);
    file.read_exact_at(&mut block.0, 0).map_err(|_| broken_squashfs("it is shorter than a superblock"))?;
    check_version_and_compressor(&block)?;
    let (inodes, fragments) = (block.u32(4), block.u32(16));
    if inodes > MAX_NODES {
        return Err(broken_squashfs(format!(
            "its superblock counts {inodes} nodes, expected at most {MAX_NODES}"
        )));
    }
    // A fragment block has the tail of at least one file.
    if fragments > inodes {
        return Err(broken_squashfs(format!(
            "its superblock counts {fragments} fragment blocks for {inodes} nodes"
        )));
    }
    let length = file.metadata().with_context(|| "cannot read the size of the unpacked image")?.len();
    // 128 bytes are twice the inode, or the name, of an average file; the sizes of blocks come on top, four bytes for
    // each of at least 64.
    let names = u64::from(inodes) * 128 + (1 << 20);
    let inode_table = (block.u64(64), block.u64(72));
    check_table_size("inode", file, inode_table, names + length / 16)?;
    check_table_size("directory", file, (block.u64(72), directory_end(file, &block)?), names)
}

fn check_version_and_compressor(block: &Superblock) -> Result<()> {
    if block.0[..4] != MAGIC {
        let start = preview(&block.0);
        return Err(broken_squashfs(format!(
            "it does not start with the magic of squashfs, hsqs, but with {start}"
        )));
    }
    let version = (block.u16(28), block.u16(30));
    if version != (4, 0) {
        return Err(Error::failed(format!(
            "usr.squashfs is of version {}.{}, expected 4.0",
            version.0, version.1
        )));
    }
    let name = match block.u16(20) {
        1 | 4 | 5 | 6 => return Ok(()),
        2 => "lzma",
        3 => "lzo",
        _ => "an unknown compressor",
    };
    Err(Error::failed(format!("usr.squashfs is compressed with {name}; expected gzip, xz, lz4 or zstd"))
        .with_hint("rebuild the image with mksquashfs -comp gzip"))
}

/// The end of the directory table: the offset of the first block of the next table, as that table's index has it.
fn directory_end(file: &File, block: &Superblock) -> Result<u64> {
    let (ids, fragment_table, export_table) = (block.u64(48), block.u64(80), block.u64(88));
    let next = if block.u32(16) != 0 && fragment_table != NO_TABLE {
        fragment_table
    } else if block.u16(24) & EXPORT != 0 && export_table != NO_TABLE {
        export_table
    } else {
        ids
    };
    let mut first = [0; 8];
    file.read_exact_at(&mut first, next)
        .map_err(|error| broken_squashfs("a table is outside of the file").with_cause(error))?;
    Ok(u64::from_le_bytes(first))
}

/// Counts the blocks of a table without decompressing them; an error if they could have more than `max` bytes.
fn check_table_size(name: &str, file: &File, (from, to): (u64, u64), max: u64) -> Result<()> {
    let (mut at, mut blocks) = (from, 0);
    while at < to {
        let mut header = [0; 2];
        file.read_exact_at(&mut header, at)
            .map_err(|error| broken_squashfs(format!("its {name} table is cut short")).with_cause(error))?;
        // The highest bit marks an uncompressed block.
        at += 2 + u64::from(u16::from_le_bytes(header) & 0x7fff);
        blocks += 1;
        if blocks * TABLE_BLOCK as u64 > max + TABLE_BLOCK as u64 {
            return Err(broken_squashfs(format!("its {name} table is too large for its number of files")));
        }
    }
    if at == to {
        Ok(())
    } else {
        Err(broken_squashfs(format!(
            "its {name} table spans bytes {from} to {to}, which is inside of a block"
        )))
    }
}
