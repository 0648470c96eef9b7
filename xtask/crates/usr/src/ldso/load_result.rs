//! The result of a load: objects, dependencies and errors.

use std::fmt;
use std::sync::Arc;

use crate::path::UsrPath;

/// The objects that one program or library loads, and the errors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadResult {
    /// The symlinks on the path to the root's file, and the file; `None` if the file does not exist.
    pub root: Option<(Vec<UsrPath>, UsrPath)>,
    /// Every object in the order of loading, without the root itself; the interpreter comes first.
    pub objects: Vec<Object>,
    /// Every dependency of the root and of the objects, in the order in which the loader resolves them.
    pub needs: Vec<NeededEntry>,
    /// Names that no searched directory has.
    pub missing: Vec<NotFound>,
    /// Files with a needed name that the loader skips, because they are for another machine or class.
    pub skipped: Vec<Rejected>,
    /// Files with a needed name that the loader stops at: not ELF, malformed, or of a kind that it does not load.
    pub fatal: Vec<Rejected>,
    /// Symbol versions that the resolved library does not define: the loader stops.
    pub undefined_versions: Vec<UndefinedVersion>,
    /// Whether a file that is not visible has a needed name in a searched directory. Without one, the load is the same as
    /// that in the whole tree.
    pub has_skipped_invisible: bool,
}

impl LoadResult {
    /// Whether the loader would run the root: no name is missing, no file rejected, and no version undefined.
    pub fn is_sound(&self) -> bool {
        self.missing.is_empty() && self.fatal.is_empty() && self.undefined_versions.is_empty()
    }

    /// The object that the dependency `name` of `needed_by` resolves to; `None` if it is missing.
    pub fn provider(&self, needed_by: &UsrPath, name: &str) -> Option<&Object> {
        let mut entries = self.needs.iter().filter(|need| need.name == name && need.needed_by == *needed_by);
        self.objects.get(entries.next()?.object?)
    }
}

/// One loaded object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The regular file.
    pub path: UsrPath,
    /// The name by which it was first requested, as in `DT_NEEDED` or `PT_INTERP`, with `$ORIGIN` expanded.
    pub requested_name: String,
    /// The symlinks that were followed to reach it, those of directories (`lib`) included, in order.
    pub links: Vec<UsrPath>,
    /// The object that first requested it.
    pub needed_by: UsrPath,
    /// The search path entry that has it.
    pub found_via: FoundVia,
    /// Whether the lookup would find another file, or none, without `LD_LIBRARY_PATH`.
    pub needs_library_path: bool,
}

impl Object {
    /// The symlinks on the path to the object, then its file: the paths that a manifest has to list.
    pub fn paths(&self) -> impl Iterator<Item = &UsrPath> {
        self.links.iter().chain([&self.path])
    }
}

/// The search path entry by which an object was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FoundVia {
    /// The program's `PT_INTERP`, or the loader itself.
    Interp,
    /// A name that contains a slash, and so is a path.
    Path,
    /// A directory of the `DT_RPATH` of this object.
    RpathOf(UsrPath),
    /// A directory of the `DT_RUNPATH` of this object.
    RunpathOf(UsrPath),
    /// This directory of `LD_LIBRARY_PATH`.
    LibraryPath(UsrPath),
    /// This directory, which is built into the image's loader, as the loader spells it.
    BuiltIn(String),
    /// This library directory of the board, which the image's loader is not known to search.
    BoardDefault(String),
}

impl fmt::Display for FoundVia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FoundVia::Interp => f.write_str("interpreter"),
            FoundVia::Path => f.write_str("path"),
            FoundVia::RpathOf(object) => write!(f, "RPATH of {object}"),
            FoundVia::RunpathOf(object) => write!(f, "RUNPATH of {object}"),
            FoundVia::LibraryPath(directory) => write!(f, "LD_LIBRARY_PATH {directory}"),
            FoundVia::BuiltIn(directory) => write!(f, "default directory {directory}"),
            FoundVia::BoardDefault(directory) => write!(f, "the board's directory {directory}"),
        }
    }
}

/// One `DT_NEEDED`, `DT_FILTER` or `DT_AUXILIARY` entry and the object that it resolves to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededEntry {
    /// The object that has the entry.
    pub needed_by: UsrPath,
    /// The name, with `$ORIGIN` expanded.
    pub name: String,
    /// The index in [`LoadResult::objects`]; `None` if the name is missing, or is the root itself.
    pub object: Option<usize>,
}

/// A name that no searched directory has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// As in `DT_NEEDED` or `PT_INTERP`, with `$ORIGIN` expanded.
    pub name: String,
    /// The object that first requested it.
    pub needed_by: UsrPath,
    /// The searched directories in order, each with its search path.
    pub searched: Arc<[String]>,
}

/// A file of the requested name that cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The file.
    pub path: UsrPath,
    /// The object that requested it.
    pub needed_by: UsrPath,
    /// The reason.
    pub why: String,
}

/// A symbol version that the resolved library does not define.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UndefinedVersion {
    /// The library that was found.
    pub library: UsrPath,
    /// The missing version.
    pub version: String,
    /// The object that needs it.
    pub needed_by: UsrPath,
}
