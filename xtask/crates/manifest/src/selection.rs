//! One flavor of one board: which of the image's nodes its manifests take, and who lists each.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Included, Unbounded};

use super::file::ManifestFile;
use coreos_types::release::{Board, Flavor};
use usr::file_info::FileInfo;
use usr::path::UsrPath;
use usr::tree::{NodeKind, UsrTree};

/// One file of one manifest directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestRef {
    /// The board of the directory: `manifest-BOARD.d`, or `manifest.d` for amd64-usr.
    pub board: Board,
    /// The flavor of the directory above it.
    pub flavor: Flavor,
    /// Its path relative to the tree.
    pub listed_as: String,
    /// Its real path relative to the tree.
    pub file: String,
}

/// The manifests by their real path.
pub type ManifestsByPath<'a> = BTreeMap<&'a str, &'a ManifestFile>;

/// A board and flavor, and the manifests that make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSet {
    /// The board.
    pub board: Board,
    /// The flavor.
    pub flavor: Flavor,
    /// The real paths of its manifests, its own and the symlinked ones.
    pub files: BTreeSet<String>,
    /// The files of the manifest directory by their path there, which is the order in which the build joins them; each
    /// with its real path.
    listed_as: BTreeMap<String, String>,
    /// How many of them are reached by symlink.
    borrowed: usize,
}

impl ManifestSet {
    /// The flavors of a board. One that borrows manifests of another comes behind it: what both need is then
    /// listed where it serves both.
    pub fn of_board(board: Board, listings: &[ManifestRef]) -> Vec<ManifestSet> {
        let mut flavors: BTreeMap<&Flavor, ManifestSet> = BTreeMap::new();
        for listing in listings.iter().filter(|listing| listing.board == board) {
            let flavor = flavors.entry(&listing.flavor).or_insert_with(|| ManifestSet {
                board,
                flavor: listing.flavor.clone(),
                files: BTreeSet::new(),
                listed_as: BTreeMap::new(),
                borrowed: 0,
            });
            flavor.files.insert(listing.file.clone());
            flavor.listed_as.insert(listing.listed_as.clone(), listing.file.clone());
            flavor.borrowed += usize::from(listing.file != listing.listed_as);
        }
        let mut flavors: Vec<ManifestSet> = flavors.into_values().collect();
        flavors.sort_by_key(|flavor| flavor.borrowed);
        flavors
    }

    /// Whether the build writes another manifest after this one, a real path.
    pub fn is_followed(&self, file: &str) -> bool {
        let mut behind = self.listed_as.values().skip_while(|other| *other != file);
        behind.any(|other| other != file)
    }

    /// The paths of the manifest directory's files, each with the real path, in the order in which the build joins them.
    pub fn listed_as(&self) -> impl Iterator<Item = (&str, &str)> {
        self.listed_as.iter().map(|(listed_as, file)| (listed_as.as_str(), file.as_str()))
    }
}

/// The stage1 that a flavor's manifests make of an image.
#[derive(Debug)]
pub struct Selection<'a> {
    /// The image.
    pub tree: &'a UsrTree,
    /// The board and flavor.
    pub of: &'a ManifestSet,
    /// Every node that the build would extract, directories listed taken with what is below them.
    pub present: BTreeSet<UsrPath>,
    /// Who lists each node of `present`.
    homes: BTreeMap<UsrPath, Location<'a>>,
}

/// The line that lists a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location<'a> {
    /// The manifest, at its real path.
    pub file: &'a str,
    /// The line, counted from 1.
    pub line: usize,
}

impl<'a> Selection<'a> {
    /// Reads the manifests of a flavor against an image. Lines that name no node of the image are passed over. The
    /// selected files are read in one batch.
    pub fn of(of: &'a ManifestSet, texts: &ManifestsByPath<'a>, tree: &'a UsrTree) -> Selection<'a> {
        let mut stage = Selection { tree, of, present: BTreeSet::new(), homes: BTreeMap::new() };
        let mut directories: Vec<(UsrPath, Location<'a>)> = Vec::new();
        for file in &of.files {
            let Some((&file, text)) = texts.get_key_value(file.as_str()) else { continue };
            for (index, line) in text.entries() {
                let (Ok(path), Some(node)) = (UsrPath::new(line), tree.get(line)) else { continue };
                let home = Location { file, line: index + 1 };
                if node.kind == NodeKind::Directory {
                    directories.push((path.clone(), home));
                }
                stage.take(path, home);
            }
        }
        // What is listed for itself is at home there, not where a directory takes it in.
        for (directory, home) in directories {
            for (below, _) in tree.below(&directory) {
                stage.take(below.clone(), home);
            }
        }
        tree.read_ahead(&stage.present);
        stage
    }

    fn take(&mut self, path: UsrPath, home: Location<'a>) {
        self.homes.entry(path.clone()).or_insert(home);
        self.present.insert(path);
    }

    /// The line that lists a node, or the directory above it.
    pub fn home(&self, path: &UsrPath) -> Option<Location<'a>> {
        self.homes.get(path).copied()
    }

    /// The line that a file belongs next to: the last one before it of the manifest that lists most of its directory, of
    /// several `preferred`. `None` where no manifest lists anything there.
    pub fn neighbour(&self, path: &UsrPath, preferred: &str) -> Option<Location<'a>> {
        let beside = || {
            let same = self.present.iter().filter(|other| other.parent() == path.parent());
            same.filter_map(|other| Some((other, self.home(other)?)))
        };
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        beside().for_each(|(_, home)| *counts.entry(home.file).or_default() += 1);
        let (file, _) = counts.into_iter().max_by_key(|(file, count)| (*count, *file == preferred))?;
        let of_file = || beside().filter(|(_, home)| home.file == file);
        let before = of_file().rfind(|(other, _)| *other < path);
        before.or_else(|| of_file().next()).map(|(_, home)| home)
    }

    /// Whether a node will be in the built tree: extracted, or a directory above something extracted.
    pub fn holds(&self, path: &UsrPath) -> bool {
        self.present.contains(path) || self.is_above_listed(path)
    }

    fn is_above_listed(&self, directory: &UsrPath) -> bool {
        let first = format!("{directory}/");
        self.present
            .range::<str, _>((Included(first.as_str()), Unbounded))
            .next()
            .is_some_and(|path| path.is_within(directory))
    }

    /// The programs and libraries of the stage that a loader of its board loads something for, in byte order.
    pub fn loadable(&self) -> impl Iterator<Item = &UsrPath> {
        let machine = self.of.board.elf_machine();
        self.files().filter_map(move |(path, facts)| match facts {
            FileInfo::Elf(elf) if elf.dynamic && elf.machine == machine => Some(path),
            _ => None,
        })
    }

    /// The regular files of the stage with what is known of them, in byte order.
    pub fn files(&self) -> impl Iterator<Item = (&UsrPath, &'a FileInfo)> {
        self.present.iter().filter_map(|path| self.tree.file_info(path.as_str()).map(|facts| (path, facts)))
    }
}
