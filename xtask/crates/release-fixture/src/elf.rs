//! Stub ELF files with the headers and dynamic section that the loader reads, but without code.
//!
//! One `PT_LOAD` maps the whole file at address 0, so that each address is a file offset. A stub has no section headers: the
//! loader reads none.

use coreos_types::Board;
use usr::{
    DlopenPriority, ElfInfo,
    elf::{DlopenNote, Filtee, FilterKind, VersionNeed},
};

mod encoding;
mod versions_and_notes;
mod writer;

/// One stub, described by the [`ElfInfo`] that a parser of its bytes returns.
#[derive(Debug, Clone)]
pub struct ElfStub {
    info: ElfInfo,
}

impl ElfStub {
    /// A library of a board with a soname.
    pub fn library(board: Board, soname: &str) -> ElfStub {
        let mut stub = ElfStub::bare(board);
        stub.info.soname = Some(soname.to_owned());
        stub
    }

    /// A program of a board, with the loader of the board's programs.
    pub fn program(board: Board) -> ElfStub {
        ElfStub::bare(board).interp(match board {
            Board::Amd64 => "/lib64/ld-linux-x86-64.so.2",
            Board::Arm64 => "/lib/ld-linux-aarch64.so.1",
        })
    }

    /// A program that is linked statically: it has no dynamic section and no dependencies.
    pub fn static_program(board: Board) -> ElfStub {
        let mut stub = ElfStub::bare(board);
        stub.info.has_dynamic_section = false;
        stub
    }

    fn bare(board: Board) -> ElfStub {
        let machine = board.elf_machine();
        ElfStub { info: ElfInfo { is_64: true, machine, has_dynamic_section: true, ..ElfInfo::default() } }
    }

    /// Adds `DT_NEEDED` entries, in this order.
    pub fn needs<'a>(mut self, sonames: impl IntoIterator<Item = &'a str>) -> ElfStub {
        self.info.needed.extend(sonames.into_iter().map(str::to_owned));
        self
    }

    /// Sets `PT_INTERP`.
    pub fn interp(mut self, loader: &str) -> ElfStub {
        self.info.interp = Some(loader.to_owned());
        self
    }

    /// Sets `DT_RPATH`, directories joined by colons.
    pub fn rpath(mut self, directories: &str) -> ElfStub {
        self.info.rpath = directories.split(':').map(str::to_owned).collect();
        self
    }

    /// Sets `DT_RUNPATH`, directories joined by colons; an empty text is an entry without directories.
    pub fn runpath(mut self, directories: &str) -> ElfStub {
        let directories = directories.split(':').filter(|_| !directories.is_empty());
        self.info.runpath = Some(directories.map(str::to_owned).collect());
        self
    }

    /// Adds a version that is needed of a library (`DT_VERNEED`).
    pub fn needs_version(mut self, library: &str, version: &str) -> ElfStub {
        let (library, version) = (library.to_owned(), version.to_owned());
        self.info.verneed.push(VersionNeed { library, version, weak: false });
        self
    }

    /// Adds defined versions (`DT_VERDEF`); the base version with the library's name is added with the first.
    pub fn defines_versions<'a>(mut self, versions: impl IntoIterator<Item = &'a str>) -> ElfStub {
        if self.info.verdef.is_empty() {
            self.info.verdef.extend(self.info.soname.clone());
        }
        self.info.verdef.extend(versions.into_iter().map(str::to_owned));
        self
    }

    /// Adds a `.note.dlopen` entry.
    pub fn dlopens(mut self, soname: &str, feature: &str, priority: DlopenPriority) -> ElfStub {
        self.info.dlopen_notes.push(DlopenNote {
            sonames: vec![soname.to_owned()],
            feature: feature.to_owned(),
            description: format!("{feature} by {soname}"),
            priority,
        });
        self
    }

    /// Makes it a 32-bit file of this machine (gABI `e_machine`; 3 is `EM_386`, 40 `EM_ARM`).
    pub fn for_32_bit(mut self, machine: u16) -> ElfStub {
        self.info.is_64 = false;
        self.info.machine = machine;
        self
    }

    /// Sets `DF_1_NODEFLIB`: the default directories are not searched for its dependencies.
    pub fn nodeflib(mut self) -> ElfStub {
        self.info.nodeflib = true;
        self
    }

    /// Makes it a loader with these built-in directories, spelled `/usr/lib64/`.
    pub fn as_loader<'a>(mut self, directories: impl IntoIterator<Item = &'a str>) -> ElfStub {
        self.info.system_dirs = directories.into_iter().map(str::to_owned).collect();
        self.info.searches_legacy_hwcaps = true;
        self
    }

    /// Adds a `DT_FILTER` entry after the needed libraries so far.
    pub fn filter(self, soname: &str) -> ElfStub {
        self.with_filter(soname, FilterKind::Filter)
    }

    /// Adds a `DT_AUXILIARY` entry after the needed libraries so far.
    pub fn auxiliary(self, soname: &str) -> ElfStub {
        self.with_filter(soname, FilterKind::Auxiliary)
    }

    fn with_filter(mut self, soname: &str, kind: FilterKind) -> ElfStub {
        let position = self.info.needed.len();
        self.info.filters.push(Filtee { name: soname.to_owned(), kind, position });
        self
    }

    /// Adds a systemd version to its strings, `229` or `252.39-1`.
    pub fn systemd_version(mut self, version: &str) -> ElfStub {
        self.info.systemd_version = Some(version.to_owned());
        self
    }

    /// The info that a parser of [`ElfStub::bytes`] returns.
    pub fn info(&self) -> &ElfInfo {
        &self.info
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        writer::encode_elf(&self.info)
    }
}
