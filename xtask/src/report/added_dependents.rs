//! Dependents of added paths: the edges of a small graph.

use std::collections::{BTreeMap, BTreeSet};

use super::file_name;
use super::sizes::listed_node;
use coreos_types::Board;
use manifest::finding::{Fix, FixKind};
use manifest::plan::bump::ImageTrees;
use manifest::stage1_sources::Stage1Sources;
use usr::{NodeKind, UsrTree, lossless_text};

/// Most edges of a drawing; more are not legible.
pub(super) const MAX_EDGES: usize = 60;

/// Most edges of a report. A real bump has a fiftieth of that; the report of a hostile image is incomplete.
const MAX_REPORTED_EDGES: usize = 10_000;

/// An edge from a listed path to an added one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DependencyEdge {
    /// The board of the image.
    pub board: Board,
    /// The dependent path, relative to /usr.
    pub from: String,
    /// The added path.
    pub to: String,
    /// The soname in `DT_NEEDED`, or `link` where `from` is a symlink to it.
    pub name: String,
}

/// The listed paths that depend on what `fixes` added, by `DT_NEEDED` and symlinks of the images.
pub fn edges(fixes: &[Fix], after: &Stage1Sources, trees: &ImageTrees<'_>) -> Vec<DependencyEdge> {
    let mut needs = BTreeSet::new();
    for (&board, &tree) in trees {
        let manifest_refs = after.manifest_refs.iter().filter(|manifest_ref| manifest_ref.board == board);
        let files: BTreeSet<&str> = manifest_refs.map(|manifest_ref| manifest_ref.file.as_str()).collect();
        let is_added = |fix: &&Fix| fix.kind == FixKind::Add && files.contains(fix.file.as_str());
        let added = fixes.iter().filter(is_added).filter_map(|fix| fix.to.as_deref());
        let added: BTreeMap<&str, &str> = added.map(|path| (file_name(path), path)).collect();
        let manifests = files.iter().filter_map(|file| after.manifests.get(*file));
        for text in manifests.map(|bytes| lossless_text::from_bytes(bytes)) {
            for path in text.lines().map(str::trim) {
                for (name, to) in direct_dependencies(tree, path) {
                    let to = added.get(to.as_str()).filter(|to| **to != path);
                    let Some(&to) = to.filter(|_| needs.len() < MAX_REPORTED_EDGES) else { continue };
                    needs.insert(DependencyEdge { board, from: path.to_owned(), to: to.to_owned(), name });
                }
            }
        }
    }
    needs.into_iter().collect()
}

/// The dependencies of a path: the name in [`DependencyEdge::name`], and the file name of the dependency.
fn direct_dependencies(tree: &UsrTree, line: &str) -> Vec<(String, String)> {
    let Some((path, node)) = listed_node(tree, line) else { return Vec::new() };
    if let NodeKind::Symlink(target) = &node.kind {
        return vec![("link".to_owned(), file_name(target).to_owned())];
    }
    let needed = tree.read_elf_info(&path).into_iter().flat_map(|elf| &elf.needed);
    needed.map(|name| (name.clone(), name.clone())).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use coreos_types::Flavor;
    use manifest::stage1_sources::ManifestRef;
    use usr::{ElfInfo, FileInfo, Node, UsrPath};

    #[test]
    fn soname_and_symlink_are_edges() {
        let mut tree = UsrTree::new();
        let mut put = |path: &str, kind| tree.insert(UsrPath::new(path).unwrap(), Node { mode: 0o755, kind });
        let elf = |needed: &[&str]| {
            NodeKind::file(
                1,
                FileInfo::Elf(Box::new(ElfInfo {
                    needed: needed.iter().map(|n| (*n).to_owned()).collect(),
                    ..ElfInfo::default()
                })),
            )
        };
        put("lib64/systemd/systemd", elf(&["libpam.so.0", "libc.so.6"]));
        put("lib64/libpam.so.0", NodeKind::Symlink("libpam.so.0.84.1".into()));
        put("lib64/libpam.so.0.84.1", elf(&["libc.so.6"]));
        let file = "stage1/usr_from_coreos/manifest-amd64-usr.d/a.manifest".to_owned();
        let add = |to: &str| Fix {
            file: file.clone(),
            kind: FixKind::Add,
            from: None,
            to: Some(to.into()),
            reason: String::new(),
        };
        let sources = Stage1Sources {
            manifests: [(
                file.clone(),
                b"lib64/libpam.so.0\nlib64/libpam.so.0.84.1\nlib64/systemd/systemd\n".to_vec(),
            )]
            .into(),
            manifest_refs: vec![ManifestRef {
                board: Board::Amd64,
                flavor: Flavor::from_dir_name("usr_from_coreos").unwrap(),
                directory_entry: file.clone(),
                file: file.clone(),
            }],
            ..Stage1Sources::default()
        };
        let fixes = [add("lib64/libpam.so.0"), add("lib64/libpam.so.0.84.1")];
        let needs = edges(&fixes, &sources, &ImageTrees::from([(Board::Amd64, &tree)]));
        let edges: Vec<_> = needs.iter().map(|n| (n.from.as_str(), n.to.as_str(), n.name.as_str())).collect();
        assert_eq!(
            edges,
            [
                ("lib64/libpam.so.0", "lib64/libpam.so.0.84.1", "link"),
                ("lib64/systemd/systemd", "lib64/libpam.so.0", "libpam.so.0"),
            ]
        );
    }
}
