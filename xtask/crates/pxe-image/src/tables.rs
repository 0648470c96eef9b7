//! The inode and directory tables of a squashfs: every node, and the location of each file's data.
//!
//! backhand reads and decompresses the tables. The walk through the directories is here: without recursion, so that no
//! nesting can exhaust the stack, and with a check that Linux allows each name.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::vec::IntoIter;

use backhand::Squashfs;
use backhand::compression::Compressor;
use backhand::v4::inode::{Inode, InodeInner};

use super::decompressor;
use super::superblock::{self, MAX_NODES};
use coreos_types::{Error, Result, ResultExt, error::catch_panic};
use usr::{Node, NodeKind, UsrPath, UsrTree, lossless_text, tree::MAX_PATH_BYTES};

/// The depth of nested directories; with the shortest names that is `PATH_MAX`.
const MAX_DEPTH: usize = 2048;
/// The data blocks of all files together; a real image has a few thousand.
const MAX_BLOCKS: usize = 1 << 20;
/// The fragment index of a file without a fragment (`SQUASHFS_INVALID_FRAG`).
const NO_FRAGMENT: u32 = 0xffff_ffff;

/// The location of one regular file's data.
#[derive(Debug, Clone)]
pub(super) struct FileLayout {
    /// The offset of the first block, in bytes from the start of the squashfs.
    pub(super) start: u64,
    /// The stored size of each block; 0 is a sparse block of zero bytes.
    pub(super) blocks: Box<[StoredBlock]>,
    /// The index of the fragment block with the file's tail, and the tail's offset in the block.
    pub(super) fragment: Option<(u32, u32)>,
    /// The size of the file in bytes.
    pub(super) size: u64,
}

impl FileLayout {
    fn new(start: u64, size: u64, blocks: &[backhand::DataSize], (index, offset): (u32, u32)) -> FileLayout {
        let fragment = (index != NO_FRAGMENT).then_some((index, offset));
        FileLayout { start, blocks: blocks.iter().map(StoredBlock::from).collect(), fragment, size }
    }
}

/// The stored size of a block, and whether it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoredBlock {
    pub(super) size: u32,
    pub(super) compressed: bool,
}

impl From<&backhand::DataSize> for StoredBlock {
    fn from(size: &backhand::DataSize) -> StoredBlock {
        StoredBlock { size: size.size(), compressed: !size.uncompressed() }
    }
}

/// The content of the tables.
pub(super) struct Tables {
    /// Every node; no file was read yet.
    pub(super) tree: UsrTree,
    /// The layout of each regular file, in byte order of the paths.
    pub(super) files: Vec<(UsrPath, FileLayout)>,
    /// The offset and stored size of each fragment block.
    pub(super) fragments: Vec<(u64, StoredBlock)>,
    /// The size of a whole block in bytes.
    pub(super) block_size: u32,
    /// The compressor of the blocks.
    pub(super) compressor: Compressor,
}

/// Reads the tables.
///
/// # Errors
/// The file is not a squashfs 4.0, its compressor is not supported, or its tables are malformed.
pub(super) fn read_tables(file: &File) -> Result<Tables> {
    superblock::check_superblock(file)?;
    let mut file = file.try_clone().with_context(|| "cannot open the unpacked image a second time")?;
    // The file was just written: its offset is at the end.
    file.rewind().with_context(|| "cannot go back to the start of the unpacked image")?;
    let read = || {
        let reader = BufReader::with_capacity(64 * 1024, file);
        Squashfs::from_reader_with_offset_and_kind(reader, 0, decompressor::table_kind())
    };
    let squashfs = catch_panic("the squashfs reader", read)?
        .map_err(|error| broken_squashfs("its tables cannot be read").with_cause(error_text(&error)))?;
    let mut walk =
        Walk { squashfs: &squashfs, nodes: Vec::new(), files: Vec::new(), totals: WalkTotals::default() };
    walk.run()?;
    let Walk { nodes, mut files, .. } = walk;
    files.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(Tables {
        tree: UsrTree::from_nodes(nodes),
        files,
        fragments: squashfs
            .fragments
            .iter()
            .flatten()
            .map(|f| (f.start, StoredBlock::from(&f.size)))
            .collect(),
        block_size: squashfs.superblock.block_size,
        compressor: squashfs.superblock.compressor,
    })
}

/// The text of a backhand error, which has none of its own without a logging crate.
pub(super) fn error_text(error: &backhand::BackhandError) -> String {
    match error {
        backhand::BackhandError::StdIo(error) => error.to_string(),
        other => format!("{other:?}"),
    }
}

pub(super) fn broken_squashfs(what: impl std::fmt::Display) -> Error {
    Error::failed(format!("usr.squashfs is broken: {what}"))
}

/// The walk through the directories, from the root down.
struct Walk<'a> {
    squashfs: &'a Squashfs<'static>,
    nodes: Vec<(UsrPath, Node)>,
    files: Vec<(UsrPath, FileLayout)>,
    totals: WalkTotals,
}

/// The totals of the walk so far: an entry of the tables can be referenced many times.
#[derive(Default)]
struct WalkTotals {
    listings: usize,
    nodes: u32,
    path_bytes: usize,
    blocks: usize,
}

impl WalkTotals {
    fn count_listing(&mut self, bytes: usize, table: usize) -> Result<()> {
        self.listings += bytes;
        if self.listings > table {
            return Err(broken_squashfs("two directories have the same list of names"));
        }
        Ok(())
    }

    fn count_node(&mut self, path: &UsrPath, blocks: usize) -> Result<()> {
        self.nodes += 1;
        self.path_bytes += path.as_str().len();
        self.blocks += blocks;
        if self.nodes > MAX_NODES {
            return Err(broken_squashfs(format!("it has more than {MAX_NODES} names")));
        }
        if self.path_bytes > MAX_PATH_BYTES {
            return Err(broken_squashfs(format!("its paths have more than {} MiB", MAX_PATH_BYTES >> 20)));
        }
        if self.blocks > MAX_BLOCKS {
            return Err(broken_squashfs(format!("its files have more than {MAX_BLOCKS} blocks")));
        }
        Ok(())
    }
}

/// One name in a directory.
struct DirEntry<'a> {
    inode: u32,
    name: &'a [u8],
}

impl<'a> Walk<'a> {
    /// Visits each directory when its parent names it, so that the paths are almost sorted.
    fn run(&mut self) -> Result<()> {
        let (squashfs, mut seen) = (self.squashfs, HashSet::new());
        let mut open = vec![(None, self.list_directory(&squashfs.root_inode, &mut seen)?)];
        while let Some((directory, entries)) = open.last_mut() {
            let Some(entry) = entries.next() else {
                open.pop();
                continue;
            };
            let name = lossless_text::from_bytes(entry.name);
            let child = match directory {
                None => UsrPath::new(&name)
                    .map_err(|_| broken_squashfs("a directory entry has an invalid name"))?,
                Some(directory) => UsrPath::join(directory, &name),
            };
            let Some(inode) = squashfs.inodes.get(&entry.inode) else {
                return Err(broken_squashfs(format!("{child} has no inode")));
            };
            self.insert(child.clone(), inode)?;
            if matches!(inode.inner, InodeInner::BasicDirectory(_) | InodeInner::ExtendedDirectory(_)) {
                if open.len() > MAX_DEPTH {
                    return Err(broken_squashfs("a directory contains itself"));
                }
                open.push((Some(child), self.list_directory(inode, &mut seen)?));
            }
        }
        Ok(())
    }

    fn list_directory(&mut self, inode: &Inode, seen: &mut HashSet<u32>) -> Result<IntoIter<DirEntry<'a>>> {
        // Linux has one name for a directory; a second one can only be a loop.
        if !seen.insert(inode.header.inode_number) {
            return Err(broken_squashfs("a directory contains itself"));
        }
        let listing = directory_table_bytes(self.squashfs, inode)?;
        self.totals.count_listing(listing.len(), self.squashfs.dir_blocks.1.len())?;
        Ok(parse_dir_entries(listing)?.into_iter())
    }

    fn insert(&mut self, path: UsrPath, inode: &Inode) -> Result<()> {
        let layout = match &inode.inner {
            InodeInner::BasicFile(f) => {
                let (start, size) = (u64::from(f.blocks_start), u64::from(f.file_size));
                Some(FileLayout::new(start, size, &f.block_sizes, (f.frag_index, f.block_offset)))
            }
            InodeInner::ExtendedFile(f) => {
                let fragment = (f.frag_index, f.block_offset);
                Some(FileLayout::new(f.blocks_start, f.file_size, &f.block_sizes, fragment))
            }
            _ => None,
        };
        self.totals.count_node(&path, layout.as_ref().map_or(0, |layout| layout.blocks.len()))?;
        let symlink = |target: &[u8]| NodeKind::Symlink(lossless_text::from_bytes(target).into_owned());
        let kind = match &inode.inner {
            InodeInner::BasicSymlink(link) => symlink(&link.target_path),
            InodeInner::ExtendedSymlink(link) => symlink(&link.target_path),
            InodeInner::BasicDirectory(_) | InodeInner::ExtendedDirectory(_) => NodeKind::Directory,
            _ => layout.as_ref().map_or(NodeKind::Special, |layout| NodeKind::unread_file(layout.size)),
        };
        self.files.extend(layout.map(|layout| (path.clone(), layout)));
        self.nodes.push((path, Node { mode: inode.header.permissions & 0o7777, kind }));
        Ok(())
    }
}

fn directory_table_bytes<'a>(squashfs: &'a Squashfs<'static>, directory: &Inode) -> Result<&'a [u8]> {
    let (block, offset, size) = match &directory.inner {
        InodeInner::BasicDirectory(d) => (d.block_index, d.block_offset, u32::from(d.file_size)),
        InodeInner::ExtendedDirectory(d) => (d.block_index, d.block_offset, d.file_size),
        _ => return Err(broken_squashfs("its root is not a directory")),
    };
    // The size counts 3 bytes for the names "." and "..", which are not stored.
    let size = size.saturating_sub(3) as usize;
    if size == 0 {
        return Ok(&[]);
    }
    let (starts, table) = &squashfs.dir_blocks;
    let start = starts.get(&u64::from(block)).map(|start| *start as usize + usize::from(offset));
    let listing = start.and_then(|start| table.get(start..)).and_then(|rest| rest.get(..size));
    listing.ok_or_else(|| broken_squashfs("a directory is outside of the directory table"))
}

/// The entries of a directory (`squashfs_dir_header` and `squashfs_dir_entry` of Linux `squashfs_fs.h`). Their names are
/// sorted: Linux stops a lookup at the first greater one, and unsquashfs refuses other lists, which can have a name twice.
fn parse_dir_entries(mut bytes: &[u8]) -> Result<Vec<DirEntry<'_>>> {
    let mut found: Vec<DirEntry<'_>> = Vec::new();
    while !bytes.is_empty() {
        let header = bytes.split_off(..12).ok_or_else(|| broken_squashfs("a directory is cut short"))?;
        let (count, base) = (u32_at(header, 0), u32_at(header, 8));
        for _ in 0..=count {
            let entry = parse_dir_entry(&mut bytes, base)
                .ok_or_else(|| broken_squashfs("a directory entry is malformed"))?;
            if found.last().is_some_and(|last| last.name >= entry.name) {
                return Err(broken_squashfs("the names in a directory are not sorted"));
            }
            found.push(entry);
        }
    }
    Ok(found)
}

fn parse_dir_entry<'a>(bytes: &mut &'a [u8], base: u32) -> Option<DirEntry<'a>> {
    let fixed = bytes.split_off(..8)?;
    let offset = i16::from_le_bytes([fixed[2], fixed[3]]);
    let length = usize::from(u16::from_le_bytes([fixed[6], fixed[7]])) + 1;
    let name = bytes.split_off(..length)?;
    let plain =
        !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0) && length <= 255;
    let inode = base.checked_add_signed(i32::from(offset))?;
    plain.then_some(DirEntry { inode, name })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsorted_and_duplicate_names_are_refused() {
        let names = |names: &[&[u8]]| {
            let mut listing = [&(names.len() as u32 - 1).to_le_bytes()[..], &[0; 8]].concat();
            for name in names {
                listing.extend([&[0; 6][..], &(name.len() as u16 - 1).to_le_bytes(), name].concat());
            }
            parse_dir_entries(&listing).map(|entries| entries.len()).map_err(|error| error.to_string())
        };
        assert_eq!(names(&[b"a", b"aa", b"b", b"\xe9", b"\xf0\x9f\x98\x80"]), Ok(5));
        for unsorted in [[b"a", b"a"], [b"b", b"a"]] {
            let error = "usr.squashfs is broken: the names in a directory are not sorted";
            assert_eq!(names(&unsorted.map(|name| &name[..])), Err(error.to_owned()));
        }
    }
}
