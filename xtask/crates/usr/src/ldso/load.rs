//! One program or library and everything that is loaded for it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::arch::{platform, usual_loaders};
use super::dst::Tokens;
use super::search_path::{Hit, SearchDir};
use super::{DynamicLoader, FoundVia, LoadResult, NeededEntry, NotFound, Object, Rejected, VersionError};
use crate::elf::ElfInfo;
use crate::file_info::FileInfo;
use crate::path::UsrPath;

/// The objects of one scope, and the places of one search path, beyond which an image is hostile. What a program of a
/// real image loads is an order of magnitude below.
const MAX_OBJECTS: usize = 1024;
const MAX_PLACES: usize = 64;

/// The objects in the order of loading; index 0 is the root.
pub(super) struct Scope<'l, 'a> {
    loader: &'l DynamicLoader<'a>,
    loaded: Vec<Loaded<'a>>,
    /// By path, and by every name an object answers to: the name it was asked by, and its soname.
    by_path: BTreeMap<UsrPath, usize>,
    by_name: BTreeMap<String, usize>,
    /// Names already known to be missing: the loader would have stopped at the first.
    gone: BTreeSet<String>,
    /// The loader, until somebody asks for it by its soname.
    idle_interpreter: Option<(Rc<Hit>, &'a ElfInfo)>,
    library_places: Vec<SearchDir>,
    default_places: Rc<[SearchDir]>,
    lib: String,
    platform: &'static str,
    load: LoadResult,
}

struct Loaded<'a> {
    path: UsrPath,
    /// `None` for a file that the loader stops at.
    info: Option<&'a ElfInfo>,
    /// The directory for `$ORIGIN`, absolute.
    origin: String,
    /// Who loaded it; the root has nobody.
    loaded_by: Option<usize>,
}

/// What a candidate turned out to be.
enum Compatibility<'a> {
    Fits(Option<&'a ElfInfo>),
    /// Passed over.
    OtherMachine(String),
    /// The loader stops.
    Broken(String),
}

impl<'l, 'a> Scope<'l, 'a> {
    pub(super) fn of(loader: &'l DynamicLoader<'a>, root: &UsrPath, info: &'a ElfInfo) -> Scope<'l, 'a> {
        let platform = platform(info, loader.board);
        let origin = root.parent().map_or("/usr".to_owned(), |directory| format!("/usr/{directory}"));
        let mut scope = Scope {
            loader,
            loaded: vec![Loaded { path: root.clone(), info: Some(info), origin, loaded_by: None }],
            by_path: BTreeMap::from([(root.clone(), 0)]),
            by_name: BTreeMap::new(),
            gone: BTreeSet::new(),
            idle_interpreter: None,
            library_places: loader.library_places(),
            default_places: Rc::new([]),
            lib: "lib64".to_owned(),
            platform,
            load: LoadResult::default(),
        };
        if let Some(soname) = &info.soname {
            scope.by_name.insert(soname.clone(), 0);
        }
        scope
    }

    pub(super) fn run(mut self) -> LoadResult {
        let Some(root) = self.loaded[0].info.filter(|info| info.dynamic || info.interp.is_some()) else {
            return self.load;
        };
        self.start_interpreter(root);
        let mut at = 0;
        while at < self.loaded.len() {
            if self.loaded.len() > MAX_OBJECTS {
                let why = format!("more than {MAX_OBJECTS} objects are loaded for it");
                let path = self.loaded[0].path.clone();
                self.load.broken.push(Rejected { needed_by: path.clone(), path, why });
                break;
            }
            let needed = self.loaded[at].info.map(|info| info.needed.as_slice()).unwrap_or_default();
            let places = if needed.is_empty() { Vec::new() } else { self.own_places(at) };
            for name in needed {
                self.need(at, name, &places);
            }
            at += 1;
        }
        self.check_versions();
        self.load
    }

    /// Looks for one name on behalf of the root, as `dlopen` would.
    pub(super) fn ask(mut self, name: &str) -> LoadResult {
        if let Some(root) = self.loaded[0].info {
            self.start_interpreter(root);
            let places = self.own_places(0);
            self.need(0, name, &places);
        }
        self.load
    }

    /// Loads `PT_INTERP`; for a library, finds the loader that programs of its machine have, for its directories.
    fn start_interpreter(&mut self, root: &'a ElfInfo) {
        let found = match &root.interp {
            Some(interp) => {
                let hit = self.loader.at_path(interp);
                if hit.is_none() {
                    self.miss(interp, 0, vec![interp.clone()]);
                }
                hit.map(|hit| (interp.clone(), hit))
            }
            None => usual_loaders(root)
                .iter()
                .find_map(|path| self.loader.at_path(path).map(|hit| ((*path).to_owned(), hit))),
        };
        let Some((name, hit)) = found else {
            self.default_places = self.loader.default_places(None, self.platform);
            return;
        };
        let mut built = None;
        match self.judge(&hit) {
            Compatibility::Fits(info) => {
                built = info;
                // A program has it loaded from the start; a library once somebody asks for it.
                if root.interp.is_some() {
                    self.add(&name, &hit, info, 0, FoundVia::Interp);
                } else {
                    self.idle_interpreter = info.map(|info| (Rc::clone(&hit), info));
                }
            }
            Compatibility::OtherMachine(why) | Compatibility::Broken(why) if root.interp.is_some() => {
                self.load.broken.push(self.unfit(&hit, 0, why));
            }
            _ => {}
        }
        if let Some(first) = built.and_then(|info| info.system_dirs.first()) {
            let relative = first.trim_matches('/');
            self.lib = relative.strip_prefix("usr/").unwrap_or(relative).to_owned();
        }
        self.default_places = self.loader.default_places(built.map(|info| (&hit.path, info)), self.platform);
    }

    fn need(&mut self, by: usize, name: &str, places: &[SearchDir]) {
        if self.gone.contains(name) {
            self.note_need(by, name, None);
            return;
        }
        if let Some(&known) = self.by_name.get(name) {
            self.note_need(by, name, Some(known));
            return;
        }
        if let Some((hit, info)) =
            self.idle_interpreter.take_if(|(_, info)| info.soname.as_deref() == Some(name))
        {
            let index = self.add(name, &hit, Some(info), by, FoundVia::Interp);
            self.note_need(by, name, Some(index));
            return;
        }
        let expanded = if name.contains('$') { self.tokens(by).expand(name) } else { name.to_owned() };
        let mut searched = Vec::new();
        let found = if expanded.contains('/') {
            searched.push(expanded.clone());
            let hit = self.loader.at_path(&expanded).filter(|_| expanded.starts_with('/'));
            hit.map(|hit| (hit, FoundVia::Path))
                .and_then(|(hit, how)| self.try_hit(&hit, by).map(|info| (hit, info, how)))
        } else {
            self.search(by, &expanded, places, &mut searched)
        };
        let index = match found {
            Some((hit, info, how)) => Some(self.add(name, &hit, info, by, how)),
            None => {
                self.miss(name, by, searched);
                None
            }
        };
        self.note_need(by, name, index);
    }

    /// The first place that has a file of this name which can be loaded.
    fn search(
        &mut self,
        by: usize,
        name: &str,
        places: &[SearchDir],
        searched: &mut Vec<String>,
    ) -> Option<(Rc<Hit>, Option<&'a ElfInfo>, FoundVia)> {
        let defaults = Rc::clone(&self.default_places);
        let no_defaults = self.loaded[by].info.is_some_and(|info| info.nodeflib);
        let defaults = if no_defaults { &[][..] } else { &defaults[..] };
        for place in places.iter().chain(defaults) {
            if let Some(hit) = self.loader.look_in(&place.directory, name)
                && let Some(info) = self.try_hit(&hit, by)
            {
                return Some((hit, info, place.how.clone()));
            }
        }
        searched.extend(places.iter().chain(defaults).filter_map(SearchDir::told));
        None
    }

    /// The candidate's facts if it can be loaded; else it is noted why not.
    #[allow(clippy::option_option)]
    fn try_hit(&mut self, hit: &Rc<Hit>, by: usize) -> Option<Option<&'a ElfInfo>> {
        match self.judge(hit) {
            Compatibility::Fits(info) => Some(info),
            Compatibility::OtherMachine(why) => {
                let unfit = self.unfit(hit, by, why);
                if !self.load.wrong_machine.contains(&unfit) {
                    self.load.wrong_machine.push(unfit);
                }
                None
            }
            Compatibility::Broken(why) => {
                let unfit = self.unfit(hit, by, why);
                self.load.broken.push(unfit);
                // The loader stops here: that the name is also found further on does not help. It counts as
                // loaded, without needs.
                Some(None)
            }
        }
    }

    fn judge(&mut self, hit: &Rc<Hit>) -> Compatibility<'a> {
        let Some(root) = self.loaded[0].info else { return Compatibility::Fits(None) };
        match self.loader.tree.file_info(hit.path.as_str()) {
            Some(FileInfo::Elf(info)) => {
                let same = |a: &ElfInfo| (a.is_64, a.big_endian, a.machine);
                if same(info) == same(root) {
                    Compatibility::Fits(Some(info))
                } else {
                    Compatibility::OtherMachine(format!(
                        "it is for machine {}, not {}",
                        info.machine, root.machine
                    ))
                }
            }
            Some(FileInfo::MalformedElf(why)) => Compatibility::Broken(why.clone()),
            _ => Compatibility::Broken("it is no ELF file".to_owned()),
        }
    }

    /// Puts a found file into the scope, or finds it there: the loader knows a file again by its inode.
    fn add(
        &mut self,
        name: &str,
        hit: &Rc<Hit>,
        info: Option<&'a ElfInfo>,
        by: usize,
        how: FoundVia,
    ) -> usize {
        if let Some(&known) = self.by_path.get(&hit.path) {
            self.by_name.entry(name.to_owned()).or_insert(known);
            if let Some(object) = known.checked_sub(1).and_then(|at| self.load.objects.get_mut(at)) {
                let fresh: Vec<UsrPath> =
                    hit.links.iter().filter(|link| !object.links.contains(link)).cloned().collect();
                object.links.extend(fresh);
            }
            return known;
        }
        let index = self.loaded.len();
        self.by_path.insert(hit.path.clone(), index);
        self.by_name.entry(name.to_owned()).or_insert(index);
        if let Some(soname) = info.and_then(|info| info.soname.as_ref()) {
            self.by_name.entry(soname.clone()).or_insert(index);
        }
        self.loaded.push(Loaded {
            path: hit.path.clone(),
            info,
            origin: hit.origin.clone(),
            loaded_by: Some(by),
        });
        self.load.objects.push(Object {
            path: hit.path.clone(),
            requested_name: name.to_owned(),
            links: hit.links.clone(),
            needed_by: self.loaded[by].path.clone(),
            how,
        });
        index
    }

    /// The places before the default ones, in the order of ld.so(8): RPATH of the object and of those that loaded
    /// it, unless the object has a RUNPATH; `LD_LIBRARY_PATH`; RUNPATH of the object.
    fn own_places(&self, by: usize) -> Vec<SearchDir> {
        let mut places = self.rpath_places(by);
        places.extend(self.library_places.iter().cloned());
        if let Some(info) = self.loaded[by].info {
            places.extend(self.expand(by, &info.runpath, FoundVia::RunpathOf));
        }
        places
    }

    fn rpath_places(&self, by: usize) -> Vec<SearchDir> {
        if self.loaded[by].info.is_some_and(|info| !info.runpath.is_empty()) {
            return Vec::new();
        }
        let mut places = Vec::new();
        let mut next = Some(by);
        while let Some(at) = next {
            if let Some(info) = self.loaded[at].info.filter(|info| info.runpath.is_empty()) {
                let more = self.expand(at, &info.rpath, FoundVia::RpathOf);
                let fresh = |place: &SearchDir| !places.iter().any(|known: &SearchDir| known.is_at(place));
                let more: Vec<SearchDir> = more.into_iter().filter(fresh).collect();
                places.extend(more);
            }
            next = self.loaded[at].loaded_by.filter(|_| places.len() < MAX_PLACES);
        }
        places
    }

    /// The absolute directories of a search path; others count from the working directory, which nobody knows.
    fn expand(&self, of: usize, path: &[String], how: fn(UsrPath) -> FoundVia) -> Vec<SearchDir> {
        let tokens = self.tokens(of);
        path.iter()
            .map(|element| tokens.expand(element))
            .filter(|directory| directory.starts_with('/'))
            .take(MAX_PLACES)
            .map(|directory| SearchDir {
                directory: self.loader.directory(&directory),
                how: how(self.loaded[of].path.clone()),
            })
            .collect()
    }

    fn tokens(&self, of: usize) -> Tokens<'_> {
        Tokens { origin: &self.loaded[of].origin, lib: &self.lib, platform: self.platform }
    }

    fn miss(&mut self, name: &str, by: usize, searched: Vec<String>) {
        self.gone.insert(name.to_owned());
        let needed_by = self.loaded[by].path.clone();
        self.load.missing.push(NotFound { name: name.to_owned(), needed_by, searched });
    }

    fn note_need(&mut self, by: usize, name: &str, loaded: Option<usize>) {
        let needed_by = self.loaded[by].path.clone();
        let object = loaded.and_then(|index| index.checked_sub(1));
        self.load.needs.push(NeededEntry { needed_by, name: name.to_owned(), object });
    }

    fn unfit(&self, hit: &Rc<Hit>, by: usize, why: String) -> Rejected {
        Rejected { path: hit.path.clone(), needed_by: self.loaded[by].path.clone(), why }
    }

    /// glibc's `_dl_check_map_versions`: a library without any version definition lets every need pass, and so does
    /// a weak need.
    fn check_versions(&mut self) {
        for object in &self.loaded {
            for need in object.info.map(|info| info.verneed.as_slice()).unwrap_or_default() {
                let Some(&provider) = self.by_name.get(&need.library) else { continue };
                let provider = &self.loaded[provider];
                let Some(defs) = provider.info.map(|info| info.verdef.as_slice()) else { continue };
                if need.weak || defs.is_empty() || defs.contains(&need.version) {
                    continue;
                }
                self.load.version_errors.push(VersionError {
                    library: provider.path.clone(),
                    version: need.version.clone(),
                    needed_by: object.path.clone(),
                });
            }
        }
    }
}
