//! A verified squashfs as a tree: every node at once, the content of files on demand.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::block_reader::BlockReader;
use super::scoped_thread::spawn_scoped;
use super::tables::{self, FileLayout, Tables};
use coreos_types::{
    Error, Result, ResultExt,
    error::{catch_panic, panic_to_error},
};
use usr::{
    FileInfo, FileInfoReader, UsrPath, UsrTree,
    file_info::{self, ReadBudget},
};

/// The minimum in bytes for reading in several threads: fewer bytes are read faster than a thread starts.
const MIN_PARALLEL_BYTES: u64 = 2 << 20;
/// The bytes of a file that are read at once.
const PIECE: u64 = 1 << 20;
/// The neighboring files that one of the threads reads at once: most have their data in the same blocks.
const FILES_AT_ONCE: usize = 8;
/// The threads that read file infos; each has one file and a few blocks in memory.
const MAX_THREADS: usize = 4;
/// The bytes of all files that are read for their infos.
const MAX_READ: u64 = if cfg!(test) { 128 << 20 } else { file_info::MAX_READ };

/// A verified squashfs file and the tree of its nodes.
pub struct UsrSquashfs {
    /// `None` only while dropping.
    squashfs: Option<File>,
    tables: Tables,
    limits: ReadBudget,
}

impl UsrSquashfs {
    /// Opens the squashfs of a [`VerifiedImage`](super::VerifiedImage).
    pub(super) fn open_verified(squashfs: File) -> Result<UsrSquashfs> {
        let tables = tables::read_tables(&squashfs)?;
        Ok(UsrSquashfs { squashfs: Some(squashfs), tables, limits: ReadBudget::new(MAX_READ) })
    }

    /// Opens the squashfs that a build left, without verification, to compare the built root filesystem with it. The
    /// build extracted it from a [`VerifiedImage`](super::VerifiedImage); nothing that is read here is cached.
    pub fn open_unverified(squashfs: File) -> Result<UsrSquashfs> {
        UsrSquashfs::open_verified(squashfs)
    }

    /// Every node. The tree reads no files on demand; [`UsrSquashfs::into_lazy_tree`] gives one that does.
    pub fn tree(&self) -> &UsrTree {
        &self.tables.tree
    }

    /// The tree, which reads the content of its files from the squashfs on demand.
    pub fn into_lazy_tree(mut self) -> UsrTree {
        self.take_tree_without_reader().with_reader(Arc::new(self))
    }

    /// The tree without a reader. The rest of the image can be the reader of another tree of the same image.
    pub fn take_tree_without_reader(&mut self) -> UsrTree {
        std::mem::take(&mut self.tables.tree)
    }

    pub(super) fn block_reader(&self) -> Result<BlockReader<'_>> {
        let squashfs = self.squashfs.as_ref().ok_or_else(|| tables::broken_squashfs("it is closed"))?;
        Ok(BlockReader::new(squashfs, &self.tables))
    }

    /// The regular files of `paths` that differ from their copies, which `open` opens.
    ///
    /// # Errors
    /// The data of a file is malformed, or a copy cannot be read.
    pub fn differing_files<'p, R: Read>(
        &self,
        paths: impl IntoIterator<Item = &'p UsrPath>,
        mut open: impl FnMut(&UsrPath) -> Result<R>,
    ) -> Result<Vec<UsrPath>> {
        let files = self.layouts_in_read_order(paths);
        let mut blocks = self.block_reader()?;
        let mut differing = Vec::new();
        for (path, layout) in files {
            let is_same = has_same_content(&mut blocks, layout, open(path)?);
            if !is_same.with_context(|| format!("cannot read {path}"))? {
                differing.push(path.clone());
            }
        }
        Ok(differing)
    }

    /// The whole content of the regular file at `path`; `None` if the image has no such file.
    ///
    /// # Errors
    /// It is larger than `max` bytes, or the image is malformed there.
    pub fn read_file(&self, path: &UsrPath, max: u64) -> Result<Option<Vec<u8>>> {
        let Some((_, layout)) = self.layout(path) else { return Ok(None) };
        if layout.size > max {
            return Err(Error::failed(format!("{path} has {} bytes, expected at most {max}", layout.size)));
        }
        self.block_reader()?.read(layout, 0..layout.size).map(Some)
    }

    /// Passes the content of these regular files to `visit` in pieces of at most 1 MiB, file after file; an empty file
    /// is one empty piece. Paths that are not regular files of the image are skipped.
    ///
    /// # Errors
    /// The image is malformed where one of the files is.
    pub fn for_each_piece<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p UsrPath>,
        mut visit: impl FnMut(&UsrPath, &[u8]),
    ) -> Result<()> {
        let mut blocks = self.block_reader()?;
        for (path, layout) in self.layouts_in_read_order(paths) {
            for part in pieces(layout) {
                visit(path, &blocks.read(layout, part)?);
            }
        }
        Ok(())
    }

    /// The layouts of these files without duplicates, in the order of their data: each fragment block is decompressed once.
    fn layouts_in_read_order<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p UsrPath>,
    ) -> Vec<(&UsrPath, &FileLayout)> {
        let mut files: Vec<_> = paths.into_iter().filter_map(|path| self.layout(path)).collect();
        files.sort_by_key(|(path, layout)| (layout.fragment, layout.start, *path));
        files.dedup_by_key(|(path, _)| *path);
        files
    }

    pub(super) fn layout(&self, path: &UsrPath) -> Option<(&UsrPath, &FileLayout)> {
        let at = self.tables.files.binary_search_by(|(known, _)| known.cmp(path)).ok()?;
        self.tables.files.get(at).map(|(path, layout)| (path, layout))
    }

    fn read_file_infos_sequentially<'f>(
        &self,
        wanted: impl IntoIterator<Item = &'f (&'f UsrPath, &'f FileLayout)>,
    ) -> Result<Vec<(UsrPath, FileInfo)>> {
        let mut blocks = self.block_reader()?;
        let mut read = Vec::new();
        for &(path, layout) in wanted {
            let info = self.limits.inspect_parts(path, layout.size, |part| blocks.read(layout, part));
            read.push((path.clone(), info.with_context(|| format!("cannot read {path}"))?));
        }
        Ok(read)
    }
}

impl FileInfoReader for UsrSquashfs {
    /// Paths that are not regular files of the image are skipped.
    fn read_infos(&self, paths: &[UsrPath]) -> Result<Vec<(UsrPath, FileInfo)>> {
        let wanted = self.layouts_in_read_order(paths);
        let bytes: u64 = wanted.iter().map(|(_, layout)| layout.size).sum();
        let threads = match bytes < MIN_PARALLEL_BYTES {
            true => 1,
            false => thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS),
        };
        let queue = Mutex::new(wanted.chunks(FILES_AT_ONCE));
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let read = || self.read_file_infos_sequentially(std::iter::from_fn(next).flatten());
        thread::scope(|scope| {
            let what = "the image reader";
            // Where the system refuses another thread, fewer read.
            let reading: Vec<_> = (1..threads).map_while(|_| spawn_scoped(scope, read).ok()).collect();
            let own = catch_panic(what, read).flatten();
            let joined = reading.into_iter().map(|part| panic_to_error(what, part.join()).flatten());
            let parts: Vec<_> = joined.chain([own]).collect();
            let mut all = Vec::with_capacity(wanted.len());
            for part in parts {
                all.extend(part?);
            }
            Ok(all)
        })
    }
}

impl Drop for UsrSquashfs {
    /// Closes the file in a thread: it has no name, so that closing frees its pages, which takes tens of milliseconds.
    /// If no thread can be started, the file is closed here.
    fn drop(&mut self) {
        let squashfs = self.squashfs.take();
        let _ = thread::Builder::new().spawn(move || drop(squashfs));
    }
}

/// Whether a copy has exactly the bytes of a file.
fn has_same_content(blocks: &mut BlockReader<'_>, layout: &FileLayout, mut copy: impl Read) -> Result<bool> {
    for part in pieces(layout) {
        // At the end of the file, one more byte is requested, which the copy must not have.
        let count = part.end - part.start + u64::from(part.end == layout.size);
        let mut bytes = Vec::new();
        copy.by_ref().take(count).read_to_end(&mut bytes).with_context(|| "the copy cannot be read")?;
        if bytes != blocks.read(layout, part)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The parts of a file of at most 1 MiB each; one empty part of an empty file.
fn pieces(layout: &FileLayout) -> impl Iterator<Item = Range<u64>> {
    let size = layout.size;
    (0..size.max(1)).step_by(PIECE as usize).map(move |start| start..size.min(start + PIECE))
}
