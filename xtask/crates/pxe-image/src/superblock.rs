//! The superblock of a squashfs, and how much its tables hold: looked at before the crate reads them, so that a table
//! which no number of files explains is never inflated.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::decompress::TABLE_BLOCK;
use super::tables::broken;
use coreos_types::error::{Error, Result, ResultExt};

/// Nodes of the largest image that is read; a real one has about 20,000.
pub(super) const MOST_NODES: u32 = 300_000;
/// The squashfs superblock's magic, `hsqs` (Linux `fs/squashfs/squashfs_fs.h`).
const MAGIC: [u8; 4] = *b"hsqs";
/// Of a table's place: there is none.
const NO_TABLE: u64 = u64::MAX;
/// Of the superblock's flags: there is an export table (`SQUASHFS_EXPORT`).
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

/// Holds the superblock to what is read here, and the tables that it points to, to what its nodes explain.
///
/// # Errors
/// It is no squashfs 4.0, its compressor is not one of ours, or its tables say more than the image can hold.
pub(super) fn check(file: &File) -> Result<()> {
    let mut block = Superblock([0; 96]);
    file.read_exact_at(&mut block.0, 0).map_err(|_| broken("it is shorter than a superblock"))?;
    check_kind(&block)?;
    let (inodes, fragments) = (block.u32(4), block.u32(16));
    if inodes > MOST_NODES {
        return Err(broken(format!("it says that it holds {inodes} nodes")));
    }
    // A block of tail ends holds the tail of one file at least.
    if fragments > inodes {
        return Err(broken(format!("it says that {inodes} nodes have {fragments} blocks of tail ends")));
    }
    let length = file.metadata().with_context(|| "cannot look at the unpacked image")?.len();
    // 128 bytes are twice the inode, or the name, of an average file; the sizes of blocks come on top, four bytes for
    // each of at least 64.
    let names = u64::from(inodes) * 128 + (1 << 20);
    let inode_table = (block.u64(64), block.u64(72));
    check_table("inode", file, inode_table, names + length / 16)?;
    check_table("directory", file, (block.u64(72), directory_end(file, &block)?), names)
}

fn check_kind(block: &Superblock) -> Result<()> {
    if block.0[..4] != MAGIC {
        return Err(broken("it does not start with the magic of squashfs"));
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
        _ => "a compressor without a name",
    };
    Err(Error::failed(format!("usr.squashfs is compressed with {name}; gzip, xz, lz4 and zstd are known"))
        .with_hint("make the image anew with mksquashfs -comp gzip"))
}

/// Where the directory table ends: where the first block of the next table starts, as that table's own place says.
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
        .map_err(|error| broken("a table lies outside of it").with_cause(error))?;
    Ok(u64::from_le_bytes(first))
}

/// Goes from block to block of a table, without inflating them, and counts.
fn check_table(name: &str, file: &File, (from, to): (u64, u64), most: u64) -> Result<()> {
    let (mut at, mut blocks) = (from, 0);
    while at < to {
        let mut header = [0; 2];
        file.read_exact_at(&mut header, at)
            .map_err(|error| broken(format!("its {name} table is cut short")).with_cause(error))?;
        // The highest bit says that the block is stored as it is.
        at += 2 + u64::from(u16::from_le_bytes(header) & 0x7fff);
        blocks += 1;
        if blocks * TABLE_BLOCK as u64 > most + TABLE_BLOCK as u64 {
            return Err(broken(format!("its {name} table is larger than its files explain")));
        }
    }
    if at == to {
        Ok(())
    } else {
        Err(broken(format!(
            "its {name} table goes from byte {from} to byte {to}, which is inside of a block"
        )))
    }
}
