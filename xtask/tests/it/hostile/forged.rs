//! Squashfs images that no packer makes: what stands in the tables once is led to a thousand times.
//!
//! The tables are written byte by byte (Linux `fs/squashfs/squashfs_fs.h`), and shrink to next to nothing.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::images::{around, read_within};

/// A block of a table, inflated.
const TABLE_BLOCK: usize = 8192;
const BLOCK: u64 = 128 << 10;

/// A table in the making, and where each block of it starts once it is packed.
#[derive(Default)]
struct Table {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Table {
    /// The place of a byte as inodes name it: the start of its block, and where in that it lies.
    fn place(&mut self, at: usize) -> (u32, u32) {
        let number = at / TABLE_BLOCK;
        for whole in self.starts.len()..=number {
            let before = whole.checked_sub(1).map_or(0, |last| {
                self.starts[last] + block(&self.bytes[last * TABLE_BLOCK..whole * TABLE_BLOCK]).len()
            });
            self.starts.push(before);
        }
        (self.starts[number] as u32, (at % TABLE_BLOCK) as u32)
    }

    fn packed(&self) -> Vec<u8> {
        self.bytes.chunks(TABLE_BLOCK).flat_map(block).collect()
    }
}

/// A compressed block of a table.
fn block(bytes: &[u8]) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(bytes).unwrap();
    let block = zlib.finish().unwrap();
    [&(block.len() as u16).to_le_bytes()[..], &block].concat()
}

/// An image in the making.
#[derive(Default)]
struct Forged {
    data: Vec<u8>,
    inodes: Table,
    names: Table,
    count: u32,
}

/// Where a list of names starts, and its length.
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

    /// An extended directory with these names.
    fn directory(&mut self, List(start, length): List) -> u32 {
        let (block, offset) = self.names.place(start);
        self.inode(8, &[2, length as u32 + 3, block, 1, offset << 16, u32::MAX])
    }

    /// A regular file without a tail, its blocks behind one another from the start of the data.
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

/// Superblock, data, inodes, names, the one user id and where that lies.
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
fn a_thousand_directories_with_one_list_of_names() {
    let mut forged = Forged::default();
    let file = forged.file(0, &[]);
    let list = forged.list((0..2000).map(|number| (file, format!("name{number}"))));
    let directories: Vec<_> = (0..1000).map(|number| (forged.directory(list), format!("{number}"))).collect();
    let root = forged.list(directories);
    check("one list", &forged.squashfs(root));
}

#[test]
fn a_path_that_grows_by_255_letters_two_thousand_times() {
    let mut forged = Forged::default();
    let mut list = List(0, 0);
    for _ in 0..2000 {
        let directory = forged.directory(list);
        list = forged.list([(directory, "n".repeat(255))]);
    }
    check("long path", &forged.squashfs(list));
}

#[test]
fn a_file_of_many_blocks_under_a_thousand_names() {
    let mut forged = Forged::default();
    let file = forged.file(250_000 * BLOCK, &[0; 250_000]);
    let root = forged.list((0..1000).map(|number| (file, format!("name{number}"))));
    check("many blocks", &forged.squashfs(root));
}

/// The first block is there, of the rest it says that they are zeros.
#[test]
fn programs_of_400_mib_that_are_not_there() {
    let data = [b"\x7fELF\x02\x01\x01".to_vec(), vec![0; BLOCK as usize - 7]].concat();
    let mut forged = Forged { data, ..Forged::default() };
    let blocks: Vec<u32> = std::iter::once(BLOCK as u32 | 1 << 24).chain([0; 3199]).collect();
    let programs: Vec<_> =
        (0..4).map(|number| (forged.file(3200 * BLOCK, &blocks), format!("{number}"))).collect();
    let root = forged.list(programs);
    check("programs of holes", &forged.squashfs(root));
}

#[test]
fn tables_of_blocks_that_inflate_to_3_mib() {
    let bomb = block(&vec![0; 3 << 20]).repeat(300);
    check("bomb of inodes", &packed(&[], &bomb, &[], 250_000, 0));
    let mut root = Forged::default();
    root.directory(List(0, 0));
    check("bomb of names", &packed(&[], &root.inodes.packed(), &bomb[..bomb.len() / 5], 1, 0));
}

/// A frame of zstd that says it looks back over 128 MiB, all of them one byte (RFC 8878, 3.1.1).
#[test]
fn a_block_of_zstd_that_looks_back_over_128_mib() {
    let run = [&(128u32 << 13 | 1 << 1).to_le_bytes()[..3], &[0]].concat();
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3][..], &run.repeat(1000)].concat();
    let frame = [&(frame.len() as u16).to_le_bytes()[..], &frame].concat();
    let mut squashfs = packed(&[], &frame, &[], 250_000, 0);
    squashfs[20] = 6;
    check("zstd", &squashfs);
}

/// Small blocks, but more of them than a quarter of a million nodes explain.
#[test]
fn tables_of_more_blocks_than_their_nodes_explain() {
    check("many blocks of tables", &packed(&[], &block(&[0; TABLE_BLOCK]).repeat(100_000), &[], 250_000, 0));
}
