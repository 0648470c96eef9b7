//! Index of the paths of some directories by their last component, for lookups by name, by prefix and by library stem.

use std::collections::HashMap;

use super::library_name::LibraryName;
use super::path::UsrPath;
use super::tree::{NodeKind, UsrTree};

/// The nodes below some directories of an image, sorted by name.
#[derive(Debug)]
pub struct NameIndex<'a> {
    /// The names and paths, sorted; paths with the same name are in byte order.
    sorted: Vec<(&'a str, &'a UsrPath)>,
    by_stem: HashMap<&'a str, Vec<&'a UsrPath>>,
}

impl<'a> NameIndex<'a> {
    /// Indexes `directories` and all nodes below them; each directory is a first component (`lib64`).
    pub fn below(tree: &'a UsrTree, directories: &[&str]) -> NameIndex<'a> {
        let mut sorted = Vec::new();
        let mut by_stem: HashMap<&str, Vec<&UsrPath>> = HashMap::new();
        for (path, node) in tree.iter() {
            let first = path.as_str().split('/').next().unwrap_or_default();
            if !directories.contains(&first) {
                continue;
            }
            sorted.push((path.name(), path));
            if let NodeKind::File { .. } | NodeKind::Symlink(_) = node.kind
                && let Some(library) = LibraryName::parse(path.name())
            {
                by_stem.entry(library.stem).or_default().push(path);
            }
        }
        // A stable sort keeps the tree's order of the paths with the same name.
        sorted.sort_by_key(|(name, _)| *name);
        NameIndex { sorted, by_stem }
    }

    /// The paths with the last component `name`, in byte order.
    pub fn with_name(&self, name: &str) -> impl Iterator<Item = &'a UsrPath> {
        self.entries_from(name).take_while(move |(known, _)| *known == name).map(|(_, path)| path)
    }

    /// The paths with a last component that starts with `start`, in byte order of the components.
    pub fn starting_with(&self, start: &str) -> Vec<&'a UsrPath> {
        self.entries_from(start)
            .take_while(|(known, _)| known.starts_with(start))
            .map(|(_, path)| path)
            .collect()
    }

    /// The paths with the name of a library of this stem, files and symlinks, in byte order. No file is read.
    pub fn with_stem(&self, stem: &str) -> &[&'a UsrPath] {
        self.by_stem.get(stem).map_or(&[], Vec::as_slice)
    }

    /// Every name with its path, in byte order; a name with several paths is repeated.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a UsrPath)> {
        self.sorted.iter().copied()
    }

    fn entries_from(&self, first: &str) -> impl Iterator<Item = (&'a str, &'a UsrPath)> {
        let at = self.sorted.partition_point(|(known, _)| *known < first);
        self.sorted[at..].iter().copied()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tree::{Node, NodeKind};
    use super::*;

    fn texts<'a>(paths: &[&'a UsrPath]) -> Vec<&'a str> {
        paths.iter().map(|path| path.as_str()).collect()
    }

    #[test]
    fn names_are_found_by_name_and_by_prefix() {
        let mut tree = UsrTree::new();
        for path in [
            "lib64/libz.so.1",
            "lib/libz.so.1",
            "lib64/libz.so",
            "bin/zsh",
            "share/libz.so",
            "lib/x/libzip.so",
        ] {
            tree.insert(UsrPath::new(path).unwrap(), Node { mode: 0o644, kind: NodeKind::Special });
        }
        let link = Node { mode: 0o777, kind: NodeKind::Symlink("libz.so.1".to_owned()) };
        tree.insert(UsrPath::new("lib64/liblink.so").unwrap(), link);
        let names = NameIndex::below(&tree, &["bin", "lib", "lib64"]);
        assert_eq!(texts(names.with_stem("liblink")), ["lib64/liblink.so"]);
        assert_eq!(names.with_stem("libz"), [] as [&UsrPath; 0]);
        let with_name = |name| names.with_name(name).map(UsrPath::as_str).collect::<Vec<_>>();
        assert_eq!(with_name("libz.so.1"), ["lib/libz.so.1", "lib64/libz.so.1"]);
        assert_eq!(with_name("libz.so"), ["lib64/libz.so"]);
        assert_eq!(with_name("libz"), [""; 0]);
        let libz = ["lib64/libz.so", "lib/libz.so.1", "lib64/libz.so.1", "lib/x/libzip.so"];
        assert_eq!(texts(&names.starting_with("libz")), libz);
        assert_eq!(names.iter().map(|(name, _)| name).filter(|name| *name == "lib64").count(), 1);
    }
}
