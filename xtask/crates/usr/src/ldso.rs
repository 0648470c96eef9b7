//! What the loader would find, for whom, and how (ld.so(8)).
//!
//! The model is glibc's: breadth first through `DT_NEEDED`, in the context of one program. A name that an object
//! loaded before answers to is not searched again; that is how a library without a RUNPATH of its own finds what
//! only its program's RUNPATH reaches. A stage1 has no `ld.so.cache`, so none is modelled.

mod arch;
mod dst;
mod ld_so_conf;
mod load;
mod search_path;
#[cfg(test)]
mod tests;
mod unreachable;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use super::file_info::FileInfo;
use super::path::UsrPath;
use super::tree::{Target, UsrTree};
use coreos_types::release::Board;
use search_path::{Directory, SearchDir};
pub use unreachable::{MissingSymlink, UnreachableLibrary};

/// The loader of one image, or of the root filesystem that was built from it.
///
/// It keeps what it found between calls, so that many programs cost little more than one.
pub struct DynamicLoader<'a> {
    tree: &'a UsrTree,
    board: Board,
    library_path: Vec<UsrPath>,
    present: Option<&'a BTreeSet<UsrPath>>,
    directories: RefCell<BTreeMap<String, Rc<Directory>>>,
    defaults: RefCell<Defaults>,
}

/// The default directories by the loader's path and the machine.
type Defaults = BTreeMap<(Option<UsrPath>, &'static str), Rc<[SearchDir]>>;

/// What one program or library loads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadResult {
    /// The symlinks on the way to the file that was asked about, and the file; `None` where there is no such file.
    pub root: Option<(Vec<UsrPath>, UsrPath)>,
    /// Every object in the order of loading, without the root itself; the interpreter comes first.
    pub objects: Vec<Object>,
    /// Every `DT_NEEDED` of the root and of the objects, in the order of asking.
    pub needs: Vec<NeededEntry>,
    /// Names that were found nowhere.
    pub missing: Vec<NotFound>,
    /// Files that bear a needed name and were passed over, as the loader does, because they are for another
    /// machine or class.
    pub wrong_machine: Vec<Rejected>,
    /// Files that bear a needed name and that the loader would stop at: no ELF file, or a broken one.
    pub broken: Vec<Rejected>,
    /// Symbol versions that the library found does not define: the loader would stop.
    pub version_errors: Vec<VersionError>,
}

/// One object that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The regular file.
    pub path: UsrPath,
    /// The name by which it was first asked for, as in `DT_NEEDED` or `PT_INTERP`.
    pub requested_name: String,
    /// The symlinks that were followed on the way, links of directories (`lib`) included, in order.
    pub links: Vec<UsrPath>,
    /// Who first asked for it.
    pub needed_by: UsrPath,
    /// How it was found.
    pub how: FoundVia,
}

/// How an object was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FoundVia {
    /// It is the program's `PT_INTERP`, or the loader itself.
    Interp,
    /// The name holds a slash: a path.
    Path,
    /// In a directory of the `DT_RPATH` of this object.
    RpathOf(UsrPath),
    /// In a directory of the `DT_RUNPATH` of this object.
    RunpathOf(UsrPath),
    /// In this directory of `LD_LIBRARY_PATH`.
    LibraryPath(UsrPath),
    /// In this directory, which is built into the image's loader, as the loader spells it.
    Default(String),
    /// In this directory of the board (`lib64`, `lib`), of which the image's loader is not known to search it.
    BoardDefault(String),
    /// In this directory of the image's `etc/ld.so.conf`; the loader itself needs a cache for that.
    LdSoConf(String),
}

impl fmt::Display for FoundVia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FoundVia::Interp => f.write_str("interpreter"),
            FoundVia::Path => f.write_str("path"),
            FoundVia::RpathOf(object) => write!(f, "RPATH of {object}"),
            FoundVia::RunpathOf(object) => write!(f, "RUNPATH of {object}"),
            FoundVia::LibraryPath(directory) => write!(f, "LD_LIBRARY_PATH {directory}"),
            FoundVia::Default(directory) => write!(f, "default directory {directory}"),
            FoundVia::BoardDefault(directory) => write!(f, "the board's directory {directory}"),
            FoundVia::LdSoConf(directory) => write!(f, "ld.so.conf directory {directory}"),
        }
    }
}

/// One `DT_NEEDED` and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededEntry {
    /// Who asks.
    pub needed_by: UsrPath,
    /// For what.
    pub name: String,
    /// The index in [`LoadResult::objects`]; `None` where it is missing, or is the root itself.
    pub object: Option<usize>,
}

/// A name that was found nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// As in `DT_NEEDED` or `PT_INTERP`.
    pub name: String,
    /// Who first asked for it.
    pub needed_by: UsrPath,
    /// Where it was looked for, in order, each with whose path that is.
    pub searched: Vec<String>,
}

/// A file that bears the name and cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The file.
    pub path: UsrPath,
    /// Who asked for it.
    pub needed_by: UsrPath,
    /// Why not.
    pub why: String,
}

/// A symbol version that the library found does not define.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionError {
    /// The library that was found.
    pub library: UsrPath,
    /// The version it lacks.
    pub version: String,
    /// Who needs it.
    pub needed_by: UsrPath,
}

impl<'a> DynamicLoader<'a> {
    /// A loader for the files of `tree`. `library_path` is `LD_LIBRARY_PATH`. With `present`, only these paths exist,
    /// as in the root filesystem that is built from the manifests: a file is there if it and every symlink on its
    /// way are in the set; directories need not be.
    pub fn new(
        tree: &'a UsrTree,
        board: Board,
        library_path: Vec<UsrPath>,
        present: Option<&'a BTreeSet<UsrPath>>,
    ) -> DynamicLoader<'a> {
        DynamicLoader {
            tree,
            board,
            library_path,
            present,
            directories: RefCell::default(),
            defaults: RefCell::default(),
        }
    }

    /// What the loader does when `root` is started, or, for a library, when it is loaded alone.
    ///
    /// A root that is no dynamic ELF file needs nothing.
    pub fn load(&self, root: &UsrPath) -> LoadResult {
        let resolved = self.tree.resolve(root);
        let Target::Node(path) = resolved.end else { return LoadResult::default() };
        match self.tree.file_info(path.as_str()) {
            Some(FileInfo::Elf(info)) => {
                let mut load = load::Scope::of(self, &path, info).run();
                load.root = Some((resolved.links, path));
                load
            }
            _ => LoadResult { root: Some((resolved.links, path)), ..LoadResult::default() },
        }
    }

    /// What `dlopen(name)` in `by` finds (dlopen(3)), apart from what its program may have loaded before.
    pub fn dlopen(&self, by: &UsrPath, name: &str) -> Option<Object> {
        let Some(FileInfo::Elf(info)) = self.tree.file_info(by.as_str()) else { return None };
        let load = load::Scope::of(self, by, info).ask(name);
        load.objects.into_iter().find(|object| object.requested_name == name)
    }

    /// The systemd directories that rkt puts into `LD_LIBRARY_PATH`: `lib64/systemd` and `lib/systemd`, those of
    /// them that are directories, each once.
    pub fn systemd_directories(tree: &UsrTree) -> Vec<UsrPath> {
        let mut seen = BTreeSet::new();
        ["lib/systemd", "lib64/systemd"]
            .iter()
            .filter_map(|text| UsrPath::new(text).ok())
            .filter(|path| match tree.resolve(path).end {
                Target::Node(real) => seen.insert(real),
                _ => false,
            })
            .collect()
    }
}
