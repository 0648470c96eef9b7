//! What an ELF file says to the loader (System V gABI, "Dynamic Linking"; LSB, "Symbol Versioning").

mod dlopen_note;
mod parse;
pub(crate) mod partial_file;

use partial_file::PartialFile;

/// What the loader reads of one ELF file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ElfInfo {
    /// 64-bit (`ELFCLASS64`) rather than 32-bit.
    pub is_64: bool,
    /// Big-endian (`ELFDATA2MSB`).
    pub big_endian: bool,
    /// `e_machine`.
    pub machine: u16,
    /// `PT_INTERP`, the loader a program asks for.
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
    pub filters: Vec<Filter>,
    /// `DF_1_NODEFLIB`: the default directories are not searched for its needs.
    pub nodeflib: bool,
    /// `DT_VERNEED`: by library name, the symbol versions needed of it and whether each is weak.
    pub verneed: Vec<VersionNeed>,
    /// `DT_VERDEF`: the symbol versions it defines, the base one included. Empty where it has no such table:
    /// the loader then lets every need pass.
    pub verdef: Vec<String>,
    /// `.note.dlopen` entries.
    pub dlopen: Vec<DlopenNote>,
    /// Has a dynamic section at all: a static program needs nothing.
    pub dynamic: bool,
    /// The reason why the loader stops at this file where it is needed, whatever the machine.
    pub unloadable: Option<String>,
    /// Of a loader (`ld-linux*.so.*`): the directories built into it, as it spells them (`/usr/lib64/`).
    pub system_dirs: Vec<String>,
    /// Of a loader: whether it searches the subdirectories of old glibc, `tls` and `x86_64`.
    pub legacy_hwcaps: bool,
    /// Of a program that is known to start others: the absolute paths of these in its text.
    pub exec_paths: Vec<String>,
    /// Of the `systemd` program: the version string in its text (`229`, `252.39-1`).
    pub systemd_version: Option<String>,
}

/// A library that serves symbols instead of this one (gABI; ld(1) `--filter`, `--auxiliary`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The name.
    pub name: String,
    /// Whether the library may be missing.
    pub kind: FilterKind,
    /// How many `DT_NEEDED` entries are in front of it.
    pub position: usize,
}

/// The two kinds of filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterKind {
    /// `DT_FILTER`: the loader stops if the library is missing.
    Filter,
    /// `DT_AUXILIARY`: the loader does without it.
    Auxiliary,
}

/// One version needed of one library.
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
    /// The sonames that serve, the preferred first.
    pub sonames: Vec<String>,
    /// What for.
    pub feature: String,
    /// For people.
    pub description: String,
    /// How much it matters.
    pub priority: DlopenPriority,
}

/// How much a library that is loaded by name matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum DlopenPriority {
    Required,
    Recommended,
    Suggested,
}

impl ElfInfo {
    /// Whether the loader looks for other files on its behalf.
    pub fn has_dependencies(&self) -> bool {
        !self.needed.is_empty() || !self.filters.is_empty()
    }
}

impl DlopenPriority {
    /// The word in the note, and of `--dlopen`.
    pub fn id(self) -> &'static str {
        match self {
            DlopenPriority::Required => "required",
            DlopenPriority::Recommended => "recommended",
            DlopenPriority::Suggested => "suggested",
        }
    }
}

/// The first bytes of every ELF file.
pub const MAGIC: &[u8; 4] = b"\x7fELF";

/// Reads an ELF file as the loader does: program headers and `PT_DYNAMIC`, addresses through `PT_LOAD`; section
/// headers serve only for a `.note.dlopen` that no `PT_NOTE` covers. [`ElfInfo::system_dirs`] and
/// [`ElfInfo::systemd_version`] are left for [`super::file_info::read`].
///
/// Time and memory are bounded whatever the bytes: a file that claims more names than any real one is an error.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn parse(bytes: &[u8]) -> Result<ElfInfo, String> {
    parse::parse(&PartialFile::whole(bytes))
}

/// The same of a file of which only some windows were read: the answer, or the part of the file that has to be read
/// before there is one.
pub(crate) fn parse_windows(file: &PartialFile) -> Result<Result<ElfInfo, String>, std::ops::Range<u64>> {
    let parsed = parse::parse(file);
    match file.missed() {
        Some(_) if file.is_too_much() => Ok(Err("its tables lie all over the file".to_owned())),
        Some(part) => Err(part),
        None => Ok(parsed),
    }
}
