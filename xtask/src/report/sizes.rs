//! Sizes of the listed files, by manifest and path, before and after a change.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Report, file_name};
use coreos_types::{Board, Flavor};
use manifest::finding::Fix;
use manifest::plan::bump::ImageTrees;
use manifest::stage1_sources::{ManifestRef, Stage1Sources};
use usr::{Node, NodeKind, UsrPath, UsrTree, lossless_text};

/// The paths of one manifest on one board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSizes {
    /// The board.
    pub board: Board,
    /// The manifest's real path, relative to the tree.
    pub file: String,
    /// The flavors with the manifest: more than one if it is symlinked.
    pub flavors: Vec<Flavor>,
    /// Every path it lists, before or after, in byte order.
    pub paths: Vec<PathSize>,
}

/// One listed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathSize {
    /// Relative to /usr.
    pub path: String,
    /// Bytes before, 0 for a symlink; `None` where it was not listed, or the old image is not available or does not have it.
    pub before: Option<u64>,
    /// Bytes after, 0 for a symlink; `None` where it is not listed, or the new image does not have it.
    pub after: Option<u64>,
}

/// Manifests before or after the change, and their images by board; an unavailable image is omitted.
#[derive(Debug, Clone, Copy)]
pub struct TreeState<'a> {
    /// coreos-common.mk and the manifests.
    pub sources: &'a Stage1Sources,
    /// The images.
    pub trees: &'a ImageTrees<'a>,
}

/// Compares the sizes before and after, by board and manifest.
pub fn compare(before: TreeState<'_>, after: TreeState<'_>) -> Vec<ManifestSizes> {
    let mut flavors: BTreeMap<(Board, &str), BTreeSet<Flavor>> = BTreeMap::new();
    for ManifestRef { board, file, flavor, .. } in &after.sources.manifest_refs {
        flavors.entry((*board, file)).or_default().insert(flavor.clone());
    }
    let compare_file = |((board, file), flavors): ((Board, &str), BTreeSet<Flavor>)| {
        let flavors = flavors.into_iter().collect();
        let (old, new) = (line_sizes(before, board, file), line_sizes(after, board, file));
        let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let size = |side: &BTreeMap<String, Option<u64>>, path: &str| side.get(path).copied().flatten();
        let path = |path: &&String| PathSize {
            path: (*path).clone(),
            before: size(&old, path),
            after: size(&new, path),
        };
        ManifestSizes { board, file: file.to_owned(), flavors, paths: all.iter().map(path).collect() }
    };
    flavors.into_iter().map(compare_file).collect()
}

fn line_sizes(state: TreeState<'_>, board: Board, file: &str) -> BTreeMap<String, Option<u64>> {
    let tree = state.trees.get(&board);
    let text = state.sources.manifests.get(file).map(|bytes| lossless_text::from_bytes(bytes));
    let lines = text.iter().flat_map(|text| text.lines()).map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| (line.to_owned(), tree.and_then(|tree| line_size(tree, line)))).collect()
}

fn line_size(tree: &UsrTree, line: &str) -> Option<u64> {
    let (path, node) = listed_node(tree, line)?;
    Some(match &node.kind {
        NodeKind::Directory => tree.below(&path).map(|(_, node)| own_size(&node.kind)).sum(),
        kind => own_size(kind),
    })
}

/// The node that a manifest line lists. Only symlinks of its parent directories are resolved: a listed symlink is itself
/// the node.
pub(super) fn listed_node<'t>(tree: &'t UsrTree, line: &str) -> Option<(UsrPath, &'t Node)> {
    let path = UsrPath::new(line).ok()?;
    let path = match path.parent() {
        Some(parent) => tree.resolve(&parent).end.node()?.join(path.name()),
        None => path,
    };
    let node = tree.get(path.as_str())?;
    Some((path, node))
}

fn own_size(kind: &NodeKind) -> u64 {
    match kind {
        NodeKind::File { size, .. } => *size,
        _ => 0,
    }
}

/// Bytes before and after; `None` without an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) before: Option<u64>,
    pub(super) after: Option<u64>,
}

/// The bytes of one manifest.
pub(super) fn total(manifest: &ManifestSizes) -> Total {
    sum(manifest.paths.iter())
}

/// The root filesystem of each flavor and board: a path that several manifests list counts once.
pub(super) fn rootfs_totals(report: &Report) -> Vec<(Board, Flavor, Total)> {
    let mut distinct: BTreeMap<(Board, &Flavor), BTreeMap<&str, &PathSize>> = BTreeMap::new();
    for manifest in &report.sizes {
        for flavor in &manifest.flavors {
            let paths = distinct.entry((manifest.board, flavor)).or_default();
            paths.extend(manifest.paths.iter().map(|size| (size.path.as_str(), size)));
        }
    }
    let distinct = distinct.into_iter();
    distinct.map(|((board, flavor), paths)| (board, flavor.clone(), sum(paths.into_values()))).collect()
}

fn sum<'a>(paths: impl Iterator<Item = &'a PathSize>) -> Total {
    let add = |sum: Option<u64>, size: Option<u64>| match (sum, size) {
        (None, None) => None,
        (sum, size) => Some(sum.unwrap_or(0) + size.unwrap_or(0)),
    };
    paths.fold(Total { before: None, after: None }, |total, path| Total {
        before: add(total.before, path.before),
        after: add(total.after, path.after),
    })
}

/// A library that was added, removed or replaced: its development link, soname and file together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LibraryChange<'a> {
    /// The name up to `.so`: `libpam`.
    pub(super) name: &'a str,
    /// The file before, without its directory; `None` for a library that was added.
    pub(super) from: Option<&'a str>,
    /// The file after; `None` for a library that was removed.
    pub(super) to: Option<&'a str>,
    /// Bytes of both files; without a file before or after they are 0.
    pub(super) total: Total,
    /// Dependents by `DT_NEEDED`.
    pub(super) needed_by: Vec<&'a str>,
}

/// The libraries that fixes concern, by name.
pub(super) fn library_changes<'r>(report: &'r Report) -> Vec<LibraryChange<'r>> {
    let mut fixes: BTreeMap<&'r str, Vec<&'r Fix>> = BTreeMap::new();
    for fix in &report.fixes {
        let names = [&fix.to, &fix.from].into_iter().flatten();
        if let Some(name) = names.filter_map(|path| library_name(path)).next() {
            fixes.entry(name).or_default().push(fix);
        }
    }
    let mut needed_by: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for need in report.added_dependents.iter().filter(|need| need.name != "link") {
        if let Some(name) = library_name(&need.to) {
            needed_by.entry(name).or_default().insert(&need.from);
        }
    }
    let mut sizes: HashMap<(&str, &str), &PathSize> = HashMap::new();
    for manifest in &report.sizes {
        sizes.extend(manifest.paths.iter().map(|size| ((manifest.file.as_str(), size.path.as_str()), size)));
    }
    let change = |(name, fixes): (&'r str, Vec<&'r Fix>)| {
        let files: BTreeSet<&str> = fixes.iter().map(|fix| fix.file.as_str()).collect();
        let side = |path_of: fn(&Fix) -> Option<&String>, size_of: fn(&PathSize) -> Option<u64>| {
            let paths: Vec<&str> = fixes.iter().filter_map(|fix| path_of(fix)).map(String::as_str).collect();
            let distinct: BTreeSet<&str> = paths.iter().copied().collect();
            let size =
                |path| files.iter().find_map(|file| sizes.get(&(*file, path))).and_then(|size| size_of(size));
            let bytes = distinct.into_iter().filter_map(size).reduce(|sum, size| sum + size);
            // The real file has the longest name of a chain of links: libz.so, libz.so.1, libz.so.1.2.8.
            let real = paths.iter().copied().map(file_name).max_by_key(|name| name.len());
            (real, if paths.is_empty() { Some(0) } else { bytes })
        };
        let (from, before) = side(|fix| fix.from.as_ref(), |size| size.before);
        let (to, after) = side(|fix| fix.to.as_ref(), |size| size.after);
        let needed_by = needed_by.remove(name).unwrap_or_default().into_iter().collect();
        LibraryChange { name, from, to, total: Total { before, after }, needed_by }
    };
    fixes.into_iter().map(change).collect()
}

/// `libpam` of `lib64/libpam.so.0`; `None` if the file is not a library.
fn library_name(path: &str) -> Option<&str> {
    let name = file_name(path);
    let end = name.strip_suffix(".so").map(str::len).or_else(|| name.find(".so."))?;
    Some(&name[..end])
}

/// Bytes with a unit: `640 B`, `12.3 kB`, `1.9 MB`, `1.2 GB`.
pub(crate) fn format_bytes(number: u64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.iter().find(|(size, _)| number as f64 >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", number as f64 / size),
        None => format!("{number} B"),
    }
}

/// Bytes that may be unknown.
pub fn format_bytes_or_dash(number: Option<u64>) -> String {
    number.map_or_else(|| "–".to_owned(), format_bytes)
}

/// `+12.3 kB`, `-1.9 MB`, `±0`, or a dash where one side is unknown.
pub(super) fn format_size_change(before: Option<u64>, after: Option<u64>) -> String {
    match (before, after) {
        (Some(before), Some(after)) if before == after => "±0".to_owned(),
        (Some(before), Some(after)) if before < after => format!("+{}", format_bytes(after - before)),
        (Some(before), Some(after)) => format!("-{}", format_bytes(before - after)),
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use usr::{FileInfo, Node};

    fn tree(files: &[(&str, u64)], links: &[(&str, &str)]) -> UsrTree {
        let mut tree = UsrTree::new();
        let mut put = |path: &str, kind| tree.insert(UsrPath::new(path).unwrap(), Node { mode: 0o755, kind });
        files.iter().for_each(|(path, size)| put(path, NodeKind::file(*size, FileInfo::Other)));
        links.iter().for_each(|(path, target)| put(path, NodeKind::Symlink((*target).to_owned())));
        tree
    }

    fn sources(lines: &str) -> Stage1Sources {
        let manifest_ref = |flavor: &str| ManifestRef {
            board: Board::Amd64,
            flavor: Flavor::from_dir_name(flavor).unwrap(),
            directory_entry: format!("stage1/{flavor}/manifest-amd64-usr.d/a.manifest"),
            file: "stage1/usr_from_coreos/manifest-amd64-usr.d/a.manifest".into(),
        };
        Stage1Sources {
            manifests: [(manifest_ref("usr_from_coreos").file, lines.as_bytes().to_vec())].into(),
            // A directory may have a manifest under two names.
            manifest_refs: ["usr_from_coreos", "usr_from_kvm", "usr_from_kvm"].map(manifest_ref).to_vec(),
            ..Stage1Sources::default()
        }
    }

    #[test]
    fn symlink_is_empty_and_directory_sums_its_files() {
        let (old, new) = (sources("lib\nlib64/a.so.1\nlib64/d\n"), sources("lib\nlib/b.so.1\nlib64/d\n"));
        let files = [("lib64/a.so.1", 10), ("lib64/b.so.1", 30), ("lib64/d/x", 1), ("lib64/d/y", 2)];
        let tree = tree(&files, &[("lib", "lib64")]);
        let trees = ImageTrees::from([(Board::Amd64, &tree)]);
        let compared =
            compare(TreeState { sources: &old, trees: &trees }, TreeState { sources: &new, trees: &trees });
        assert_eq!(compared[0].flavors.iter().map(Flavor::as_str).collect::<Vec<_>>(), ["coreos", "kvm"]);
        let rows: Vec<_> =
            compared[0].paths.iter().map(|size| (size.path.as_str(), size.before, size.after)).collect();
        assert_eq!(
            rows,
            [
                ("lib", Some(0), Some(0)),
                ("lib/b.so.1", None, Some(30)),
                ("lib64/a.so.1", Some(10), None),
                ("lib64/d", Some(3), Some(3)),
            ]
        );
        let report = Report { sizes: compared, ..Report::default() };
        let totals: Vec<_> =
            rootfs_totals(&report).into_iter().map(|(_, flavor, t)| (flavor.to_string(), t)).collect();
        let both = Total { before: Some(13), after: Some(33) };
        assert_eq!(totals, [("coreos".to_owned(), both), ("kvm".to_owned(), both)]);
    }

    #[test]
    fn missing_image_has_no_sizes() {
        let lines = sources("bin/x\n");
        let image = tree(&[("bin/x", 5)], &[]);
        let (none, new) = (ImageTrees::new(), ImageTrees::from([(Board::Amd64, &image)]));
        let compared =
            compare(TreeState { sources: &lines, trees: &none }, TreeState { sources: &lines, trees: &new });
        assert_eq!(total(&compared[0]), Total { before: None, after: Some(5) });
    }

    #[test]
    fn bytes_have_units() {
        assert_eq!(
            [640, 12_345, 1_912_345, 1_200_000_000].map(format_bytes),
            ["640 B", "12.3 kB", "1.9 MB", "1.2 GB"]
        );
        assert_eq!(format_size_change(Some(1), Some(1001)), "+1.0 kB");
        assert_eq!(format_size_change(Some(1001), Some(1)), "-1.0 kB");
        assert_eq!(format_size_change(None, Some(1)), "–");
    }

    #[test]
    fn library_and_its_symlinks_are_one_change() {
        let report = crate::report::fixtures::bump();
        let libraries: Vec<_> = library_changes(&report)
            .into_iter()
            .map(|library| (library.name, library.from, library.to, library.total, library.needed_by))
            .collect();
        let total = |before, after| Total { before, after };
        let pam = (None, Some("libpam.so.0"), total(Some(0), Some(55_000)), vec!["lib64/systemd/systemd"]);
        let z = (Some("libz.so.1.2.8"), Some("libz.so.1.2.11"), total(Some(88_000), Some(100_500)), vec![]);
        assert_eq!(libraries, [("libpam", pam.0, pam.1, pam.2, pam.3), ("libz", z.0, z.1, z.2, z.3)]);
        assert_eq!(library_name("lib64/libfoo-1.so"), Some("libfoo-1"));
        assert_eq!(library_name("bin/x.sort"), None);
    }
}
