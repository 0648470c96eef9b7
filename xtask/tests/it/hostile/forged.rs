//! Forged squashfs images that no packer makes: one table entry is referenced a thousand times.
//!
//! The tables are written byte by byte (Linux `fs/squashfs/squashfs_fs.h`), and compress to a few bytes.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::images::{around, read_within};

/// Size of an uncompressed table block in bytes.
const TABLE_BLOCK: usize = 8192;
const BLOCK: u64 = 128 << 10;

/// A table under construction, with the start of each compressed block.
#[derive(Default)]
struct Table {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Table {
    /// Reference to a byte as in inodes: start of the compressed block, and offset in the uncompressed block.
    fn place(&mut self, at: usize) -> (u32, u32) {
        let number = at / TABLE_BLOCK;
        for full in self.starts.len()..=number {
            let before = full.checked_sub(1).map_or(0, |last| {
                self.starts[last] + block(&self.bytes[last * TABLE_BLOCK..full * TABLE_BLOCK]).len()
            });
            self.starts.push(before);
        }
        (self.starts[number] as u32, (at % TABLE_BLOCK) as u32)
    }

    fn packed(&self) -> Vec<u8> {
        self.bytes.chunks(TABLE_BLOCK).flat_map(block).collect()
    }
}

/// A compressed table block.
fn block(bytes: &[u8]) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(bytes).unwrap();
    let block = zlib.finish().unwrap();
    [&(block.len() as u16).to_le_bytes()[..], &block].concat()
}

/// An image under construction.
#[derive(Default)]
struct Forged {
    data: Vec<u8>,
    inodes: Table,
    names: Table,
    count: u32,
}

/// Start and length of a directory listing.
#[derive(Clone, Copy)]
struct List(usize, usize);

impl Forged {
    fn inode(&mut self, kind: u16, words: &[u32]) -> u32 {
        self.count += 1;
        let inode = &mut self.inodes.bytes;
        inode.extend(kind.to_le_bytes());
        inode.extend([0xed, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        [self.count].iter().chain(words).for_each(|word| inode.extend(word.to_le_bytes()));
        self.count
    }

    /// Adds an extended directory inode with this listing.
    fn directory(&mut self, List(start, length): List) -> u32 {
        let (block, offset) = self.names.place(start);
        self.inode(8, &[2, length as u32 + 3, block, 1, offset << 16, u32::MAX])
    }

    /// Adds a regular file without a fragment; its blocks follow one another from the start of the data.
    fn file(&mut self, size: u64, blocks: &[u32]) -> u32 {
        let words = [96, 0, size as u32, (size >> 32) as u32, 0, 0, 1, u32::MAX, 0, u32::MAX];
        self.inode(9, &[&words, blocks].concat())
    }

    fn list(&mut self, entries: impl IntoIterator<Item = (u32, String)>) -> List {
        let names = &mut self.names.bytes;
        let start = names.len();
        for (number, name) in entries {
            [0, 0, number].iter().for_each(|word: &u32| names.extend(word.to_le_bytes()));
            [0, 0, 1, name.len() as u16 - 1].iter().for_each(|half| names.extend(half.to_le_bytes()));
            names.extend(name.bytes());
        }
        List(start, names.len() - start)
    }

    fn squashfs(mut self, root: List) -> Vec<u8> {
        let (block, offset) = self.inodes.place(self.inodes.bytes.len());
        self.directory(root);
        let reference = u64::from(block) << 16 | u64::from(offset);
        packed(&self.data, &self.inodes.packed(), &self.names.packed(), self.count, reference)
    }
}

/// Superblock, data, inode table, directory table, and the ID table with one user ID.
fn packed(data: &[u8], inodes: &[u8], names: &[u8], count: u32, root: u64) -> Vec<u8> {
    let inode_table = 96 + data.len() as u64;
    let directories = inode_table + inodes.len() as u64;
    let ids = directories + names.len() as u64;
    let mut image = b"hsqs".to_vec();
    [count, 0, BLOCK as u32, 0].iter().for_each(|word| image.extend(word.to_le_bytes()));
    [1u16, 17, 0, 1, 4, 0].iter().for_each(|half| image.extend(half.to_le_bytes()));
    let id_block = block(&[0; 4]);
    let at = ids + id_block.len() as u64;
    let places = [root, at + 8, at, u64::MAX, inode_table, directories, u64::MAX, u64::MAX];
    places.iter().for_each(|place| image.extend(place.to_le_bytes()));
    [data, inodes, names, &id_block, &ids.to_le_bytes()].iter().for_each(|part| image.extend(*part));
    image
}

fn check(name: &str, squashfs: &[u8]) {
    read_within(name, &around(squashfs), Duration::from_secs(10), 128);
}

#[test]
fn thousand_directories_with_one_listing_are_bounded() {
    let mut forged = Forged::default();
    let file = forged.file(0, &[]);
    let list = forged.list((0..2000).map(|number| (file, format!("name{number}"))));
    let directories: Vec<_> = (0..1000).map(|number| (forged.directory(list), format!("{number}"))).collect();
    let root = forged.list(directories);
    check("one list", &forged.squashfs(root));
}

#[test]
fn path_of_2000_long_names_is_bounded() {
    let mut forged = Forged::default();
    let mut list = List(0, 0);
    for _ in 0..2000 {
        let directory = forged.directory(list);
        list = forged.list([(directory, "n".repeat(255))]);
    }
    check("long path", &forged.squashfs(list));
}

#[test]
fn large_file_with_1000_names_is_bounded() {
    let mut forged = Forged::default();
    let file = forged.file(250_000 * BLOCK, &[0; 250_000]);
    let root = forged.list((0..1000).map(|number| (file, format!("name{number}"))));
    check("many blocks", &forged.squashfs(root));
}

/// The first block has data, and the others are sparse (size 0).
#[test]
fn sparse_programs_of_400_mib_are_bounded() {
    let data = [b"\x7fELF\x02\x01\x01".to_vec(), vec![0; BLOCK as usize - 7]].concat();
    let mut forged = Forged { data, ..Forged::default() };
    let blocks: Vec<u32> = std::iter::once(BLOCK as u32 | 1 << 24).chain([0; 3199]).collect();
    let programs: Vec<_> =
        (0..4).map(|number| (forged.file(3200 * BLOCK, &blocks), format!("{number}"))).collect();
    let root = forged.list(programs);
    check("programs of holes", &forged.squashfs(root));
}

#[test]
fn table_blocks_that_inflate_to_3_mib_are_bounded() {
    let bomb = block(&vec![0; 3 << 20]).repeat(300);
    check("bomb of inodes", &packed(&[], &bomb, &[], 250_000, 0));
    let mut root = Forged::default();
    root.directory(List(0, 0));
    check("bomb of names", &packed(&[], &root.inodes.packed(), &bomb[..bomb.len() / 5], 1, 0));
}

/// A zstd frame with a window of 128 MiB of one repeated byte (RFC 8878, section 3.1.1).
#[test]
fn zstd_block_with_a_128_mib_window_is_bounded() {
    let run = [&(128u32 << 13 | 1 << 1).to_le_bytes()[..3], &[0]].concat();
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3][..], &run.repeat(1000)].concat();
    let frame = [&(frame.len() as u16).to_le_bytes()[..], &frame].concat();
    let mut squashfs = packed(&[], &frame, &[], 250_000, 0);
    squashfs[20] = 6;
    check("zstd", &squashfs);
}

/// Small blocks, but more than 250,000 nodes can need.
#[test]
fn table_with_too_many_blocks_is_bounded() {
    check("many blocks of tables", &packed(&[], &block(&[0; TABLE_BLOCK]).repeat(100_000), &[], 250_000, 0));
}
