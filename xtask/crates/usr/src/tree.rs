//! The files of an image: a tree of nodes, and how a path resolves in it.

mod resolve;
mod serialize;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use super::elf::ElfInfo;
use super::file_info::{FileInfo, FileInfoReader};
use super::path::UsrPath;
use coreos_types::{Error, Result};
use resolve::{Cursor, resolve};
pub use resolve::{Resolution, ResolutionEnd};

/// Every node of an image, by its path relative to `/usr`. The root directory itself is not a node.
///
/// The content of a file is read on demand: [`UsrTree::read_file_info`] calls the tree's [`FileInfoReader`] the first time,
/// and the tree caches the info. Two trees are equal if their nodes are; the readers are not compared.
///
/// Invariant: the parent of each node is a directory node, or the root.
#[derive(Clone, Default)]
pub struct UsrTree {
    /// In byte order of the paths.
    nodes: Vec<(UsrPath, Node)>,
    /// Reads the files that were not read yet.
    reader: Option<Arc<dyn FileInfoReader>>,
    /// The first error of the reader; nothing is read after it.
    read_error: OnceLock<Error>,
}

impl PartialEq for UsrTree {
    fn eq(&self, other: &UsrTree) -> bool {
        self.nodes == other.nodes
    }
}

impl Eq for UsrTree {}

impl fmt::Debug for UsrTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UsrTree").field(&self.nodes).finish()
    }
}

/// One inode of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Permission bits with setuid, setgid and sticky (`st_mode & 0o7777`).
    pub mode: u16,
    /// The kind of the node, with its content.
    pub kind: NodeKind,
}

/// The kind of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File {
        /// The size in bytes.
        size: u64,
        /// The content info, once it was read; see [`UsrTree::read_file_info`].
        info: OnceLock<Box<FileInfo>>,
    },
    /// A directory.
    Directory,
    /// A symbolic link and its target, verbatim.
    Symlink(String),
    /// A device, socket or pipe.
    Special,
}

impl NodeKind {
    /// A regular file of `size` bytes with known content info.
    pub fn file(size: u64, info: FileInfo) -> NodeKind {
        NodeKind::File { size, info: OnceLock::from(Box::new(info)) }
    }

    /// A regular file of `size` bytes that was not read yet.
    pub fn unread_file(size: u64) -> NodeKind {
        NodeKind::File { size, info: OnceLock::new() }
    }

    /// Whether this is a regular file.
    pub fn is_file(&self) -> bool {
        matches!(self, NodeKind::File { .. })
    }
}

/// The info of a file that cannot be read; [`UsrTree::check_reads`] returns the reason.
static UNREADABLE: FileInfo = FileInfo::Other;

/// The nodes of an image, and of a root filesystem; Flatcar has 31,000.
pub const MAX_NODES: usize = 300_000;

/// The bytes of all paths of an image together; a real one has about 1 MiB.
pub const MAX_PATH_BYTES: usize = 32 << 20;

/// The batches of libraries that are read ahead. Real dependencies are less deep; deeper ones are read one by one.
const MAX_READ_AHEAD: usize = 8;

impl UsrTree {
    /// An empty tree.
    pub fn new() -> UsrTree {
        UsrTree::default()
    }

    /// The tree of these nodes, in any order, and of the missing directories above them. Of several nodes with one path, the
    /// last is used.
    pub fn from_nodes(mut nodes: Vec<(UsrPath, Node)>) -> UsrTree {
        sort_by_path(&mut nodes);
        nodes.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                std::mem::swap(next, kept);
            }
            is_same
        });
        let mut tree = UsrTree { nodes, ..UsrTree::default() };
        let mut directories: Vec<UsrPath> = tree.paths().filter_map(UsrPath::parent).collect();
        directories.dedup();
        // The directories above an existing node exist as well.
        let is_missing = |directory: &UsrPath| tree.get(directory.as_str()).is_none();
        let upwards = |lowest| std::iter::successors(Some(lowest), UsrPath::parent).take_while(is_missing);
        let missing: HashSet<UsrPath> = directories.into_iter().flat_map(upwards).collect();
        let directory = |path| (path, Node { mode: 0o755, kind: NodeKind::Directory });
        tree.nodes.extend(missing.into_iter().map(directory));
        sort_by_path(&mut tree.nodes);
        tree
    }

    /// Inserts a node, and the missing directories above it. It sorts all nodes: [`UsrTree::from_nodes`] makes a tree of
    /// many.
    pub fn insert(&mut self, path: UsrPath, node: Node) {
        let mut nodes = std::mem::take(&mut self.nodes);
        nodes.push((path, node));
        self.nodes = UsrTree::from_nodes(nodes).nodes;
    }

    /// The index of the node at exactly this path, or where it would be.
    fn position(&self, path: &str) -> std::result::Result<usize, usize> {
        self.nodes.binary_search_by(|(known, _)| known.as_str().cmp(path))
    }

    /// The node at exactly this path; symlinks are not followed.
    pub fn get(&self, path: &str) -> Option<&Node> {
        Some(&self.nodes[self.position(path).ok()?].1)
    }

    fn info_cell(&self, path: &str) -> Option<&OnceLock<Box<FileInfo>>> {
        match &self.get(path)?.kind {
            NodeKind::File { info, .. } => Some(info),
            _ => None,
        }
    }

    /// The content info of the regular file at exactly this path; `None` for any other path. A file that was not read
    /// yet is read now. A file that cannot be read counts as [`FileInfo::Other`]; [`UsrTree::check_reads`] then has the
    /// reason, and every caller calls it before writing any result.
    pub fn read_file_info(&self, path: &str) -> Option<&FileInfo> {
        let info = self.info_cell(path)?;
        if info.get().is_none() {
            self.read_and_cache_infos(&[UsrPath::from_normalized_unchecked(path)]);
        }
        Some(info.get().map_or(&UNREADABLE, |info| info))
    }

    /// The ELF file at exactly this path; `None` for any other path.
    pub fn read_elf_info(&self, path: &UsrPath) -> Option<&ElfInfo> {
        match self.read_file_info(path.as_str())? {
            FileInfo::Elf(elf) => Some(elf),
            _ => None,
        }
    }

    /// The content info of the regular file at exactly this path, if it was read before.
    pub fn known_file_info(&self, path: &str) -> Option<&FileInfo> {
        self.info_cell(path)?.get().map(|info| &**info)
    }

    /// The tree with a reader for the files that were not read yet.
    pub fn with_reader(mut self, reader: Arc<dyn FileInfoReader>) -> UsrTree {
        self.reader = Some(reader);
        self
    }

    /// The tree with the infos read so far, without its reader: the reader's files are closed.
    pub fn without_reader(mut self) -> UsrTree {
        self.reader = None;
        self
    }

    /// Whether files can be read on demand.
    pub fn has_reader(&self) -> bool {
        self.reader.is_some()
    }

    /// The first error that reading a file on demand met.
    ///
    /// # Errors
    /// That error: results that depend on the tree are not reliable after it.
    pub fn check_reads(&self) -> Result<()> {
        self.read_error.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Reads the files of `paths` that were not read yet in one batch, and then, batch by batch, the libraries in their
    /// `DT_NEEDED` entries, in any directory, because the loader will most likely need them next.
    pub fn read_ahead<'p>(&self, paths: impl IntoIterator<Item = &'p UsrPath>) {
        if self.reader.is_some() {
            self.read_batches(paths.into_iter().filter(|path| self.is_unread(path)).cloned().collect());
        }
    }

    /// Not generic: compiled with the optimisation of this crate.
    fn read_batches(&self, mut batch: Vec<UsrPath>) {
        let mut searched: HashSet<String> = HashSet::new();
        for _ in 0..MAX_READ_AHEAD {
            if batch.is_empty() || !self.read_and_cache_infos(&batch) {
                break;
            }
            let elf_infos = batch.iter().filter_map(|path| self.read_elf_info(path));
            let needed = elf_infos.flat_map(|info| &info.needed).map(String::as_str);
            let needed: HashSet<&str> = needed.filter(|name| searched.insert((*name).to_owned())).collect();
            if needed.is_empty() {
                break;
            }
            let named = self.paths().filter(|path| needed.contains(path.name()));
            let files = named.filter_map(|path| self.resolve(path).end.node().cloned());
            batch = files.filter(|path| self.is_unread(path)).collect();
            batch.sort();
            batch.dedup();
        }
    }

    fn is_unread(&self, path: &UsrPath) -> bool {
        self.info_cell(path.as_str()).is_some_and(|info| info.get().is_none())
    }

    /// Reads files that were not read yet; `false` if that failed, now or before.
    fn read_and_cache_infos(&self, paths: &[UsrPath]) -> bool {
        let Some(reader) = self.reader.as_ref().filter(|_| self.read_error.get().is_none()) else {
            return false;
        };
        match reader.read_infos(paths) {
            Ok(read) => {
                for (path, new) in read {
                    self.info_cell(path.as_str()).map(|info| info.get_or_init(|| Box::new(new)));
                }
                true
            }
            Err(error) => {
                self.read_error.get_or_init(|| error);
                false
            }
        }
    }

    /// Every node, in byte order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&UsrPath, &Node)> {
        self.nodes.iter().map(|(path, node)| (path, node))
    }

    /// Every path, in byte order.
    pub fn paths(&self) -> impl Iterator<Item = &UsrPath> {
        self.nodes.iter().map(|(path, _)| path)
    }

    /// The nodes with this last component, in byte order of the paths.
    pub fn with_name(&self, name: &str) -> Vec<&UsrPath> {
        // The end is compared first: this reads every path of the image, and few end in the name.
        self.paths().filter(|path| path.as_str().ends_with(name) && path.name() == name).collect()
    }

    /// Every node below a directory, in byte order.
    pub fn below(&self, directory: &UsrPath) -> impl Iterator<Item = (&UsrPath, &Node)> {
        // '0' follows '/' in ASCII: the range is exactly what starts with "directory/".
        let index = |text: String| self.position(&text).unwrap_or_else(|at| at);
        let below = index(format!("{directory}/"))..index(format!("{directory}0"));
        self.nodes[below].iter().map(|(path, node)| (path, node))
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether the tree is empty.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Resolves a path as the kernel does, component by component (`path_resolution(7)`).
    pub fn resolve(&self, path: &UsrPath) -> Resolution {
        resolve(self, Cursor::Usr, path.as_str())
    }

    /// Resolves a path of the built root filesystem: `/usr/x`, and `/lib/x` through the root's symlink into `/usr`. Unlike
    /// [`UsrPath::from_rootfs_path`] it applies `..` after following symlinks.
    pub fn resolve_rootfs(&self, path: &str) -> Resolution {
        resolve(self, Cursor::Rootfs, path)
    }
}

/// Sorts nodes by path; of equal paths the order stays.
fn sort_by_path(nodes: &mut [(UsrPath, Node)]) {
    nodes.sort_by(|(one, _), (other, _)| one.cmp(other));
}
