//! The image's programs and libraries by name and by stem, to find what took a vanished path's place.

use std::collections::BTreeSet;

use super::library_name::LibraryName;
use usr::name_index::NameIndex;
use usr::path::UsrPath;
use usr::tree::{NodeKind, UsrTree};

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

/// Where programs and libraries lie; nothing below `share` is a successor of anything.
const DIRECTORIES: &[&str] = &["bin", "sbin", "lib", "lib64", "libexec"];

/// An image, indexed for successor searches. Made once an image.
#[derive(Debug)]
pub struct ImageIndex<'a> {
    /// The image.
    pub tree: &'a UsrTree,
    names: NameIndex<'a>,
}

impl<'a> ImageIndex<'a> {
    /// Indexes `bin`, `sbin` and the library directories.
    pub fn of(tree: &'a UsrTree) -> ImageIndex<'a> {
        ImageIndex { tree, names: NameIndex::below(tree, DIRECTORIES) }
    }

    /// Every node of this name, in byte order.
    pub fn named(&self, name: &str) -> Vec<&'a UsrPath> {
        self.names.named(name)
    }

    /// Every library of this stem, file or link, in byte order.
    pub fn of_stem(&self, stem: &str) -> Vec<&'a UsrPath> {
        // A name starts with its stem, and asking that first keeps most names whole.
        let mut found = self.names.starting_with(stem);
        found.retain(|path| {
            LibraryName::parse(path.name()).is_some_and(|library| library.stem == stem)
                && (self.is_file(path) || self.is_link(path))
        });
        found.sort();
        found
    }

    /// Whether a node is a regular file.
    pub fn is_file(&self, path: &UsrPath) -> bool {
        matches!(self.tree.get(path.as_str()).map(|node| &node.kind), Some(NodeKind::File { .. }))
    }

    /// Whether a node is a symbolic link.
    pub fn is_link(&self, path: &UsrPath) -> bool {
        matches!(self.tree.get(path.as_str()).map(|node| &node.kind), Some(NodeKind::Symlink(_)))
    }

    /// Programs and helpers whose name has every word of `name`, for people to choose from: what became of
    /// `systemd-activate` may be `systemd-socket-activate`.
    pub fn akin(&self, name: &str) -> Vec<&'a UsrPath> {
        let words: BTreeSet<&str> = name.split(['-', '_', '.']).collect();
        if words.len() < 2 {
            return Vec::new();
        }
        let has_all = |other: &str| words.is_subset(&other.split(['-', '_', '.']).collect());
        let mut akin: Vec<&UsrPath> =
            self.names.iter().filter(|(other, _)| has_all(other)).map(|(_, path)| path).collect();
        akin.sort();
        akin.truncate(5);
        akin
    }
}
