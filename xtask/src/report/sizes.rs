//! How many bytes a stage1 takes from the image, by manifest and path, before and after.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use coreos_types::release::{Board, Flavor};
use manifest::finding::FixKind;
use manifest::plan::bump::ImageTrees;
use manifest::plan::sources::Stage1Sources;
use usr::lossless_text;
use usr::path::UsrPath;
use usr::tree::{NodeKind, UsrTree};

/// The paths of one manifest on one board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSizes {
    /// The board.
    pub board: Board,
    /// The manifest's real path, relative to the tree.
    pub file: String,
    /// The flavors that take it, more than one where it is linked.
    pub flavors: Vec<Flavor>,
    /// Every path it lists, before or after, in byte order.
    pub paths: Vec<PathSize>,
}

/// One path. Links have 0 bytes, a directory stands for what is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathSize {
    /// Relative to /usr.
    pub path: String,
    /// Bytes before; `None` where it was not listed, or the old image is not at hand or lacks it.
    pub before: Option<u64>,
    /// Bytes after; `None` where it is not listed, or the new image lacks it.
    pub after: Option<u64>,
}

/// The sources of one moment and the images that go with them, by board; an image that is not at hand is left out.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// coreos-common.mk and the manifests.
    pub sources: &'a Stage1Sources,
    /// The images.
    pub trees: &'a ImageTrees<'a>,
}

/// The sizes of two moments, by board and manifest.
pub fn compare(before: Moment<'_>, after: Moment<'_>) -> Vec<ManifestSizes> {
    let mut flavors: BTreeMap<(Board, &str), Vec<Flavor>> = BTreeMap::new();
    for listing in &after.sources.listings {
        flavors.entry((listing.board, &listing.file)).or_default().push(listing.flavor.clone());
    }
    let of_file = |((board, file), flavors): ((Board, &str), Vec<Flavor>)| {
        let (old, new) = (sizes(before, board, file), sizes(after, board, file));
        let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let size = |side: &BTreeMap<String, Option<u64>>, path: &str| side.get(path).copied().flatten();
        let paths = all
            .iter()
            .map(|path| PathSize { path: (*path).clone(), before: size(&old, path), after: size(&new, path) })
            .collect();
        ManifestSizes { board, file: file.to_owned(), flavors, paths }
    };
    flavors.into_iter().map(of_file).collect()
}

/// The size of each line of one manifest.
fn sizes(moment: Moment<'_>, board: Board, file: &str) -> BTreeMap<String, Option<u64>> {
    let tree = moment.trees.get(&board);
    let text = moment.sources.manifests.get(file).map(|bytes| lossless_text::from_bytes(bytes));
    text.iter()
        .flat_map(|text| text.lines())
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| (line.to_owned(), tree.and_then(|tree| size(tree, line))))
        .collect()
}

fn size(tree: &UsrTree, line: &str) -> Option<u64> {
    let path = UsrPath::new(line).ok()?;
    // The last component stays: a listed link is a link. The directories above it may be links.
    let place = match path.parent() {
        Some(parent) => tree.resolve(&parent).end.node()?.join(path.name()),
        None => path,
    };
    match &tree.get(place.as_str())?.kind {
        NodeKind::File { size, .. } => Some(*size),
        NodeKind::Directory => Some(tree.below(&place).map(|(_, node)| own_size(&node.kind)).sum()),
        NodeKind::Symlink(_) | NodeKind::Special => Some(0),
    }
}

fn own_size(kind: &NodeKind) -> u64 {
    match kind {
        NodeKind::File { size, .. } => *size,
        _ => 0,
    }
}

/// Bytes before and after; `None` where no image of that moment is at hand.
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
pub(super) fn rootfs(report: &Report) -> Vec<(Board, Flavor, Total)> {
    let mut distinct: BTreeMap<(Board, &Flavor), BTreeMap<&str, &PathSize>> = BTreeMap::new();
    for manifest in &report.sizes {
        for flavor in &manifest.flavors {
            let paths = distinct.entry((manifest.board, flavor)).or_default();
            paths.extend(manifest.paths.iter().map(|size| (size.path.as_str(), size)));
        }
    }
    distinct
        .into_iter()
        .map(|((board, flavor), paths)| (board, flavor.clone(), sum(paths.into_values())))
        .collect()
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

/// One library that came, went or changed its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LibraryChange<'a> {
    pub(super) file: &'a str,
    pub(super) kind: FixKind,
    pub(super) from: Option<&'a str>,
    pub(super) to: Option<&'a str>,
    pub(super) before: Option<u64>,
    pub(super) after: Option<u64>,
}

/// Every fix of a library, with the bytes of its old and new file.
pub(super) fn libraries(report: &Report) -> Vec<LibraryChange<'_>> {
    let size = |file: &str, path: Option<&str>| {
        let manifest = report.sizes.iter().find(|manifest| manifest.file == file)?;
        manifest.paths.iter().find(|size| Some(size.path.as_str()) == path)
    };
    report
        .fixes
        .iter()
        .filter(|fix| [&fix.from, &fix.to].into_iter().flatten().any(|path| is_library(path)))
        .map(|fix| {
            let (from, to) = (fix.from.as_deref(), fix.to.as_deref());
            LibraryChange {
                file: &fix.file,
                kind: fix.kind,
                from,
                to,
                before: size(&fix.file, from).and_then(|size| size.before),
                after: size(&fix.file, to).and_then(|size| size.after),
            }
        })
        .collect()
}

fn is_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with(".so") || name.contains(".so.")
}

/// Bytes for a reader: `640 B`, `12.3 kB`, `1.9 MB`.
pub(super) fn bytes(number: u64) -> String {
    match number {
        0..=999 => format!("{number} B"),
        1_000..=999_999 => format!("{:.1} kB", number as f64 / 1e3),
        _ => format!("{:.1} MB", number as f64 / 1e6),
    }
}

/// Bytes that may be unknown.
pub(super) fn maybe(number: Option<u64>) -> String {
    number.map_or_else(|| "–".to_owned(), bytes)
}

/// `+12.3 kB`, `-1.9 MB`, `±0`, or a dash where one side is unknown.
pub(super) fn change(before: Option<u64>, after: Option<u64>) -> String {
    match (before, after) {
        (Some(before), Some(after)) if before == after => "±0".to_owned(),
        (Some(before), Some(after)) if before < after => format!("+{}", bytes(after - before)),
        (Some(before), Some(after)) => format!("-{}", bytes(before - after)),
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use manifest::plan::sources::ManifestRef;
    use usr::file_info::FileInfo;
    use usr::tree::Node;

    fn tree(files: &[(&str, u64)], links: &[(&str, &str)]) -> UsrTree {
        let mut tree = UsrTree::new();
        let mut put = |path: &str, kind| tree.insert(UsrPath::new(path).unwrap(), Node { mode: 0o755, kind });
        files.iter().for_each(|(path, size)| put(path, NodeKind::file(*size, FileInfo::Other)));
        links.iter().for_each(|(path, target)| put(path, NodeKind::Symlink((*target).to_owned())));
        tree
    }

    fn sources(lines: &str) -> Stage1Sources {
        let listing = |flavor: &str| ManifestRef {
            board: Board::Amd64,
            flavor: Flavor::from_dir_name(flavor).unwrap(),
            listed_as: format!("stage1/{flavor}/manifest-amd64-usr.d/a.manifest"),
            file: "stage1/usr_from_coreos/manifest-amd64-usr.d/a.manifest".into(),
        };
        Stage1Sources {
            manifests: [(listing("usr_from_coreos").file, lines.as_bytes().to_vec())].into(),
            listings: vec![listing("usr_from_coreos"), listing("usr_from_kvm")],
            ..Stage1Sources::default()
        }
    }

    #[test]
    fn links_weigh_nothing_and_directories_what_is_below() {
        let (old, new) = (sources("lib\nlib64/a.so.1\nlib64/d\n"), sources("lib\nlib/b.so.1\nlib64/d\n"));
        let files = [("lib64/a.so.1", 10), ("lib64/b.so.1", 30), ("lib64/d/x", 1), ("lib64/d/y", 2)];
        let tree = tree(&files, &[("lib", "lib64")]);
        let trees = ImageTrees::from([(Board::Amd64, &tree)]);
        let compared =
            compare(Moment { sources: &old, trees: &trees }, Moment { sources: &new, trees: &trees });
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
            rootfs(&report).into_iter().map(|(_, flavor, t)| (flavor.to_string(), t)).collect();
        let both = Total { before: Some(13), after: Some(33) };
        assert_eq!(totals, [("coreos".to_owned(), both), ("kvm".to_owned(), both)]);
    }

    #[test]
    fn an_image_that_is_not_at_hand_has_no_size() {
        let lines = sources("bin/x\n");
        let image = tree(&[("bin/x", 5)], &[]);
        let (none, new) = (ImageTrees::new(), ImageTrees::from([(Board::Amd64, &image)]));
        let compared =
            compare(Moment { sources: &lines, trees: &none }, Moment { sources: &lines, trees: &new });
        assert_eq!(total(&compared[0]), Total { before: None, after: Some(5) });
    }

    #[test]
    fn bytes_for_a_reader() {
        assert_eq!([640, 12_345, 1_912_345].map(bytes), ["640 B", "12.3 kB", "1.9 MB"]);
        assert_eq!(change(Some(1), Some(1001)), "+1.0 kB");
        assert_eq!(change(Some(1001), Some(1)), "-1.0 kB");
        assert_eq!(change(None, Some(1)), "–");
    }
}
