//! An image as data: the files of a release below `/usr`.

use std::collections::BTreeMap;

use super::elf::ElfStub;
use super::identity_files::identity_files;
use coreos_types::{Board, Release, Vendor};
use usr::{Node, NodeKind, UsrPath, UsrTree, file_info};

/// One image. Paths are relative to `/usr`; no path goes through a directory symlink (`lib` on amd64).
#[derive(Debug, Clone)]
pub struct ImageSpec {
    pub(super) vendor: &'static Vendor,
    /// The board.
    pub board: Board,
    /// The release.
    pub release: Release,
    /// The systemd version in the list of packages, `229` or `252.39`.
    pub(super) systemd: String,
    /// Every file, by path.
    pub files: BTreeMap<UsrPath, NodeSpec>,
}

/// One file of an image.
#[derive(Debug, Clone)]
pub enum NodeSpec {
    /// A stub ELF file.
    Elf(Box<ElfStub>),
    /// Any other regular file.
    Bytes(Vec<u8>),
    /// A symlink and its target.
    Link(String),
    /// A directory, also if it is empty.
    Directory,
}

impl ImageSpec {
    /// An image in the layout that its vendor had for this board, with its identity files.
    ///
    /// CoreOS on amd64 had `lib` as a symlink to `lib64`; Flatcar today has a real `lib`, and `sbin` as a symlink
    /// to `bin`. systemd itself is not included: `systemd` is the version of `lib*/systemd/systemd` once it is
    /// added with [`ImageSpec::program`].
    pub fn new(vendor: &'static Vendor, board: Board, release: &Release, systemd: &str) -> ImageSpec {
        let (release, systemd) = (release.clone(), systemd.to_owned());
        let mut image = ImageSpec { vendor, board, release, systemd, files: BTreeMap::new() };
        match (vendor.id, board) {
            ("coreos", Board::Amd64) => image = image.link("lib", "lib64"),
            ("coreos", Board::Arm64) => {}
            _ => image = image.link("sbin", "bin"),
        }
        for (path, text) in identity_files(vendor, board, &image.release, image.lib_dir_name()) {
            image = image.text(&path, &text);
        }
        image
    }

    /// Adds or replaces a file. A path outside of `/usr` is ignored.
    pub fn put(mut self, path: &str, content: NodeSpec) -> ImageSpec {
        if let Ok(path) = UsrPath::new(path) {
            self.files.insert(path, content);
        }
        self
    }

    /// Removes a file.
    pub fn without(mut self, path: &str) -> ImageSpec {
        self.files.remove(path);
        self
    }

    /// Adds a stub ELF file.
    pub fn elf(self, path: &str, stub: ElfStub) -> ImageSpec {
        self.put(path, NodeSpec::Elf(Box::new(stub)))
    }

    /// Adds a symlink.
    pub fn link(self, path: &str, target: &str) -> ImageSpec {
        self.put(path, NodeSpec::Link(target.to_owned()))
    }

    /// Adds a directory.
    pub fn directory(self, path: &str) -> ImageSpec {
        self.put(path, NodeSpec::Directory)
    }

    /// Adds a text file: a unit or a script.
    pub fn text(self, path: &str, text: &str) -> ImageSpec {
        self.put(path, NodeSpec::Bytes(text.as_bytes().to_vec()))
    }

    /// Adds a program that needs these libraries. The systemd program also has the image's systemd version.
    pub fn program(self, path: &str, needs: &[&str]) -> ImageSpec {
        let mut stub = ElfStub::program(self.board).needs(needs.iter().copied());
        if path.ends_with("/systemd/systemd") {
            stub = stub.systemd_version(&self.systemd);
        }
        self.elf(path, stub)
    }

    /// Adds a library: the real file at `path`, which needs `needs`, and next to it the symlink `soname`, unless the real
    /// file has that name.
    pub fn library(self, path: &str, soname: &str, needs: &[&str]) -> ImageSpec {
        let (directory, real) = path.rsplit_once('/').unwrap_or(("", path));
        let stub = ElfStub::library(self.board, soname).needs(needs.iter().copied());
        let image = if real == soname { self } else { self.link(&format!("{directory}/{soname}"), real) };
        image.elf(path, stub)
    }

    /// Adds a library with its linker name too: `libz.so -> libz.so.1 -> libz.so.1.2.11`.
    pub fn library_with_linker_name(self, path: &str, soname: &str, needs: &[&str]) -> ImageSpec {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let stem = soname.split_once(".so").map_or(soname, |(stem, _)| stem);
        self.link(&format!("{directory}/{stem}.so"), soname).library(path, soname, needs)
    }

    /// The real directory of systemd and os-release.
    pub fn lib_dir_name(&self) -> &'static str {
        match (self.vendor.id, self.board) {
            ("coreos", Board::Amd64) => "lib64",
            _ => "lib",
        }
    }

    /// The tree that a reader of the packed image returns, with every file info, without packing.
    pub fn tree(&self) -> UsrTree {
        UsrTree::from_nodes(
            self.files.iter().map(|(path, content)| (path.clone(), content.node(path))).collect(),
        )
    }
}

impl NodeSpec {
    /// The bytes of a regular file; none for other files.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            NodeSpec::Elf(stub) => stub.bytes(),
            NodeSpec::Bytes(bytes) => bytes.clone(),
            NodeSpec::Link(_) | NodeSpec::Directory => Vec::new(),
        }
    }

    /// The permission bits that a build would set.
    pub(super) fn mode(&self) -> u16 {
        match self {
            NodeSpec::Elf(_) | NodeSpec::Directory => 0o755,
            NodeSpec::Bytes(bytes) if bytes.starts_with(b"#!") => 0o755,
            NodeSpec::Bytes(_) => 0o644,
            NodeSpec::Link(_) => 0o777,
        }
    }

    fn node(&self, path: &UsrPath) -> Node {
        let kind = match self {
            NodeSpec::Elf(_) | NodeSpec::Bytes(_) => {
                let bytes = self.bytes();
                NodeKind::file(bytes.len() as u64, file_info::inspect(path, &bytes))
            }
            NodeSpec::Link(target) => NodeKind::Symlink(target.clone()),
            NodeSpec::Directory => NodeKind::Directory,
        };
        Node { mode: self.mode(), kind }
    }
}
