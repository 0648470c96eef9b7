//! Selected files: the nodes of an image that the manifests of one board and flavor list, each with its line.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound::{Included, Unbounded};

use super::file::ManifestFile;
use coreos_types::{Board, Flavor};
use usr::{ElfInfo, FileInfo, NodeKind, UsrPath, UsrTree};

/// A file of a manifest directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestRef {
    /// The board of the directory: `manifest-BOARD.d`, or `manifest.d` for amd64-usr.
    pub board: Board,
    /// The flavor, which the parent of the manifest directory names.
    pub flavor: Flavor,
    /// Path of the directory entry, relative to the tree.
    pub directory_entry: String,
    /// Real path, relative to the tree.
    pub file: String,
}

/// The manifests of a board and flavor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSet {
    /// The board.
    pub board: Board,
    /// The flavor.
    pub flavor: Flavor,
    /// Real paths of the manifests, including those that are reached by a symlink.
    pub files: BTreeSet<String>,
    /// Real path by directory entry, in the order in which the build concatenates the files.
    directory_entries: BTreeMap<String, String>,
}

impl ManifestSet {
    /// Groups the manifests of a board by flavor. A flavor that links to manifests of another one is sorted after it, so
    /// that a dependency of both is added to the shared manifest.
    pub fn group_by_flavor(board: Board, manifest_refs: &[ManifestRef]) -> Vec<ManifestSet> {
        let mut flavors: BTreeMap<&Flavor, ManifestSet> = BTreeMap::new();
        for manifest_ref in manifest_refs.iter().filter(|manifest_ref| manifest_ref.board == board) {
            let flavor = flavors.entry(&manifest_ref.flavor).or_insert_with(|| ManifestSet {
                board,
                flavor: manifest_ref.flavor.clone(),
                files: BTreeSet::new(),
                directory_entries: BTreeMap::new(),
            });
            flavor.files.insert(manifest_ref.file.clone());
            flavor.directory_entries.insert(manifest_ref.directory_entry.clone(), manifest_ref.file.clone());
        }
        let mut flavors: Vec<ManifestSet> = flavors.into_values().collect();
        flavors
            .sort_by_key(|flavor| flavor.directory_entries().filter(|(entry, file)| entry != file).count());
        flavors
    }

    /// Whether the build concatenates another manifest after `file`, a real path.
    pub fn is_followed_by_manifest(&self, file: &str) -> bool {
        let mut from_end = self.directory_entries.values().rev().peekable();
        match from_end.next_if(|last| *last == file) {
            Some(_) => from_end.skip_while(|other| *other == file).any(|other| other == file),
            None => self.files.contains(file),
        }
    }

    /// Whether the flavor has a manifest of another flavor under this real path, through a symlink.
    fn is_linked(&self, file: &str) -> bool {
        !self.directory_entries.contains_key(file)
    }

    /// Directory entries of the manifest directory, each with its real path, in the order of the build.
    pub fn directory_entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.directory_entries.iter().map(|(entry, file)| (entry.as_str(), file.as_str()))
    }
}

/// The nodes of an image that a flavor's manifests list: the content of its stage1.
#[derive(Debug)]
pub struct Selection<'a> {
    /// The image.
    pub tree: &'a UsrTree,
    /// The board and flavor, with the paths of their manifests.
    pub manifest_set: &'a ManifestSet,
    /// The manifests of the flavor by real path.
    pub manifest_files: BTreeMap<&'a str, &'a ManifestFile>,
    /// Every node that the build extracts; a listed directory includes all nodes below it.
    pub paths: BTreeSet<UsrPath>,
    /// The manifest line of each node in `paths`.
    locations: BTreeMap<UsrPath, Location<'a>>,
    /// Computed on first use.
    by_directory: OnceCell<NodesByDirectory<'a>>,
}

/// The selected nodes of each directory and manifest in byte order, with their line numbers.
type NodesByDirectory<'a> = HashMap<Option<UsrPath>, BTreeMap<&'a str, Vec<(UsrPath, usize)>>>;

/// A line of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location<'a> {
    /// Real path of the manifest.
    pub file: &'a str,
    /// Line number, from 1.
    pub line: usize,
}

impl<'a> Selection<'a> {
    /// Selects the nodes that the manifests of a flavor list; `text` returns the content of a manifest. Lines without a
    /// node in the image are ignored. The selected files are read in one batch.
    pub fn read(
        manifest_set: &'a ManifestSet,
        text: impl Fn(&str) -> Option<&'a ManifestFile>,
        tree: &'a UsrTree,
    ) -> Selection<'a> {
        let manifest_files = manifest_set.files.iter().filter_map(|file| Some((file.as_str(), text(file)?)));
        let mut selection = Selection {
            tree,
            manifest_set,
            manifest_files: manifest_files.collect(),
            paths: BTreeSet::new(),
            locations: BTreeMap::new(),
            by_directory: OnceCell::new(),
        };
        let mut directories: Vec<(UsrPath, Location<'a>)> = Vec::new();
        for (location, line) in selection.entries().collect::<Vec<_>>() {
            let (Ok(path), Some(node)) = (UsrPath::new(line), tree.get(line)) else { continue };
            if node.kind == NodeKind::Directory {
                directories.push((path.clone(), location));
            }
            selection.add(path, location);
        }
        // The line of a path itself has precedence over the line of a directory above, and of nested directories the
        // outermost is enough.
        directories.sort();
        directories.dedup_by(|inner, outer| inner.0.is_at_or_below(&outer.0));
        for (directory, location) in directories {
            for (below, _) in tree.below(&directory) {
                selection.add(below.clone(), location);
            }
        }
        tree.read_ahead(&selection.paths);
        selection
    }

    /// The entries of the manifests, each with its location.
    pub fn entries(&self) -> impl Iterator<Item = (Location<'a>, &'a str)> {
        self.manifest_files.iter().flat_map(|(&file, text)| {
            text.entries().map(move |(at, line)| (Location { file, line: at + 1 }, line))
        })
    }

    fn add(&mut self, path: UsrPath, location: Location<'a>) {
        self.locations.entry(path.clone()).or_insert(location);
        self.paths.insert(path);
    }

    /// The line that lists a node or a directory above the node.
    pub fn location(&self, path: &UsrPath) -> Option<Location<'a>> {
        self.locations.get(path).copied()
    }

    /// The line next to which a file is to be added: the last smaller path of the manifest that lists most files of the
    /// directory; the manifest of `default` wins a tie. `default` if no manifest lists a file of the directory. What a
    /// flavor lists in its own manifest needs nothing in the manifests of another flavor, to which it may link.
    pub fn neighbor_for_addition(&self, path: &UsrPath, default: Location<'a>) -> Location<'a> {
        let by_directory = self.by_directory.get_or_init(|| {
            let mut by_directory = NodesByDirectory::new();
            for (path, location) in &self.locations {
                let manifests = by_directory.entry(path.parent()).or_default();
                manifests.entry(location.file).or_default().push((path.clone(), location.line));
            }
            by_directory
        });
        let may_link = self.manifest_set.is_linked(default.file);
        let manifests = by_directory.get(&path.parent()).into_iter().flatten();
        let manifests = manifests.filter(|(file, _)| may_link || !self.manifest_set.is_linked(file));
        let most = |(file, nodes): &(&&str, &Vec<_>)| (nodes.len(), **file == default.file);
        let Some((&file, nodes)) = manifests.max_by_key(most) else { return default };
        let smaller = nodes.partition_point(|(other, _)| other < path);
        let nearest = nodes.get(smaller.saturating_sub(1));
        nearest.map_or(default, |&(_, line)| Location { file, line })
    }

    /// Whether the built tree has a node: an extracted one, or a directory above an extracted one.
    pub fn will_contain(&self, path: &UsrPath) -> bool {
        let is_above_selected = || {
            let below = format!("{path}/");
            let mut from_below = self.paths.range::<str, _>((Included(below.as_str()), Unbounded));
            from_below.next().is_some_and(|next| next.is_at_or_below(path))
        };
        self.paths.contains(path) || is_above_selected()
    }

    /// Selected ELF files with a dynamic section, for the machine of the board, in byte order.
    pub fn dynamic_elf_files(&self) -> impl Iterator<Item = &UsrPath> {
        let machine = self.manifest_set.board.elf_machine();
        self.elf_files()
            .filter(move |(_, elf)| elf.has_dynamic_section && elf.machine == machine)
            .map(|(path, _)| path)
    }

    /// Selected ELF files, in byte order.
    pub fn elf_files(&self) -> impl Iterator<Item = (&UsrPath, &'a ElfInfo)> {
        self.paths.iter().filter_map(|path| Some((path, self.tree.read_elf_info(path)?)))
    }

    /// Selected regular files with their properties, in byte order.
    pub fn files(&self) -> impl Iterator<Item = (&UsrPath, &'a FileInfo)> {
        self.paths
            .iter()
            .filter_map(|path| self.tree.read_file_info(path.as_str()).map(|facts| (path, facts)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::rules::tests::image;

    #[test]
    fn neighbor_of_an_own_line_is_in_no_linked_manifest() {
        let tree = image(&["bin/a", "bin/b", "bin/c"]);
        let flavor = Flavor::from_dir_name("usr_from_kvm").unwrap();
        let manifest_ref = |directory_entry: &str, file: &str| ManifestRef {
            board: Board::Amd64,
            flavor: flavor.clone(),
            directory_entry: directory_entry.to_owned(),
            file: file.to_owned(),
        };
        let refs = [manifest_ref("own", "own"), manifest_ref("link", "shared")];
        let set = &ManifestSet::group_by_flavor(Board::Amd64, &refs)[0];
        let (own, shared) = (ManifestFile::parse(b"bin/c\n"), ManifestFile::parse(b"bin/a\nbin/b\n"));
        let selection = Selection::read(set, |file| Some(if file == "own" { &own } else { &shared }), &tree);
        let file_for = |default| {
            let default = Location { file: default, line: 1 };
            selection.neighbor_for_addition(&UsrPath::new("bin/d").unwrap(), default).file
        };
        assert_eq!(["own", "shared"].map(file_for), ["own", "shared"]);
    }

    /// 30,000 files, each asked for; a pass over the names for each would take a minute.
    #[test]
    fn manifest_before_another_one_is_followed() {
        let set = |files: &[String]| {
            let flavor = Flavor::from_dir_name("usr_from_kvm").unwrap();
            let refs: Vec<ManifestRef> = (files.iter().enumerate())
                .map(|(at, file)| ManifestRef {
                    board: Board::Amd64,
                    flavor: flavor.clone(),
                    directory_entry: format!("{at:06}"),
                    file: file.clone(),
                })
                .collect();
            ManifestSet::group_by_flavor(Board::Amd64, &refs).remove(0)
        };
        for (files, expected) in [
            (&["a"][..], [false, false]),
            (&["a", "b"], [true, false]),
            (&["a", "b", "a"], [true, true]),
            (&["b", "a", "a"], [false, true]),
            (&["a", "a", "b", "b"], [true, false]),
        ] {
            let set = set(&files.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>());
            assert_eq!(["a", "b"].map(|file| set.is_followed_by_manifest(file)), expected, "{files:?}");
            assert!(!set.is_followed_by_manifest("c"));
        }
        let many: Vec<String> = (0..30_000).map(|at| format!("stage1/usr_from_kvm/{at:06}")).collect();
        let set = set(&many);
        assert_eq!(many.iter().filter(|file| set.is_followed_by_manifest(file)).count(), 29_999);
    }

    /// A comparison of each addition with each node before it would take minutes.
    #[test]
    fn many_additions_behind_a_listed_directory_are_bounded() {
        let files: Vec<String> = (0..20_000).map(|number| format!("lib64/m/{number}")).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).chain(["lib64/a"]).collect();
        let (tree, manifest) = (image(&files), ManifestFile::parse(b"lib64/a\nlib64/m\n"));
        let flavor = Flavor::from_dir_name("usr_from_coreos").unwrap();
        let (directory_entry, file) = ("own".to_owned(), "own".to_owned());
        let refs = [ManifestRef { board: Board::Amd64, flavor, directory_entry, file }];
        let set = &ManifestSet::group_by_flavor(Board::Amd64, &refs)[0];
        let selection = Selection::read(set, |_| Some(&manifest), &tree);
        for number in 0..20_000 {
            let path = UsrPath::new(&format!("lib64/{number}")).unwrap();
            let default = Location { file: "own", line: 1 };
            assert_eq!(selection.neighbor_for_addition(&path, default).line, 1);
            let path = UsrPath::new(&format!("lib64/z{number}")).unwrap();
            assert_eq!(selection.neighbor_for_addition(&path, default).line, 2);
        }
    }
}
