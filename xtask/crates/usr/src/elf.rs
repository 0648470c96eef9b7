//! The parts of an ELF file for the dynamic loader (System V gABI, "Dynamic Linking"; LSB, "Symbol Versioning").

mod dlopen_note;
mod headers;
mod parse;
mod partial_file;

use std::ops::Range;

use coreos_types::word_enum;
use partial_file::PartialFile;

/// The fields of one ELF file that the loader reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ElfInfo {
    /// Whether the file is 64-bit (`ELFCLASS64`) rather than 32-bit.
    pub is_64: bool,
    /// Whether the file is big-endian (`ELFDATA2MSB`).
    pub big_endian: bool,
    /// `e_machine`.
    pub machine: u16,
    /// `PT_INTERP`, the program's loader.
    pub interp: Option<String>,
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
    /// `DT_RPATH`, split at colons; an empty element is the working directory.
    pub rpath: Vec<String>,
    /// `DT_RUNPATH`, split at colons; `Some` of no directories for an empty one, which still disables `DT_RPATH`.
    pub runpath: Option<Vec<String>>,
    /// `DT_FILTER` and `DT_AUXILIARY`, in order.
    pub filters: Vec<Filtee>,
    /// `DF_1_NODEFLIB`: the default directories are not searched for its dependencies.
    pub nodeflib: bool,
    /// `DT_VERNEED`: by library name, the symbol versions needed of it and whether each is weak.
    pub verneed: Vec<VersionNeed>,
    /// `DT_VERDEF`: the defined symbol versions, the base one included. Empty without such a table: the loader then
    /// accepts every needed version.
    pub verdef: Vec<String>,
    /// `.note.dlopen` entries.
    pub dlopen_notes: Vec<DlopenNote>,
    /// Whether the file has a dynamic section: a static program has no dependencies.
    pub has_dynamic_section: bool,
    /// The reason why the loader stops at this file on every machine; `None` if it can be loaded.
    pub unloadable_reason: Option<String>,
    /// For a loader (`ld-linux*.so.*`): its built-in directories, as it spells them (`/usr/lib64/`).
    pub system_dirs: Vec<String>,
    /// For a loader: whether it searches the subdirectories of old glibc, `tls` and `x86_64`.
    pub searches_legacy_hwcaps: bool,
    /// For a program of [`super::known_execs`]: the absolute paths of the programs that it starts, from its strings.
    pub exec_paths: Vec<String>,
    /// For the `systemd` program: the version in its strings (`229`, `252.39-1`).
    pub systemd_version: Option<String>,
}

/// A filtee: a library that provides symbols instead of this one (gABI; ld(1) `--filter`, `--auxiliary`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filtee {
    /// The name.
    pub name: String,
    /// Whether the library may be missing.
    pub kind: FilterKind,
    /// The number of `DT_NEEDED` entries before it.
    pub position: usize,
}

/// The two kinds of filters, with their tags in the dynamic section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterKind {
    /// `DT_FILTER`: the loader stops if the library is missing.
    Filter = 0x7fff_ffff,
    /// `DT_AUXILIARY`: the library is optional.
    Auxiliary = 0x7fff_fffd,
}

/// One needed version of one library.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionNeed {
    /// The library, as in `DT_NEEDED`.
    pub library: String,
    /// The version, `GLIBC_2.38`.
    pub version: String,
    /// `VER_FLG_WEAK`: the loader only warns.
    pub weak: bool,
}

/// One entry of `.note.dlopen` (systemd `docs/ELF_DLOPEN_METADATA.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DlopenNote {
    /// The alternative sonames, the preferred one first.
    pub sonames: Vec<String>,
    /// The feature that uses the library.
    pub feature: String,
    /// The description of the feature.
    pub description: String,
    /// The priority.
    pub priority: DlopenPriority,
}

word_enum! {
    /// The priority of a library that is loaded with dlopen(3). The words are those of the note and of `--dlopen`.
    DlopenPriority {
        /// The file does not work without the library.
        Required = "required",
        /// A usual feature needs the library.
        Recommended = "recommended",
        /// A feature that few use needs the library.
        Suggested = "suggested",
    }
}

impl ElfInfo {
    /// The approximate bytes of memory for its names.
    pub(crate) fn memory(&self) -> usize {
        let versions = self.verneed.iter().flat_map(|need| [&need.library, &need.version]);
        let notes = self
            .dlopen_notes
            .iter()
            .flat_map(|note| note.sonames.iter().chain([&note.feature, &note.description]));
        let paths = self.rpath.iter().chain(self.runpath.iter().flatten()).chain(&self.system_dirs);
        let names = self.needed.iter().chain(self.filters.iter().map(|filter| &filter.name));
        let all = names.chain(paths).chain(&self.exec_paths).chain(versions).chain(&self.verdef).chain(notes);
        all.map(|name| name.len() + size_of::<String>() + 16).sum()
    }

    /// Whether the file is a program. Some libraries have an interpreter, too: `libc.so.6` prints its version.
    pub fn is_program(&self) -> bool {
        self.interp.is_some() && self.soname.is_none()
    }

    /// Whether the file has `DT_NEEDED` or filter entries.
    pub fn has_dependencies(&self) -> bool {
        !self.needed.is_empty() || !self.filters.is_empty()
    }
}

/// The first bytes of every ELF file.
pub const MAGIC: &[u8; 4] = b"\x7fELF";

/// Parses an ELF file as the loader does: program headers and `PT_DYNAMIC`, addresses through `PT_LOAD`; section
/// headers are used only for a `.note.dlopen` outside of every `PT_NOTE`. [`super::file_info::inspect`] adds the fields from
/// strings, such as [`ElfInfo::system_dirs`] and [`ElfInfo::systemd_version`].
///
/// Time and memory are bounded for any input: a file with more names than any real one is an error.
///
/// # Errors
/// The reason why the file is malformed.
pub fn parse_headers(bytes: &[u8]) -> Result<ElfInfo, String> {
    parse::parse(&PartialFile::whole(bytes))
}

/// Parses a file of `size` bytes that begins with `start`. `fetch` returns the other parts that the parser needs.
///
/// # Errors
/// Those of `fetch`; the inner error is the reason why the file is malformed.
pub(crate) fn parse_parts<E>(
    size: u64,
    start: Vec<u8>,
    mut fetch: impl FnMut(Range<u64>) -> Result<Vec<u8>, E>,
) -> Result<Result<ElfInfo, String>, E> {
    let mut file = PartialFile::new(size);
    file.add(0, start);
    loop {
        let parsed = parse::parse(&file);
        let Some(part) = file.missed_windows() else { return Ok(parsed) };
        if file.exceeds_budget() {
            return Ok(Err("its tables are spread over too much of the file".to_owned()));
        }
        file.add(part.start, fetch(part)?);
    }
}
