//! The image's programs and libraries by name and by stem, to find what took a vanished path's place.

use std::collections::{BTreeSet, HashMap};

use super::library::LibraryName;
use crate::usr::path::UsrPath;
use crate::usr::tree::{Kind, UsrTree};

/// What kind of directory a path lies in: successors are looked for among their like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// `bin`, `sbin`.
    Programs,
    /// `lib`, `lib64` and below.
    Libraries,
    /// `share` and the rest.
    Other,
}

impl Room {
    /// The room of a path, by its first component.
    pub fn of(path: &UsrPath) -> Room {
        match path.components().next() {
            Some("bin" | "sbin") => Room::Programs,
            Some("lib" | "lib64" | "libexec") => Room::Libraries,
            _ => Room::Other,
        }
    }
}

/// An image, indexed for successor searches. Made once an image.
#[derive(Debug)]
pub struct ImageIndex<'a> {
    /// The image.
    pub tree: &'a UsrTree,
    by_name: HashMap<&'a str, Vec<&'a UsrPath>>,
    by_stem: HashMap<&'a str, Vec<&'a UsrPath>>,
}

impl<'a> ImageIndex<'a> {
    /// Indexes `bin`, `sbin` and the library directories; nothing below `share` is a successor of anything.
    pub fn of(tree: &'a UsrTree) -> ImageIndex<'a> {
        let mut index = ImageIndex { tree, by_name: HashMap::new(), by_stem: HashMap::new() };
        for (path, node) in tree.iter().filter(|(path, _)| Room::of(path) != Room::Other) {
            index.by_name.entry(path.name()).or_default().push(path);
            let library = LibraryName::parse(path.name());
            if let (Some(library), Kind::File { .. } | Kind::Symlink(_)) = (library, &node.kind) {
                index.by_stem.entry(library.stem).or_default().push(path);
            }
        }
        index
    }

    /// Every node of this name, in byte order.
    pub fn named(&self, name: &str) -> &[&'a UsrPath] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every library of this stem, in byte order.
    pub fn of_stem(&self, stem: &str) -> &[&'a UsrPath] {
        self.by_stem.get(stem).map_or(&[], Vec::as_slice)
    }

    /// Whether a node is a regular file.
    pub fn is_file(&self, path: &UsrPath) -> bool {
        matches!(self.tree.get(path.as_str()).map(|node| &node.kind), Some(Kind::File { .. }))
    }

    /// Whether a node is a symbolic link.
    pub fn is_link(&self, path: &UsrPath) -> bool {
        matches!(self.tree.get(path.as_str()).map(|node| &node.kind), Some(Kind::Symlink(_)))
    }

    /// Programs and helpers whose name has every word of `name`, for people to choose from: what became of
    /// `systemd-activate` may be `systemd-socket-activate`.
    pub fn akin(&self, name: &str) -> Vec<&'a UsrPath> {
        let words: BTreeSet<&str> = name.split(['-', '_', '.']).collect();
        if words.len() < 2 {
            return Vec::new();
        }
        let has_all = |other: &str| words.is_subset(&other.split(['-', '_', '.']).collect());
        let mut akin: Vec<&UsrPath> = self
            .by_name
            .iter()
            .filter(|(other, _)| has_all(other))
            .flat_map(|(_, paths)| paths.iter().copied())
            .collect();
        akin.sort();
        akin.truncate(5);
        akin
    }
}
