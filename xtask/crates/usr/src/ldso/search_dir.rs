//! Search paths: lists of directories, and the lookup of a name in one of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::{BYTES_PER_LOOKUP, DynamicLoader, FoundVia};
use crate::elf::ElfInfo;
use crate::path::UsrPath;
use crate::tree::{NodeKind, ResolutionEnd};

/// The results that one directory remembers.
const MAX_CANDIDATES: usize = 2000;

/// A directory of a search path, with all symlinks on the path to it followed.
#[derive(Debug)]
pub(super) struct Directory {
    /// The absolute path, as a program in the root filesystem names it.
    text: String,
    links: Vec<UsrPath>,
    target: ResolutionEnd,
    /// Whether this is a hwcaps subdirectory of another directory.
    is_hwcaps: bool,
    /// The results of earlier lookups by name.
    candidates: RefCell<HashMap<String, Option<Rc<Candidate>>>>,
}

impl Directory {
    fn exists(&self) -> bool {
        matches!(self.target, ResolutionEnd::UsrRoot | ResolutionEnd::Node(_))
    }
}

/// A file of the requested name, before its content is checked.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) path: UsrPath,
    pub(super) links: Vec<UsrPath>,
    /// The directory it was found in, absolute, symlinks not followed: its `$ORIGIN`.
    pub(super) origin: String,
    is_visible: bool,
}

/// The interpreter of a program, or that of a library's machine.
pub(super) type Interpreter<'a> = (Rc<Candidate>, &'a ElfInfo);

/// One directory of a search path, and the search path that contains it.
#[derive(Debug, Clone)]
pub(super) struct SearchDir {
    pub(super) directory: Rc<Directory>,
    pub(super) found_via: FoundVia,
}

impl SearchDir {
    /// Whether the two are the same directory, by its path.
    pub(super) fn is_same_directory(&self, other: &SearchDir) -> bool {
        Rc::ptr_eq(&self.directory, &other.directory)
    }

    /// The form in lists of searched directories; `None` for a hwcaps subdirectory.
    pub(super) fn describe(&self) -> Option<String> {
        let text = &self.directory.text;
        match &self.found_via {
            _ if self.directory.is_hwcaps => None,
            FoundVia::RpathOf(_) | FoundVia::RunpathOf(_) => Some(format!("{text} ({})", self.found_via)),
            FoundVia::LibraryPath(_) => Some(format!("{text} (LD_LIBRARY_PATH)")),
            _ => Some(text.clone()),
        }
    }

    /// The directory, if it is built into the loader.
    pub(super) fn built_in(&self) -> Option<&str> {
        matches!(self.found_via, FoundVia::BuiltIn(_)).then_some(self.directory.text.as_str())
    }
}

impl DynamicLoader<'_> {
    /// The file of this name in a directory, if it is visible. `name` is one component.
    pub(super) fn lookup(&self, directory: &Directory, name: &str) -> Option<Rc<Candidate>> {
        if !directory.exists() {
            return None;
        }
        self.charge(1);
        let known = directory.candidates.borrow().get(name).cloned();
        let candidate = known.unwrap_or_else(|| {
            let candidate = self.find_uncached(directory, name).map(Rc::new);
            let mut known = directory.candidates.borrow_mut();
            if known.len() < MAX_CANDIDATES {
                known.insert(name.to_owned(), candidate.clone());
            }
            candidate
        })?;
        if !candidate.is_visible {
            self.has_skipped_invisible.set(true);
            return None;
        }
        Some(candidate)
    }

    /// The file at an absolute path of the root filesystem.
    pub(super) fn lookup_path(&self, path: &str) -> Option<Rc<Candidate>> {
        let (directory, name) = path.rsplit_once('/')?;
        self.lookup(&self.directory(if directory.is_empty() { "/" } else { directory }), name)
    }

    fn is_visible(&self, path: &UsrPath) -> bool {
        self.visible_paths.is_none_or(|visible| visible.contains(path))
    }

    fn find_uncached(&self, found: &Directory, name: &str) -> Option<Candidate> {
        if matches!(name, "" | "." | "..") || name.contains('/') {
            return None;
        }
        let path = match &found.target {
            ResolutionEnd::UsrRoot => UsrPath::new(name).ok()?,
            ResolutionEnd::Node(node) => node.join(name),
            _ => return None,
        };
        let mut links = found.links.clone();
        let end = match self.tree.get(path.as_str())?.kind {
            NodeKind::Symlink(_) => {
                let resolved = self.tree.resolve(&path);
                links.extend(resolved.links);
                resolved.end.node()?.clone()
            }
            _ => path,
        };
        let is_file = self.tree.get(end.as_str())?.kind.is_file();
        let is_visible = self.is_visible(&end) && links.iter().all(|link| self.is_visible(link));
        is_file.then(|| Candidate { path: end, links, origin: found.text.clone(), is_visible })
    }

    /// The directory at an absolute path of the root filesystem.
    pub(super) fn directory(&self, text: &str) -> Rc<Directory> {
        self.cached_directory(text, false)
    }

    fn cached_directory(&self, text: &str, is_hwcaps: bool) -> Rc<Directory> {
        // The loader appends a name to the path as written, except for trailing slashes.
        let text = if text.ends_with('/') { text.trim_end_matches('/') } else { text };
        let text = if text.is_empty() { "/" } else { text };
        if let Some(known) = self.directories.borrow().get(text) {
            return Rc::clone(known);
        }
        let resolved = self.tree.resolve_rootfs(text);
        let directory = Rc::new(Directory {
            text: text.to_owned(),
            links: resolved.links,
            target: resolved.end,
            is_hwcaps,
            candidates: RefCell::default(),
        });
        self.directories.borrow_mut().insert(text.to_owned(), Rc::clone(&directory));
        directory
    }

    /// The directories of `LD_LIBRARY_PATH`.
    pub(super) fn library_path_dirs(&self) -> Vec<SearchDir> {
        self.library_path
            .iter()
            .map(|path| SearchDir {
                directory: self.directory(&format!("/usr/{path}")),
                found_via: FoundVia::LibraryPath(path.clone()),
            })
            .collect()
    }

    /// The default directories in order: those built into the image's loader, and the board's.
    pub(super) fn default_dirs(
        &self,
        interpreter: Option<&Interpreter<'_>>,
        machine: &'static str,
    ) -> Rc<[SearchDir]> {
        let key = (interpreter.map(|(candidate, _)| candidate.path.clone()), machine);
        if let Some(known) = self.defaults.borrow().get(&key) {
            return Rc::clone(known);
        }
        let mut listed: Vec<(String, FoundVia)> = Vec::new();
        let mut add = |directory: String, how: fn(String) -> FoundVia| {
            let directory = directory.trim_end_matches('/').to_owned();
            if !directory.is_empty() && !listed.iter().any(|(known, _)| *known == directory) {
                listed.push((directory.clone(), how(directory)));
            }
        };
        let built_in = interpreter.map(|(_, info)| info.system_dirs.as_slice()).unwrap_or_default();
        built_in.iter().for_each(|directory| add(directory.clone(), FoundVia::BuiltIn));
        for library in ["lib64", "lib"] {
            add(format!("/usr/{library}"), FoundVia::BoardDefault);
            add(format!("/usr/{library}/{machine}-linux-gnu"), FoundVia::BoardDefault);
        }
        self.charge(listed.iter().map(|(text, _)| 1 + text.len() / BYTES_PER_LOOKUP).sum());
        let dirs = listed
            .into_iter()
            .map(|(text, how)| SearchDir { directory: self.directory(&text), found_via: how });
        let legacy_hwcaps = interpreter.filter(|(_, info)| info.searches_legacy_hwcaps).map(|_| machine);
        let dirs: Rc<[SearchDir]> = self.with_legacy_hwcaps(dirs.collect(), legacy_hwcaps).into();
        self.defaults.borrow_mut().insert(key, Rc::clone(&dirs));
        dirs
    }

    /// Each directory, after those of its subdirectories that glibc before 2.37 searches on every processor of a machine
    /// (`_dl_important_hwcaps`); the directories alone without a machine.
    pub(super) fn with_legacy_hwcaps(&self, dirs: Vec<SearchDir>, machine: Option<&str>) -> Vec<SearchDir> {
        let Some(machine) = machine else { return dirs };
        let subdirectories = [format!("tls/{machine}"), "tls".to_owned(), machine.to_owned()];
        let with_subdirectories = |dir: SearchDir| {
            let below = |name: &String| SearchDir {
                directory: self.cached_directory(&format!("{}/{name}", dir.directory.text), true),
                found_via: dir.found_via.clone(),
            };
            let below: Vec<SearchDir> = subdirectories.iter().map(below).collect();
            below.into_iter().filter(|dir| dir.directory.exists()).chain([dir])
        };
        dirs.into_iter().flat_map(with_subdirectories).collect()
    }
}
