//! A built root filesystem as a tree of its `usr`, in the form that the tree of an image has.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::bounded_file;
use coreos_types::{Board, Error, ErrorExt, Result, ResultExt};
use usr::{
    FileInfo, Node, NodeKind, UsrPath, UsrTree,
    file_info::{self, ReadBudget},
    lossless_text,
    tree::MAX_NODES,
};

pub(super) struct Rootfs {
    /// Its absolute path.
    pub path: PathBuf,
    /// The board of most of its ELF files.
    pub board: Board,
    /// The nodes below `usr`, with the properties of every file.
    pub tree: UsrTree,
    /// Files below `usr` that differ from the image: the build's own.
    pub build_files: BTreeSet<UsrPath>,
}

const EXPECTED_ROOTFS: &str =
    "a build has one per flavor: --rootfs stage1/build-BOARD/aci-for-FLAVOR-flavor/rootfs";

impl Rootfs {
    /// Reads everything below `path/usr`.
    ///
    /// # Errors
    /// No such directory, a file that cannot be read, or no ELF file of a machine that a board has.
    pub(super) fn read(path: &Path) -> Result<Rootfs> {
        let path = fs::canonicalize(path)
            .with_path("cannot open the root filesystem", path)
            .with_hint(EXPECTED_ROOTFS)?;
        let usr = path.join("usr");
        if !fs::symlink_metadata(&usr).is_ok_and(|found| found.is_dir()) {
            let path = path.display();
            let why = format!("{path} is not the root filesystem of a stage1: it has no usr directory");
            return Err(Error::failed(why).with_hint(EXPECTED_ROOTFS));
        }
        let tree = read_tree(&usr)?;
        let board = majority_board(&tree)
            .ok_or_else(|| Error::failed(format!("{} has no ELF file of a known board", path.display())))?;
        Ok(Rootfs { path, board, tree, build_files: BTreeSet::new() })
    }

    /// Sets `build_files`: every path that differs from `image_files`, the files that the build took from the image.
    pub(super) fn mark_build_files(mut self, image_files: &Rootfs) -> Rootfs {
        let is_taken = |path: &UsrPath, node: &Node| image_files.tree.get(path.as_str()) == Some(node);
        let own = self.tree.iter().filter(|(path, node)| !is_taken(path, node));
        self.build_files = own.map(|(path, _)| path.clone()).collect();
        self
    }

    /// The loader that programs of the board name.
    pub(super) fn loader(&self) -> &'static str {
        match self.board {
            Board::Amd64 => "lib64/ld-linux-x86-64.so.2",
            Board::Arm64 => "lib/ld-linux-aarch64.so.1",
        }
    }

    /// The path of a file on this machine.
    pub(super) fn on_disk(&self, path: &UsrPath) -> PathBuf {
        self.path.join("usr").join(os_path(path))
    }

    /// Every ELF file with a dynamic section that is from the image: what the build added may be linked for the host.
    pub(super) fn dynamic_image_files(&self) -> impl Iterator<Item = &UsrPath> {
        let paths = self.tree.iter().map(|(path, _)| path).filter(|path| !self.build_files.contains(*path));
        paths.filter(|path| match self.tree.read_file_info(path.as_str()) {
            Some(FileInfo::Elf(info)) => info.has_dynamic_section,
            Some(FileInfo::MalformedElf(_)) => true,
            _ => false,
        })
    }

    /// The first of some paths that resolves to a file.
    pub(super) fn first_existing<'p>(&self, paths: &[&'p str]) -> Option<&'p str> {
        paths.iter().copied().find(|path| self.resolve_file(path).is_some())
    }

    /// The path of a file of systemd's directory.
    pub(super) fn systemd_file(&self, name: &str) -> Option<String> {
        let paths = ["lib", "lib64"].map(|lib| format!("{lib}/systemd/{name}"));
        paths.into_iter().find(|path| self.resolve_file(path).is_some())
    }

    /// The file at a path below `usr`, without symlinks; `None` if no file is there.
    pub(super) fn resolve_file(&self, path: &str) -> Option<UsrPath> {
        let file = self.tree.resolve(&UsrPath::new(path).ok()?).end.node()?.clone();
        self.tree.read_file_info(file.as_str()).is_some().then_some(file)
    }

    /// Opens a file whose path has no symlinks. Whatever is there now, this neither waits for a pipe nor opens a device.
    pub(super) fn open(&self, file: &UsrPath) -> Result<File> {
        let opened = bounded_file::open(&self.on_disk(file));
        opened.map(|(opened, _)| opened).with_context(|| format!("cannot read {file}"))
    }

    /// Whether the loader is a stub (an ELF header without code), as in the demo's images: its programs can be neither
    /// linked nor run.
    pub(super) fn has_stub_loader(&self) -> bool {
        let mut header = [0; 64];
        let loader = self.resolve_file(self.loader()).and_then(|loader| self.open(&loader).ok());
        loader.is_some_and(|mut loader| loader.read_exact(&mut header).is_ok()) && is_stub(&header)
    }
}

/// Whether a 64-bit ELF header has no entry point (gABI, "ELF Header": `e_entry` is 0).
fn is_stub(header: &[u8]) -> bool {
    header.starts_with(b"\x7fELF\x02") && header.get(0x18..0x20).is_some_and(|entry| entry == [0; 8])
}

/// A path below `usr` in the bytes of the file system.
pub(super) fn os_path(path: &UsrPath) -> OsString {
    OsString::from_vec(lossless_text::to_bytes(path.as_str()).into_owned())
}

/// Reads everything below a directory.
fn read_tree(usr: &Path) -> Result<UsrTree> {
    let (mut nodes, limits) = (Vec::new(), ReadBudget::new(file_info::MAX_READ));
    let mut todo = vec![(usr.to_owned(), String::new())];
    while let Some((directory, prefix)) = todo.pop() {
        let unreadable = || format!("cannot read {}", directory.display());
        for entry in fs::read_dir(&directory).with_context(unreadable)? {
            let entry = entry.with_context(unreadable)?;
            let text = format!("{prefix}{}", lossless_text::from_bytes(entry.file_name().as_bytes()));
            let Ok(path) = UsrPath::new(&text) else { continue };
            let node = read_node(&entry.path(), &path, &limits)?;
            if node.kind == NodeKind::Directory {
                todo.push((entry.path(), format!("{text}/")));
            }
            nodes.push((path, node));
            if nodes.len() > MAX_NODES {
                let why = format!("{} has more than {MAX_NODES} files and directories", usr.display());
                return Err(Error::failed(why));
            }
        }
    }
    Ok(UsrTree::from_nodes(nodes))
}

fn read_node(file: &Path, path: &UsrPath, limits: &ReadBudget) -> Result<Node> {
    let unreadable = || format!("cannot read {}", file.display());
    let metadata = fs::symlink_metadata(file).with_context(unreadable)?;
    let kind = if metadata.is_dir() {
        NodeKind::Directory
    } else if metadata.is_symlink() {
        let target = fs::read_link(file).with_context(unreadable)?;
        NodeKind::Symlink(lossless_text::from_bytes(target.as_os_str().as_bytes()).into_owned())
    } else if metadata.is_file() {
        let (opened, metadata) = bounded_file::open(file).with_context(unreadable)?;
        let read = |part: Range<u64>| {
            let mut bytes = vec![0; (part.end - part.start) as usize];
            opened.read_exact_at(&mut bytes, part.start).with_context(unreadable)?;
            Ok(bytes)
        };
        NodeKind::file(metadata.len(), limits.inspect_parts(path, metadata.len(), read)?)
    } else {
        NodeKind::Special
    };
    Ok(Node { mode: u16::try_from(metadata.permissions().mode() & 0o7777).unwrap_or_default(), kind })
}

/// The board of most of the ELF files.
fn majority_board(tree: &UsrTree) -> Option<Board> {
    let machines: Vec<u16> =
        tree.iter().filter_map(|(path, _)| Some(tree.read_elf_info(path)?.machine)).collect();
    let count = |board: &Board| machines.iter().filter(|machine| **machine == board.elf_machine()).count();
    Board::ALL.into_iter().max_by_key(count).filter(|board| count(board) > 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use release_fixture::elf::ElfStub;

    use super::*;

    #[test]
    fn only_files_without_code_are_stubs() {
        assert!(is_stub(&ElfStub::library(Board::Amd64, "ld-linux-x86-64.so.2").bytes()));
        let program = fs::read("/proc/self/exe").unwrap();
        assert!(!program.is_empty() && !is_stub(&program));
        for text in ["", "\u{7f}ELF", "#!/bin/sh\n"] {
            assert!(!is_stub(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn sparse_files_are_read_in_parts() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join(["d"; 1000].join("/"));
        fs::create_dir_all(&deep).unwrap();
        let program = ElfStub::program(Board::Amd64).needs(["libx.so"]).bytes();
        for number in 0..100 {
            let path = deep.join(format!("p{number}"));
            fs::write(&path, &program).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
        }
        let tree = read_tree(root.path()).unwrap();
        assert_eq!(tree.len(), 1100);
        assert_eq!(majority_board(&tree), Some(Board::Amd64));
        // Loaders are searched as a whole: 17 of 32 MiB are more than the limit.
        for number in 0..17 {
            let path = root.path().join(format!("ld-{number}.so"));
            fs::write(&path, ElfStub::library(Board::Amd64, "ld.so").bytes()).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_len(32 << 20).unwrap();
        }
        let error = read_tree(root.path()).unwrap_err();
        assert!(error.to_string().contains("headers and loaders have more than 512 MiB"), "{error}");
    }
}
