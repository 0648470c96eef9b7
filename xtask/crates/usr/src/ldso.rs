//! A model of glibc's dynamic loader, ld.so(8): which files a program loads, and by which search path.
//!
//! Objects are loaded breadth first through `DT_NEEDED`, in the context of one program. A name that is the
//! soname or the requested name of a loaded object is not searched again; so a library without a RUNPATH finds a library
//! that only its program's RUNPATH reaches. A stage1 has neither `etc/ld.so.conf` nor a cache of it, so none is
//! modelled. The model's processor is the baseline of its architecture: libraries in `glibc-hwcaps/x86-64-v2` and above
//! are for some processors only, and are not found.

mod arch;
mod dynamic_string_tokens;
mod link_map;
mod load_result;
mod search_dir;
#[cfg(test)]
mod tests;
mod unreachable_library;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::path::UsrPath;
use super::tree::{ResolutionEnd, UsrTree};
use coreos_types::Board;
use link_map::UndefinedVersions;
pub use load_result::{FoundVia, LoadResult, NeededEntry, NotFound, Object, Rejected, UndefinedVersion};
use search_dir::{Directory, SearchDir};
pub use unreachable_library::{MissingSymlink, UnreachableLibrary};

/// The work of one loader for all programs and libraries, in lookups of a name in a directory: seven times that of all 565
/// of a Debian release, and 25 times that of those that a stage1 lists.
const MAX_LOOKUPS: usize = 200_000;

/// The lookups that take as long as the start of a load.
const LOOKUPS_PER_LOAD: usize = 8;
/// The bytes of a name or path that take as long as a lookup.
const BYTES_PER_LOOKUP: usize = 64;

/// The loader of one image, or of the root filesystem that was built from it.
///
/// It caches directory lookups between calls, so that many programs cost little more than one. Its work is bounded: after
/// that, each load has an entry in [`LoadResult::fatal`] for its root, and no other results.
pub struct DynamicLoader<'a> {
    tree: &'a UsrTree,
    board: Board,
    library_path: Vec<UsrPath>,
    visible_paths: Option<&'a BTreeSet<UsrPath>>,
    directories: RefCell<HashMap<String, Rc<Directory>>>,
    defaults: RefCell<Defaults>,
    undefined_versions: RefCell<UndefinedVersions<'a>>,
    lookups_left: Cell<usize>,
    /// Whether the current load skipped a file that is not visible.
    has_skipped_invisible: Cell<bool>,
}

/// The default directories by the loader's path and the machine.
type Defaults = HashMap<(Option<UsrPath>, &'static str), Rc<[SearchDir]>>;

impl<'a> DynamicLoader<'a> {
    /// A loader for the files of `tree`. `library_path` is `LD_LIBRARY_PATH`. With `visible_paths`, only these paths exist,
    /// as in the root filesystem that is built from the manifests: a file exists if it and every symlink on the path to it
    /// are in the set; directories need not be.
    pub fn new(
        tree: &'a UsrTree,
        board: Board,
        library_path: Vec<UsrPath>,
        visible_paths: Option<&'a BTreeSet<UsrPath>>,
    ) -> DynamicLoader<'a> {
        DynamicLoader {
            tree,
            board,
            library_path,
            visible_paths,
            directories: RefCell::default(),
            defaults: RefCell::default(),
            undefined_versions: RefCell::default(),
            lookups_left: Cell::new(MAX_LOOKUPS),
            has_skipped_invisible: Cell::new(false),
        }
    }

    /// Counts work that takes as long as `lookups` lookups of a name in a directory.
    fn charge(&self, lookups: usize) {
        self.lookups_left.set(self.lookups_left.get().saturating_sub(lookups));
    }

    fn is_exhausted(&self) -> bool {
        self.lookups_left.get() == 0
    }

    /// Loads the dependencies of the program `root`, or, for a library, those that it has in a program without other
    /// libraries. A root that is not a dynamic ELF file loads nothing.
    pub fn load(&self, root: &UsrPath) -> LoadResult {
        let resolved = self.tree.resolve(root);
        let ResolutionEnd::Node(path) = resolved.end else { return LoadResult::default() };
        self.has_skipped_invisible.set(false);
        let mut result = match self.tree.read_elf_info(&path) {
            Some(info) => {
                self.charge(LOOKUPS_PER_LOAD);
                link_map::LinkMap::new(self, &path, info).load()
            }
            None => LoadResult::default(),
        };
        result.root = Some((resolved.links, path));
        result.has_skipped_invisible = self.has_skipped_invisible.get();
        result
    }

    /// The object that `dlopen(name)` in `by` finds (dlopen(3)) if no other library is loaded; `None` if there is none.
    pub fn resolve_dlopen(&self, by: &UsrPath, name: &str) -> Option<Object> {
        let info = self.tree.read_elf_info(by)?;
        self.charge(LOOKUPS_PER_LOAD);
        if self.is_exhausted() {
            return None;
        }
        let result = link_map::LinkMap::new(self, by, info).load_single_name(name);
        result.objects.into_iter().find(|object| object.requested_name == name)
    }

    /// The systemd directories that rkt puts into `LD_LIBRARY_PATH` (stage1 `init.go`): `lib64/systemd` and
    /// `lib/systemd`, if they are directories, without duplicates.
    pub fn rkt_library_path(tree: &UsrTree) -> Vec<UsrPath> {
        let mut seen = HashSet::new();
        ["lib/systemd", "lib64/systemd"]
            .iter()
            .filter_map(|text| UsrPath::new(text).ok())
            .filter(|path| match tree.resolve(path).end {
                ResolutionEnd::Node(real) => seen.insert(real),
                _ => false,
            })
            .collect()
    }
}
