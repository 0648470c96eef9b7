//! The search path of one object: RPATH, `LD_LIBRARY_PATH` and RUNPATH, as ld.so(8) orders them.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use super::super::dynamic_string_tokens::Tokens;
use super::super::search_dir::SearchDir;
use super::super::{BYTES_PER_LOOKUP, FoundVia};
use super::LinkMap;
use crate::path::UsrPath;

/// The directories of one search path. Real ones have a tenth of that.
const MAX_DIRS: usize = 64;

/// The directories in which the dependencies of one object are searched.
#[derive(Default)]
pub(super) struct SearchPath {
    pub(super) dirs: Vec<SearchDir>,
    described: OnceCell<Arc<[String]>>,
}

impl SearchPath {
    pub(super) fn new(dirs: Vec<SearchDir>) -> SearchPath {
        SearchPath { dirs, described: OnceCell::new() }
    }

    /// The directories as text, each with the list that it is from.
    pub(super) fn describe(&self) -> Arc<[String]> {
        let described = || self.dirs.iter().filter_map(SearchDir::describe).collect();
        Arc::clone(self.described.get_or_init(described))
    }
}

impl LinkMap<'_, '_> {
    /// The directories in the order of ld.so(8): RPATH of the object and of those that loaded it, unless the object has a
    /// RUNPATH; `LD_LIBRARY_PATH`; RUNPATH of the object; the default ones, unless the object has `DF_1_NODEFLIB`.
    pub(super) fn object_search_path(&mut self, by: usize) -> Rc<SearchPath> {
        let info = self.entries[by].info;
        let runpath = info.and_then(|info| info.runpath.as_ref());
        let has_defaults = !info.is_some_and(|info| info.nodeflib);
        let rpath_dirs =
            if runpath.is_some() { Rc::new([]) as Rc<[_]> } else { self.inherited_rpath_dirs(by) };
        if runpath.is_none() && rpath_dirs.is_empty() && has_defaults {
            return Rc::clone(&self.common_search_path);
        }
        let common = &self.common_search_path.dirs;
        let (library_path, defaults) = common.split_at(common.len() - self.default_dirs.len());
        let mut dirs = [&*rpath_dirs, library_path].concat();
        if let Some(runpath) = runpath {
            dirs.extend(self.expand_search_path(by, runpath, FoundVia::RunpathOf));
        }
        if has_defaults {
            dirs.extend_from_slice(defaults);
        }
        Rc::new(SearchPath::new(dirs))
    }

    /// The RPATH directories of an object and of those that loaded it. The RPATH of an object with a RUNPATH, an empty one
    /// included, is ignored.
    fn inherited_rpath_dirs(&mut self, object: usize) -> Rc<[SearchDir]> {
        let mut chain = vec![object];
        let known = loop {
            let entry = &self.entries[chain[chain.len() - 1]];
            match (&entry.inherited_rpath_dirs, entry.loaded_by) {
                (Some(known), _) => {
                    chain.pop();
                    break Rc::clone(known);
                }
                (None, Some(loader)) => chain.push(loader),
                (None, None) => break Rc::new([]),
            }
        };
        // From the root's side down, so that each object inherits the directories of the object that loaded it.
        chain.into_iter().rev().fold(known, |above, index| {
            let info = self.entries[index].info;
            let rpath = info.filter(|info| info.runpath.is_none()).map_or(&[][..], |info| &info.rpath);
            let dirs = if rpath.is_empty() {
                above
            } else {
                let mut dirs = self.expand_search_path(index, rpath, FoundVia::RpathOf);
                for dir in above.iter() {
                    if dirs.len() < MAX_DIRS && !dirs.iter().any(|known| known.is_same_directory(dir)) {
                        dirs.push(dir.clone());
                    }
                }
                dirs.into()
            };
            self.entries[index].inherited_rpath_dirs = Some(Rc::clone(&dirs));
            dirs
        })
    }

    /// The absolute directories of a search path; others are relative to the unknown working directory.
    fn expand_search_path(
        &self,
        object: usize,
        path: &[String],
        how: fn(UsrPath) -> FoundVia,
    ) -> Vec<SearchDir> {
        let tokens = self.tokens(object);
        let is_trusted = |element: &str, expanded: &str| {
            // ld.so(8): in secure-execution mode $ORIGIN of the program must be in a system directory.
            !(self.is_secure && object == 0 && element.contains("ORIGIN")) || self.is_system_dir(expanded)
        };
        let mut dirs: Vec<SearchDir> = Vec::new();
        for element in path.iter().take(MAX_DIRS) {
            let expanded = tokens.expand(element);
            self.loader.charge(1 + expanded.len() / BYTES_PER_LOOKUP);
            if self.loader.is_exhausted() {
                break;
            }
            if !expanded.starts_with('/') || !is_trusted(element, &expanded) {
                continue;
            }
            let dir = SearchDir {
                directory: self.loader.directory(&expanded),
                found_via: how(self.entries[object].path.clone()),
            };
            if !dirs.iter().any(|known| known.is_same_directory(&dir)) {
                dirs.push(dir);
            }
        }
        self.loader.with_legacy_hwcaps(dirs, self.legacy_hwcaps)
    }

    fn is_system_dir(&self, directory: &str) -> bool {
        let mut components: Vec<&str> = Vec::new();
        for component in directory.split('/') {
            match component {
                "" | "." => {}
                ".." => _ = components.pop(),
                other => components.push(other),
            }
        }
        let normalized = format!("/{}", components.join("/"));
        let is_within = |trusted: &str| {
            normalized.strip_prefix(trusted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.default_dirs.iter().filter_map(SearchDir::built_in).any(is_within)
    }

    pub(super) fn tokens(&self, object: usize) -> Tokens<'_> {
        Tokens { origin: &self.entries[object].origin, lib: &self.lib, platform: self.platform }
    }
}
