//! A root filesystem that was built: what is in it, as the same words that the image has.

pub mod compare;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::release::Board;
use usr::file_info::{self, FileInfo};
use usr::lossless_text;
use usr::path::UsrPath;
use usr::tree::{Node, NodeKind, UsrTree};

/// A root filesystem on disk, read whole.
#[derive(Debug, Clone)]
pub struct Rootfs {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// The machine that its programs are for.
    pub board: Board,
    /// What lies below its `usr`, every file's facts read.
    pub tree: UsrTree,
}

impl Rootfs {
    /// Reads what lies below `path/usr`.
    ///
    /// # Errors
    /// No such directory, a file that cannot be read, or no ELF file of a machine that a board has.
    pub fn read(path: &Path) -> Result<Rootfs> {
        let path = fs::canonicalize(path)
            .with_context(|| format!("cannot open the root filesystem {}", path.display()))?;
        let usr = path.join("usr");
        if !usr.is_dir() {
            return Err(Error::failed(format!(
                "{} is no root filesystem of a stage1: it has no usr",
                path.display()
            ))
            .with_hint("cargo xtask smoketest --rootfs BUILDDIR/aci-for-FLAVOR-flavor/rootfs"));
        }
        let mut tree = UsrTree::new();
        walk(&usr, "", &mut tree)?;
        let board = board_of(&tree)
            .ok_or_else(|| Error::failed(format!("{} holds no ELF file of a known board", path.display())))?;
        Ok(Rootfs { path, board, tree })
    }

    /// The place of a path on this machine.
    pub fn on_disk(&self, path: &UsrPath) -> PathBuf {
        self.path.join("usr").join(path.as_str())
    }

    /// Every ELF file that the loader has something to do with: a program or a library with a dynamic section.
    pub fn linked_files(&self) -> impl Iterator<Item = &UsrPath> {
        self.tree.iter().map(|(path, _)| path).filter(|path| match self.tree.file_info(path.as_str()) {
            Some(FileInfo::Elf(info)) => info.dynamic,
            Some(FileInfo::MalformedElf(_)) => true,
            _ => false,
        })
    }

    /// The first of some paths that leads to a file here, as it was asked for.
    pub fn first_of<'p>(&self, paths: &[&'p str]) -> Option<&'p str> {
        paths.iter().copied().find(|text| {
            UsrPath::new(text).is_ok_and(|path| {
                self.tree
                    .resolve(&path)
                    .end
                    .node()
                    .is_some_and(|end| self.tree.file_info(end.as_str()).is_some())
            })
        })
    }
}

fn walk(directory: &Path, inside: &str, tree: &mut UsrTree) -> Result<()> {
    let unreadable = || format!("cannot read {}", directory.display());
    for entry in fs::read_dir(directory).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let text = format!("{inside}{}", lossless_text::from_bytes(entry.file_name().as_bytes()));
        let Ok(path) = UsrPath::new(&text) else { continue };
        let at = entry.path();
        let unreadable = || format!("cannot read {}", at.display());
        let metadata = fs::symlink_metadata(&at).with_context(unreadable)?;
        let kind = if metadata.is_dir() {
            NodeKind::Directory
        } else if metadata.is_symlink() {
            let target = fs::read_link(&at).with_context(unreadable)?;
            NodeKind::Symlink(lossless_text::from_bytes(target.as_os_str().as_bytes()).into_owned())
        } else if metadata.is_file() {
            let bytes = fs::read(&at).with_context(unreadable)?;
            NodeKind::file(metadata.len(), file_info::read(&path, &bytes))
        } else {
            NodeKind::Special
        };
        let is_directory = kind == NodeKind::Directory;
        let mode = u16::try_from(metadata.permissions().mode() & 0o7777).unwrap_or_default();
        tree.insert(path, Node { mode, kind });
        if is_directory {
            walk(&at, &format!("{text}/"), tree)?;
        }
    }
    Ok(())
}

/// The board of most of its ELF files.
fn board_of(tree: &UsrTree) -> Option<Board> {
    let files = |board: &Board| {
        let machine = board.elf_machine();
        let is_of = |path: &UsrPath| matches!(tree.file_info(path.as_str()), Some(FileInfo::Elf(info)) if info.machine == machine);
        tree.iter().filter(|(path, _)| is_of(path)).count()
    };
    Board::ALL.into_iter().max_by_key(files).filter(|board| files(board) > 0)
}
