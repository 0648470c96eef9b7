//! The image's programs and libraries by name and by stem, to find replacements of missing paths.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use super::selection::Selection;
use super::unsatisfied_dependencies::UnsatisfiedDependencies;
use usr::{
    DlopenPriority, FileInfo, LibraryName, NameKind, NodeKind, ResolutionEnd, UsrPath, UsrTree,
    name_index::NameIndex,
};

/// What the directory of a path is for, by its first component: `bin` for programs, `lib` for libraries. A replacement
/// is searched among the paths of the same use.
pub fn directory_use(path: &UsrPath) -> &str {
    match path.components().next().unwrap_or_default() {
        "sbin" => "bin",
        "lib64" | "libexec" => "lib",
        first => first,
    }
}

/// Whether programs of this directory are found by name.
pub fn is_program_directory(directory: &UsrPath) -> bool {
    matches!(directory.as_str(), "bin" | "sbin")
}

/// Whether a path has a name that only files have: in a directory of programs, or with an extension. Directories of
/// systemd and others have extensions too (`.d`, `.wants`).
pub fn looks_like_file(path: &UsrPath) -> bool {
    const OF_DIRECTORIES: [&str; 4] = ["d", "wants", "requires", "upholds"];
    let extension = path.name().rsplit_once('.').map(|(_, extension)| extension);
    path.parent().is_some_and(|directory| is_program_directory(&directory))
        || LibraryName::from_path(path).is_some()
        || extension.is_some_and(|extension| {
            extension.starts_with(|c: char| c.is_ascii_alphabetic()) && !OF_DIRECTORIES.contains(&extension)
        })
}

/// The first components of programs and libraries; paths below `share` are never candidates.
const INDEXED_DIRECTORIES: &[&str] = &["bin", "sbin", "lib", "lib64", "libexec"];

/// Most paths of one name, or of one library, that are looked at; real programs and libraries have a tenth of that.
pub const MAX_SAME_NAME: usize = 100;

/// Most missing names with candidates by their words; a real bump has fewer.
const MAX_WORD_SEARCHES: usize = 500;

/// Most candidates of one missing path.
const MAX_CANDIDATES: usize = 5;

/// The dependencies that are remembered: those of two flavors, before and after a fix.
const MAX_REPORTS: usize = 4;

/// Directories that the loader of every board, or the `LD_LIBRARY_PATH` that rkt sets, searches.
const LIBRARY_DIRECTORIES: &[&str] = &["lib64", "lib", "lib/systemd", "lib64/systemd"];

/// The paths of an image by name and by library stem. Built once per image.
#[derive(Debug)]
pub struct ImageIndex<'a> {
    /// The image.
    pub tree: &'a UsrTree,
    /// The minimum priority of `.note.dlopen` entries that are dependencies; `None` if none is.
    pub min_dlopen_priority: Option<DlopenPriority>,
    /// The last selections and their dependencies: fixes and checks look at the same selection several times.
    dependencies: RefCell<VecDeque<(BTreeSet<UsrPath>, Rc<UnsatisfiedDependencies>)>>,
    /// The nodes of `bin`, `sbin` and the library directories.
    pub names: NameIndex<'a>,
    loader_search_directories: BTreeSet<UsrPath>,
    /// The remaining number of searches by words; each search reads all names.
    word_searches: Cell<usize>,
}

impl<'a> ImageIndex<'a> {
    /// Indexes `bin`, `sbin` and the library directories.
    pub fn new(tree: &'a UsrTree, min_dlopen_priority: Option<DlopenPriority>) -> ImageIndex<'a> {
        let names = NameIndex::below(tree, INDEXED_DIRECTORIES);
        let loaders = names.starting_with("ld").into_iter().filter_map(|path| tree.read_elf_info(path));
        let built_in =
            loaders.flat_map(|elf| &elf.system_dirs).filter_map(|path| UsrPath::from_rootfs_path(path).ok());
        let fixed = LIBRARY_DIRECTORIES.iter().filter_map(|path| UsrPath::new(path).ok());
        let resolved = |path: UsrPath| tree.resolve(&path).end.node().cloned();
        ImageIndex {
            tree,
            min_dlopen_priority,
            dependencies: RefCell::default(),
            loader_search_directories: fixed.chain(built_in).filter_map(resolved).collect(),
            word_searches: Cell::new(MAX_WORD_SEARCHES),
            names,
        }
    }

    /// The unsatisfied dependencies of a selection of the image.
    pub fn dependencies(&self, selection: &Selection<'_>) -> Rc<UnsatisfiedDependencies> {
        let mut known = self.dependencies.borrow_mut();
        if let Some((_, report)) = known.iter().find(|(paths, _)| *paths == selection.paths) {
            return Rc::clone(report);
        }
        let has_copies = |path: &UsrPath| self.names.with_name(path.name()).nth(1).is_some();
        let report = UnsatisfiedDependencies::scan(selection, self.min_dlopen_priority, has_copies);
        let report = Rc::new(report);
        known.truncate(MAX_REPORTS - 1);
        known.push_front((selection.paths.clone(), Rc::clone(&report)));
        report
    }

    /// The paths with this last component; none if there are more than a real file has, because no replacement is certain
    /// then.
    pub fn with_name_unless_too_many(&self, name: &str) -> Vec<&'a UsrPath> {
        let paths: Vec<&UsrPath> = self.names.with_name(name).take(MAX_SAME_NAME + 1).collect();
        if paths.len() > MAX_SAME_NAME { Vec::new() } else { paths }
    }

    /// The libraries of this stem; none if there are more than a real library has.
    pub fn with_stem_unless_too_many(&self, stem: &str) -> &[&'a UsrPath] {
        Some(self.names.with_stem(stem)).filter(|all| all.len() <= MAX_SAME_NAME).unwrap_or_default()
    }

    /// Parses the file name of a path. A version before `.so` belongs to the stem where the image has libraries of that
    /// stem: `libglib-2.0.so` is then the linker name of `libglib-2.0.so.0`.
    pub fn library_name<'n>(&self, path: &'n UsrPath) -> Option<LibraryName<'n>> {
        let parsed = LibraryName::from_path(path)?;
        if parsed.kind != NameKind::DashedRealName {
            return Some(parsed);
        }
        let has_version = |path: &&UsrPath| {
            LibraryName::from_path(*path).is_some_and(|name| name.kind != NameKind::LinkerName)
        };
        let has_soname = |stem: &str| self.names.with_stem(stem).iter().any(has_version);
        let linker_name =
            LibraryName::parse_linker_name(path.name()).filter(|linker| has_soname(linker.stem));
        Some(linker_name.unwrap_or(parsed))
    }

    /// Whether a path is, or points to, a file that can be a shared library: an ELF file, or any file of a tree with
    /// names only. A dangling symlink can be one, too.
    pub fn can_be_library(&self, path: &UsrPath) -> bool {
        let target = self.tree.resolve(path).end;
        let Some(file) = target.node() else { return self.is_symlink(path) };
        if !self.is_file(file) {
            return false;
        }
        let knows_names_only = !self.tree.has_reader() && self.tree.known_file_info(file.as_str()).is_none();
        let info = self.tree.read_file_info(file.as_str());
        knows_names_only || matches!(info, Some(FileInfo::Elf(_) | FileInfo::MalformedElf(_)))
    }

    /// The soname of a regular file.
    pub fn soname(&self, path: &UsrPath) -> Option<&str> {
        self.tree.read_elf_info(path)?.soname.as_deref()
    }

    /// Whether the loader searches this directory for every program: one of the default directories, those built into
    /// the image's loader, and `lib*/systemd`, which rkt adds to `LD_LIBRARY_PATH`.
    pub fn is_loader_search_directory(&self, directory: &UsrPath) -> bool {
        self.loader_search_directories.contains(directory)
    }

    /// Whether a node is a regular file.
    pub fn is_file(&self, path: &UsrPath) -> bool {
        self.tree.get(path.as_str()).is_some_and(|node| node.kind.is_file())
    }

    /// Whether a path is a directory, or a symlink to one.
    pub fn resolves_to_directory(&self, path: &UsrPath) -> bool {
        match self.tree.resolve(path).end {
            ResolutionEnd::Node(end) => {
                self.tree.get(end.as_str()).is_some_and(|n| n.kind == NodeKind::Directory)
            }
            end => end == ResolutionEnd::UsrRoot,
        }
    }

    /// Whether a node is a symbolic link.
    pub fn is_symlink(&self, path: &UsrPath) -> bool {
        matches!(self.tree.get(path.as_str()).map(|node| &node.kind), Some(NodeKind::Symlink(_)))
    }

    /// Candidates for a missing path, for a manual decision: libraries of the same stem, files of the same name, else
    /// programs with every word of the name (`systemd-socket-activate` for `systemd-activate`).
    pub fn similar_names(&self, path: &UsrPath) -> Vec<&'a UsrPath> {
        let mut similar: Vec<&'a UsrPath> = match LibraryName::from_path(path) {
            Some(library) => {
                let all = self.names.with_stem(library.stem).iter().copied();
                all.filter(|other| self.can_be_library(other)).take(MAX_CANDIDATES).collect()
            }
            None => {
                let all = self.names.with_name(path.name()).take(MAX_SAME_NAME);
                let files = all.filter(|path| !self.resolves_to_directory(path));
                let files: Vec<&UsrPath> = files.take(MAX_CANDIDATES).collect();
                if files.is_empty() { self.with_all_words(path.name()) } else { files }
            }
        };
        similar.sort();
        similar.truncate(MAX_CANDIDATES);
        similar
    }

    fn with_all_words(&self, name: &str) -> Vec<&'a UsrPath> {
        let words: BTreeSet<&str> = name.split(['-', '_', '.']).collect();
        // A single word is too ambiguous.
        let Some(left) = self.word_searches.get().checked_sub(1).filter(|_| words.len() > 1) else {
            return Vec::new();
        };
        self.word_searches.set(left);
        // The comparison of substrings is fast, and few names have all of them.
        let has_all = |other: &str| {
            words.iter().all(|word| other.contains(word))
                && words.is_subset(&other.split(['-', '_', '.']).collect())
        };
        self.names.iter().filter(|(other, _)| has_all(other)).map(|(_, path)| path).collect()
    }
}
