//! Where a name is looked for: one directory, and the lists of directories.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{DynamicLoader, FoundVia};
use crate::elf::ElfInfo;
use crate::path::UsrPath;
use crate::tree::{NodeKind, Target};
use coreos_types::release::Board;

/// A directory of a search path, with all links on the way to it followed.
#[derive(Debug)]
pub(super) struct Directory {
    /// Absolute, as a program in the root filesystem names it.
    text: String,
    links: Vec<UsrPath>,
    end: DirectoryEnd,
    /// What was looked for in it before.
    hits: RefCell<BTreeMap<String, Option<Rc<Hit>>>>,
}

#[derive(Debug)]
enum DirectoryEnd {
    /// The root of the image, `/usr`.
    Root,
    Node(UsrPath),
    /// There is no such directory.
    Nowhere,
}

/// A file that bears the name that was looked for; not yet judged.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) path: UsrPath,
    pub(super) links: Vec<UsrPath>,
    /// The directory it was found in, absolute, links not followed: its `$ORIGIN`.
    pub(super) origin: String,
}

/// One place of a search path.
#[derive(Debug, Clone)]
pub(super) struct SearchDir {
    pub(super) directory: Rc<Directory>,
    pub(super) how: FoundVia,
}

impl SearchDir {
    /// Whether the two are one directory, by its text.
    pub(super) fn is_at(&self, other: &SearchDir) -> bool {
        Rc::ptr_eq(&self.directory, &other.directory)
    }

    /// For a person who asks where a name was looked for; `None` for what follows from another place.
    pub(super) fn told(&self) -> Option<String> {
        let text = &self.directory.text;
        match &self.how {
            _ if text.contains("/glibc-hwcaps/") => None,
            FoundVia::RpathOf(_) | FoundVia::RunpathOf(_) => Some(format!("{text} ({})", self.how)),
            FoundVia::LibraryPath(_) => Some(format!("{text} (LD_LIBRARY_PATH)")),
            FoundVia::LdSoConf(_) => Some(format!("{text} (ld.so.conf)")),
            _ => Some(text.clone()),
        }
    }
}

impl DynamicLoader<'_> {
    /// The file called `name` in a directory, if what is present has it. `name` is one component.
    pub(super) fn look_in(&self, directory: &Directory, name: &str) -> Option<Rc<Hit>> {
        if matches!(directory.end, DirectoryEnd::Nowhere) {
            return None;
        }
        if let Some(known) = directory.hits.borrow().get(name) {
            return known.clone();
        }
        let hit = self.find(directory, name).map(Rc::new);
        directory.hits.borrow_mut().insert(name.to_owned(), hit.clone());
        hit
    }

    /// The file at an absolute path of the root filesystem.
    pub(super) fn at_path(&self, path: &str) -> Option<Rc<Hit>> {
        let (directory, name) = path.rsplit_once('/')?;
        self.look_in(&self.directory(if directory.is_empty() { "/" } else { directory }), name)
    }

    /// Whether a path is in the image, and among what is present.
    pub(super) fn is_present(&self, path: &UsrPath) -> bool {
        self.present.is_none_or(|present| present.contains(path))
    }

    fn find(&self, found: &Directory, name: &str) -> Option<Hit> {
        if matches!(name, "" | "." | "..") || name.contains('/') {
            return None;
        }
        let path = match &found.end {
            DirectoryEnd::Root => UsrPath::new(name).ok()?,
            DirectoryEnd::Node(node) => node.join(name),
            DirectoryEnd::Nowhere => return None,
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
        let is_file = matches!(self.tree.get(end.as_str())?.kind, NodeKind::File { .. });
        let there = is_file && self.is_present(&end) && links.iter().all(|link| self.is_present(link));
        there.then(|| Hit { path: end, links, origin: found.text.clone() })
    }

    /// The directory at an absolute path of the root filesystem.
    pub(super) fn directory(&self, text: &str) -> Rc<Directory> {
        if let Some(known) = self.directories.borrow().get(text) {
            return Rc::clone(known);
        }
        let resolved = self.tree.resolve_rootfs(text);
        let end = match resolved.end {
            Target::UsrRoot => DirectoryEnd::Root,
            Target::Node(path) => DirectoryEnd::Node(path),
            _ => DirectoryEnd::Nowhere,
        };
        let hits = RefCell::default();
        let directory = Rc::new(Directory { text: text.to_owned(), links: resolved.links, end, hits });
        self.directories.borrow_mut().insert(text.to_owned(), Rc::clone(&directory));
        directory
    }

    /// `LD_LIBRARY_PATH` as places.
    pub(super) fn library_places(&self) -> Vec<SearchDir> {
        self.library_path
            .iter()
            .map(|path| SearchDir {
                directory: self.directory(&format!("/usr/{path}")),
                how: FoundVia::LibraryPath(path.clone()),
            })
            .collect()
    }

    /// The default directories in order: those built into the image's loader, then the board's, then those of the
    /// image's `etc/ld.so.conf`; each with its `glibc-hwcaps` below it, which a processor may or may not use.
    pub(super) fn default_places(
        &self,
        loader: Option<(&UsrPath, &ElfInfo)>,
        machine: &'static str,
    ) -> Rc<[SearchDir]> {
        let key = (loader.map(|(path, _)| path.clone()), machine);
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
        let built_in = loader.map(|(_, info)| info.system_dirs.as_slice()).unwrap_or_default();
        built_in.iter().for_each(|directory| add(directory.clone(), FoundVia::Default));
        for library in ["lib64", "lib"] {
            add(format!("/usr/{library}"), FoundVia::BoardDefault);
            add(format!("/usr/{library}/{machine}-linux-gnu"), FoundVia::BoardDefault);
        }
        self.conf_directories().into_iter().for_each(|directory| add(directory, FoundVia::LdSoConf));
        let places =
            listed.into_iter().flat_map(|(directory, how)| self.with_hwcaps(&directory, how, machine));
        let places: Rc<[SearchDir]> = places.collect();
        self.defaults.borrow_mut().insert(key, Rc::clone(&places));
        places
    }

    /// A directory, and behind it its subdirectories for newer processors. The loader prefers the best that its
    /// processor knows; here the plain directory comes first, because it serves every processor.
    fn with_hwcaps(&self, directory: &str, how: FoundVia, machine: &str) -> Vec<SearchDir> {
        let levels: &[&str] =
            if machine == Board::Amd64.machine() { &["x86-64-v2", "x86-64-v3", "x86-64-v4"] } else { &[] };
        let below = levels.iter().map(|level| format!("{directory}/glibc-hwcaps/{level}"));
        std::iter::once(directory.to_owned())
            .chain(below)
            .map(|text| SearchDir { directory: self.directory(&text), how: how.clone() })
            .collect()
    }
}
