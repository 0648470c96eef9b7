//! The link map of one program or library: the objects that are loaded for it (glibc `elf/dl-load.c`, `dl-deps.c`).

mod compatibility;
mod object_search_path;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::arch::{interpreter_paths, platform};
use super::search_dir::{Candidate, Interpreter, SearchDir};
use super::{
    BYTES_PER_LOOKUP, DynamicLoader, FoundVia, LoadResult, MAX_LOOKUPS, NeededEntry, NotFound, Object,
    Rejected,
};
use crate::elf::{ElfInfo, FilterKind};
use crate::path::UsrPath;
use compatibility::Compatibility;
pub(super) use compatibility::UndefinedVersions;
use object_search_path::SearchPath;

/// The objects of one link map. A program of a real image loads a tenth of that.
const MAX_OBJECTS: usize = 1024;

/// The objects in the order of loading; index 0 is the root.
pub(super) struct LinkMap<'l, 'a> {
    loader: &'l DynamicLoader<'a>,
    root: &'a ElfInfo,
    entries: Vec<MapEntry<'a>>,
    by_path: HashMap<UsrPath, usize>,
    /// The objects by the names that they were requested by, and by their sonames; `None` for a name that was not found,
    /// where the real loader stops.
    by_name: HashMap<String, Option<usize>>,
    /// The interpreter of a library that is loaded alone: an object once a dependency names it.
    unrequested_interpreter: Option<Interpreter<'a>>,
    /// Whether the root runs in secure-execution mode (ld.so(8)): it is set-user-ID or set-group-ID.
    is_secure: bool,
    /// The machine, if the loader searches the subdirectories of old glibc.
    legacy_hwcaps: Option<&'static str>,
    default_dirs: Rc<[SearchDir]>,
    /// `LD_LIBRARY_PATH` and the default directories: the search path of most objects.
    common_search_path: Rc<SearchPath>,
    lib: String,
    platform: &'static str,
    result: LoadResult,
}

struct MapEntry<'a> {
    path: UsrPath,
    /// `None` for a file that the loader stops at.
    info: Option<&'a ElfInfo>,
    /// The directory for `$ORIGIN`, absolute.
    origin: String,
    /// The object that loaded it; `None` for the root.
    loaded_by: Option<usize>,
    /// The RPATH directories of this object and of those that loaded it, once they are known.
    inherited_rpath_dirs: Option<Rc<[SearchDir]>>,
    /// Whether its dependencies were loaded.
    has_loaded_dependencies: bool,
}

impl<'a> MapEntry<'a> {
    fn new(path: &UsrPath, info: Option<&'a ElfInfo>, origin: String, loaded_by: Option<usize>) -> Self {
        let path = path.clone();
        MapEntry { path, info, origin, loaded_by, inherited_rpath_dirs: None, has_loaded_dependencies: false }
    }
}

impl<'l, 'a> LinkMap<'l, 'a> {
    pub(super) fn new(loader: &'l DynamicLoader<'a>, path: &UsrPath, root: &'a ElfInfo) -> LinkMap<'l, 'a> {
        let origin = path.parent().map_or("/usr".to_owned(), |directory| format!("/usr/{directory}"));
        let mode = loader.tree.get(path.as_str()).map_or(0, |node| node.mode);
        let mut map = LinkMap {
            loader,
            root,
            entries: Vec::new(),
            by_path: HashMap::from([(path.clone(), 0)]),
            by_name: HashMap::new(),
            unrequested_interpreter: None,
            is_secure: root.interp.is_some() && mode & 0o6000 != 0,
            legacy_hwcaps: None,
            default_dirs: Rc::new([]),
            common_search_path: Rc::default(),
            lib: "lib64".to_owned(),
            platform: platform(root, loader.board),
            result: LoadResult::default(),
        };
        map.entries.push(MapEntry::new(path, Some(root), origin, None));
        if let Some(soname) = &root.soname {
            map.by_name.insert(soname.clone(), Some(0));
        }
        map
    }

    pub(super) fn load(mut self) -> LoadResult {
        if !self.root.has_dynamic_section && self.root.interp.is_none() {
            return self.result;
        }
        self.set_up_interpreter_and_dirs();
        // The search list. The loader inserts the filtees of an object before it, and continues with them.
        let mut list: Vec<usize> = (0..self.entries.len()).collect();
        let mut at = 0;
        while let Some(&index) = list.get(at).filter(|_| self.exceeded_limit().is_none()) {
            self.load_dependencies(index, &mut list, at);
            while list.get(at).is_some_and(|&index| self.entries[index].has_loaded_dependencies) {
                at += 1;
            }
        }
        self.check_versions();
        if let Some(why) = self.exceeded_limit() {
            let path = self.entries[0].path.clone();
            self.result.fatal.push(Rejected { needed_by: path.clone(), path, why });
        }
        self.result
    }

    fn exceeded_limit(&self) -> Option<String> {
        if self.loader.is_exhausted() {
            let limit =
                format!("the programs up to this one need more than {MAX_LOOKUPS} lookups of libraries");
            return Some(format!("its libraries were not checked: {limit}"));
        }
        let is_large = self.entries.len() > MAX_OBJECTS;
        is_large.then(|| format!("more than {MAX_OBJECTS} objects are loaded for it"))
    }

    /// Loads the dependencies of one object in the order of its dynamic section (glibc `_dl_map_object_deps`).
    fn load_dependencies(&mut self, index: usize, list: &mut Vec<usize>, at: usize) {
        self.entries[index].has_loaded_dependencies = true;
        let Some(info) = self.entries[index].info.filter(|info| info.has_dependencies()) else { return };
        let search_path = self.object_search_path(index);
        let (mut filters, mut insert_at) = (info.filters.iter().peekable(), at);
        for position in 0..=info.needed.len() {
            while let Some(filter) = filters.next_if(|filter| filter.position <= position) {
                let known = self.entries.len();
                let is_optional = filter.kind == FilterKind::Auxiliary;
                let Some(loaded) = self.load_needed(index, &filter.name, &search_path, is_optional) else {
                    continue;
                };
                match list.iter().position(|&listed| listed == loaded) {
                    Some(late) if late > insert_at => _ = list.remove(late),
                    Some(_) => continue,
                    None if loaded < known => continue,
                    None => {}
                }
                list.insert(insert_at, loaded);
                insert_at += 1;
            }
            let Some(name) = info.needed.get(position) else { break };
            let known = self.entries.len();
            if let Some(loaded) = self.load_needed(index, name, &search_path, false)
                && loaded >= known
            {
                list.push(loaded);
            }
        }
    }

    /// Loads one name for the root, as dlopen(3) does.
    pub(super) fn load_single_name(mut self, name: &str) -> LoadResult {
        self.set_up_interpreter_and_dirs();
        let search_path = self.object_search_path(0);
        self.load_needed(0, name, &search_path, false);
        self.result
    }

    /// Loads or finds the interpreter, and sets what depends on it.
    fn set_up_interpreter_and_dirs(&mut self) {
        let interpreter = match &self.root.interp {
            Some(interp) => self.load_interpreter(interp),
            None => self.find_interpreter(),
        };
        if let Some((_, info)) = &interpreter {
            self.legacy_hwcaps = info.searches_legacy_hwcaps.then_some(self.platform);
            if let Some(first) = info.system_dirs.first() {
                let relative = first.trim_matches('/');
                self.lib = relative.strip_prefix("usr/").unwrap_or(relative).to_owned();
            }
        }
        self.default_dirs = self.loader.default_dirs(interpreter.as_ref(), self.platform);
        let library_path = if self.is_secure { Vec::new() } else { self.loader.library_path_dirs() };
        let mut dirs = self.loader.with_legacy_hwcaps(library_path, self.legacy_hwcaps);
        dirs.extend(self.default_dirs.iter().cloned());
        self.common_search_path = Rc::new(SearchPath::new(dirs));
    }

    /// Loads a program's `PT_INTERP`, before everything else.
    fn load_interpreter(&mut self, path: &str) -> Option<Interpreter<'a>> {
        let Some(candidate) = self.loader.lookup_path(path) else {
            self.record_not_found(path, 0, [path.to_owned()].into());
            return None;
        };
        match self.check_compatibility(&candidate) {
            Compatibility::Compatible(info) => {
                self.find_or_add(path, &candidate, Some(info), 0, FoundVia::Interp);
                Some((candidate, info))
            }
            Compatibility::Skipped(why) | Compatibility::Fatal(why) => {
                self.result.fatal.push(self.rejected(&candidate, 0, why));
                None
            }
        }
    }

    /// Finds the interpreter that programs of a library's machine have. It is loaded once a dependency names it.
    fn find_interpreter(&mut self) -> Option<Interpreter<'a>> {
        let mut paths = interpreter_paths(self.root).iter();
        let candidate = paths.find_map(|path| self.loader.lookup_path(path))?;
        let Compatibility::Compatible(info) = self.check_compatibility(&candidate) else { return None };
        self.unrequested_interpreter = Some((Rc::clone(&candidate), info));
        Some((candidate, info))
    }

    /// Finds the object that a name resolves to, or loads it.
    fn load_needed(
        &mut self,
        by: usize,
        name: &str,
        search_path: &SearchPath,
        is_optional: bool,
    ) -> Option<usize> {
        self.loader.charge(1 + name.len() / BYTES_PER_LOOKUP);
        if self.loader.is_exhausted() {
            return None;
        }
        // glibc expands a name before it compares it with others.
        let expanded;
        let name = if name.contains('$') {
            expanded = self.tokens(by).expand(name);
            self.loader.charge(expanded.len() / BYTES_PER_LOOKUP);
            &expanded
        } else {
            name
        };
        if let Some(known) = self.find_or_add_known(by, name) {
            self.record_needed(by, name, known);
            return known;
        }
        let rejected_before = self.result.fatal.len();
        let found = if name.contains('/') {
            let candidate = self.loader.lookup_path(name).filter(|_| name.starts_with('/'));
            candidate.and_then(|candidate| {
                let info = self.check_and_record(&candidate, by)?;
                Some((candidate, info, FoundVia::Path))
            })
        } else {
            self.search(by, name, search_path)
        };
        if is_optional && !found.as_ref().is_some_and(|(_, info, _)| info.is_some()) {
            self.result.fatal.truncate(rejected_before);
            return None;
        }
        let index = match found {
            Some((candidate, info, how)) => {
                let needs_env = matches!(how, FoundVia::LibraryPath(_))
                    && !self.is_found_without_env(name, search_path, &candidate.path);
                let index = self.find_or_add(name, &candidate, info, by, how);
                if let Some(object) = self.result.objects.get_mut(index.wrapping_sub(1)) {
                    object.needs_library_path |= needs_env;
                }
                Some(index)
            }
            None => {
                let is_path = name.contains('/');
                let searched = if is_path { [name.to_owned()].into() } else { search_path.describe() };
                self.record_not_found(name, by, searched);
                None
            }
        };
        self.record_needed(by, name, index);
        index
    }

    /// The object with a name that was searched before, or that is the interpreter's; the inner `None` if it was not found.
    #[allow(clippy::option_option)]
    fn find_or_add_known(&mut self, by: usize, name: &str) -> Option<Option<usize>> {
        if let Some(known) = self.by_name.get(name) {
            return Some(*known);
        }
        let has_soname = |(_, info): &mut Interpreter<'_>| info.soname.as_deref() == Some(name);
        let (candidate, info) = self.unrequested_interpreter.take_if(has_soname)?;
        Some(Some(self.find_or_add(name, &candidate, Some(info), by, FoundVia::Interp)))
    }

    /// The first file of this name in a search path that the loader does not skip.
    fn search(
        &mut self,
        by: usize,
        name: &str,
        search_path: &SearchPath,
    ) -> Option<(Rc<Candidate>, Option<&'a ElfInfo>, FoundVia)> {
        search_path.dirs.iter().find_map(|dir| {
            let candidate = self.loader.lookup(&dir.directory, name)?;
            let info = self.check_and_record(&candidate, by)?;
            Some((candidate, info, dir.found_via.clone()))
        })
    }

    /// Whether the lookup of a name without the directories of `LD_LIBRARY_PATH` ends at the same file.
    fn is_found_without_env(&self, name: &str, search_path: &SearchPath, path: &UsrPath) -> bool {
        let dirs = search_path.dirs.iter().filter(|dir| !matches!(dir.found_via, FoundVia::LibraryPath(_)));
        let mut candidates = dirs.filter_map(|dir| self.loader.lookup(&dir.directory, name));
        candidates
            .find(|candidate| !matches!(self.check_compatibility(candidate), Compatibility::Skipped(_)))
            .is_some_and(|candidate| candidate.path == *path)
    }

    /// Adds a file to the map, or finds it there: the loader recognizes a file by its inode.
    fn find_or_add(
        &mut self,
        name: &str,
        candidate: &Rc<Candidate>,
        info: Option<&'a ElfInfo>,
        by: usize,
        how: FoundVia,
    ) -> usize {
        if let Some(&known) = self.by_path.get(&candidate.path) {
            self.by_name.entry(name.to_owned()).or_insert(Some(known));
            if let Some(object) = known.checked_sub(1).and_then(|at| self.result.objects.get_mut(at)) {
                self.loader.charge(object.links.len());
                for link in &candidate.links {
                    if !object.links.contains(link) {
                        object.links.push(link.clone());
                    }
                }
            }
            return known;
        }
        let index = self.entries.len();
        self.by_path.insert(candidate.path.clone(), index);
        self.by_name.entry(name.to_owned()).or_insert(Some(index));
        if let Some(soname) = info.and_then(|info| info.soname.as_ref()) {
            self.by_name.entry(soname.clone()).or_insert(Some(index));
        }
        self.result.objects.push(Object {
            path: candidate.path.clone(),
            requested_name: name.to_owned(),
            links: candidate.links.clone(),
            needed_by: self.entries[by].path.clone(),
            found_via: how,
            needs_library_path: false,
        });
        self.entries.push(MapEntry::new(&candidate.path, info, candidate.origin.clone(), Some(by)));
        index
    }

    fn record_not_found(&mut self, name: &str, by: usize, searched: Arc<[String]>) {
        self.by_name.insert(name.to_owned(), None);
        let needed_by = self.entries[by].path.clone();
        self.result.missing.push(NotFound { name: name.to_owned(), needed_by, searched });
    }

    fn record_needed(&mut self, by: usize, name: &str, entry: Option<usize>) {
        let needed_by = self.entries[by].path.clone();
        let object = entry.and_then(|index| index.checked_sub(1));
        self.result.needs.push(NeededEntry { needed_by, name: name.to_owned(), object });
    }

    fn rejected(&self, candidate: &Candidate, by: usize, why: String) -> Rejected {
        Rejected { path: candidate.path.clone(), needed_by: self.entries[by].path.clone(), why }
    }
}
