//! A verified squashfs as a tree: every node at once, the content of single files when they are asked for.

use std::fs::File;
use std::io::Read;
use std::thread;

use super::blocks::Blocks;
use super::ingest::joined;
use super::tables::{self, Layout, Tables};
use coreos_types::error::{Result, ResultExt};
use usr::file_info::{self, FileInfo};
use usr::path::UsrPath;
use usr::tree::UsrTree;

/// Fewer bytes than this are read faster than a thread starts.
const WORTH_A_THREAD: u64 = 2 << 20;
/// How much of a file is held against its copy at once.
const PIECE: u64 = 1 << 20;
/// Threads that read facts; each holds one file and a few blocks in memory.
const MOST_THREADS: usize = 4;

/// A squashfs file that was proved, and the tree of what is in it.
pub struct UsrSquashfs {
    squashfs: File,
    tables: Tables,
}

impl UsrSquashfs {
    /// Opens a squashfs. Callers come here with a [`VerifiedImage`](super::VerifiedImage) only.
    ///
    /// # Errors
    /// See [`tables::read`].
    pub(super) fn open(squashfs: File) -> Result<UsrSquashfs> {
        let tables = tables::read(&squashfs)?;
        Ok(UsrSquashfs { squashfs, tables })
    }

    /// Opens the squashfs that a build left behind, to hold against it what was built of it. The build had it from
    /// [`VerifiedImage`](super::VerifiedImage); nothing that is read here is kept.
    ///
    /// # Errors
    /// See [`tables::read`].
    pub fn left_by_a_build(squashfs: File) -> Result<UsrSquashfs> {
        UsrSquashfs::open(squashfs)
    }

    /// Every node; the files that [`UsrSquashfs::read_facts`] was not asked for are [`FileInfo::Unread`].
    pub fn tree(&self) -> &UsrTree {
        &self.tables.tree
    }

    /// The tree with what was read so far, once nothing more is needed of the image.
    pub fn into_tree(self) -> UsrTree {
        let UsrSquashfs { squashfs, tables } = self;
        // The file has no name: closing it frees its pages, which takes tens of milliseconds that nobody need wait for.
        // Where no thread can be had, it is closed here.
        let _ = thread::Builder::new().spawn(move || drop(squashfs));
        tables.tree
    }

    /// Reads of each file at these paths what checks may ask of it. Paths that are no regular files, and files that
    /// were read before, are passed over.
    ///
    /// # Errors
    /// The image is broken where the file lies.
    pub fn read_facts<'p>(&mut self, paths: impl IntoIterator<Item = &'p UsrPath>) -> Result<()> {
        let is_unread = |path: &&UsrPath| self.tables.tree.facts(path.as_str()) == Some(&FileInfo::Unread);
        let wanted = self.in_order(paths.into_iter().filter(is_unread));
        let read = self.read_side_by_side(&wanted)?;
        for (path, facts) in read {
            self.tables.tree.set_file_info(&path, facts);
        }
        Ok(())
    }

    /// Those of these regular files that have other bytes than their copies, which `open` gives.
    ///
    /// # Errors
    /// The image is broken where a file lies, or a copy cannot be read.
    pub fn unlike<'p, R: Read>(
        &self,
        paths: impl IntoIterator<Item = &'p UsrPath>,
        mut open: impl FnMut(&UsrPath) -> Result<R>,
    ) -> Result<Vec<UsrPath>> {
        let files = self.in_order(paths);
        let mut blocks = Blocks::new(&self.squashfs, &self.tables);
        let mut unlike = Vec::new();
        for (path, layout) in files {
            let is_same = is_same(&mut blocks, layout, open(path)?);
            if !is_same.map_err(|fault| fault.context(format!("cannot read {path}")))? {
                unlike.push(path.clone());
            }
        }
        Ok(unlike)
    }

    /// Where these files lie, each once, in the order in which they lie: so each block of tail ends is inflated once.
    fn in_order<'p>(&self, paths: impl IntoIterator<Item = &'p UsrPath>) -> Vec<(&UsrPath, &Layout)> {
        let mut files: Vec<_> = paths.into_iter().filter_map(|path| self.layout(path)).collect();
        files.sort_by_key(|(path, layout)| (layout.fragment, layout.start, *path));
        files.dedup_by_key(|(path, _)| *path);
        files
    }

    /// The bytes of the regular file at this path from the first of these places up to the second, or its end.
    #[cfg(test)]
    pub(super) fn content(&self, path: &UsrPath, from: u64, to: u64) -> Result<Vec<u8>> {
        let (_, layout) = self.layout(path).ok_or_else(|| tables::broken("there is no such file"))?;
        Blocks::new(&self.squashfs, &self.tables).read(layout, from..layout.size.min(to))
    }

    fn layout(&self, path: &UsrPath) -> Option<(&UsrPath, &Layout)> {
        let at = self.tables.files.binary_search_by(|(known, _)| known.cmp(path)).ok()?;
        self.tables.files.get(at).map(|(path, layout)| (path, layout))
    }

    fn read_side_by_side(&self, wanted: &[(&UsrPath, &Layout)]) -> Result<Vec<(UsrPath, FileInfo)>> {
        let bytes: u64 = wanted.iter().map(|(_, layout)| layout.size).sum();
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        if threads == 1 || bytes < WORTH_A_THREAD {
            return self.read_in_order(wanted);
        }
        thread::scope(|scope| {
            let parts = split_by_size(wanted, bytes / threads as u64 + 1);
            let reading: Vec<_> =
                parts.into_iter().map(|part| scope.spawn(move || self.read_in_order(part))).collect();
            let mut all = Vec::with_capacity(wanted.len());
            for part in reading {
                all.extend(joined(part, "reading the image")??);
            }
            Ok(all)
        })
    }

    fn read_in_order(&self, wanted: &[(&UsrPath, &Layout)]) -> Result<Vec<(UsrPath, FileInfo)>> {
        let mut blocks = Blocks::new(&self.squashfs, &self.tables);
        let mut read = Vec::with_capacity(wanted.len());
        for &(path, layout) in wanted {
            let facts = file_info::read_parts(path, layout.size, |part| blocks.read(layout, part))
                .map_err(|fault| fault.context(format!("cannot read {path}")))?;
            read.push((path.clone(), facts));
        }
        Ok(read)
    }
}

/// Whether a copy has the bytes of a file, and no more.
fn is_same(blocks: &mut Blocks<'_>, layout: &Layout, mut copy: impl Read) -> Result<bool> {
    let mut buffer = Vec::new();
    let mut at = 0;
    loop {
        let end = layout.size.min(at + PIECE);
        buffer.clear();
        // Past the end of the file one byte more is asked for: there is none.
        let count = (end - at).max(1);
        copy.by_ref().take(count).read_to_end(&mut buffer).with_context(|| "the copy cannot be read")?;
        if buffer != blocks.read(layout, at..end)? {
            return Ok(false);
        }
        if at == layout.size {
            return Ok(true);
        }
        at = end;
    }
}

/// Cuts a list into runs of about `bytes` each.
fn split_by_size<'w, 'l>(
    mut wanted: &'w [(&'l UsrPath, &'l Layout)],
    bytes: u64,
) -> Vec<&'w [(&'l UsrPath, &'l Layout)]> {
    let mut parts = Vec::new();
    while !wanted.is_empty() {
        let mut sum = 0;
        let full = |(_, layout): &(&UsrPath, &Layout)| {
            sum += layout.size;
            sum >= bytes
        };
        let count = wanted.iter().position(full).map_or(wanted.len(), |last| last + 1);
        let (part, rest) = wanted.split_at(count);
        parts.push(part);
        wanted = rest;
    }
    parts
}
