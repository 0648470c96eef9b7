//! The dependents of each file, from all dependencies of the listed files of a board.

use std::collections::{BTreeMap, BTreeSet};

use super::{Edge, ManifestLine, UnresolvedName};
use coreos_types::Board;
use manifest::selection::Location;
use manifest::stage1_sources::Stage1Sources;
use manifest::{unit_and_script_execs::find_exec_references, unlisted_execs::StartedPrograms};
use usr::{
    DynamicLoader, ElfInfo, UsrPath, UsrTree,
    elf::DlopenNote,
    ldso::{FoundVia, LoadResult},
};

/// The dependency graph of the listed files of a board.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct DependencyGraph {
    /// The line that lists each path or a directory above it.
    pub(super) listed: BTreeMap<UsrPath, Vec<ManifestLine>>,
    /// The lines that name each path, whether or not the image has it.
    pub(super) lines: BTreeMap<UsrPath, Vec<ManifestLine>>,
    /// The dependents of each file.
    pub(super) needed_by: BTreeMap<UsrPath, BTreeSet<Edge>>,
    /// Names that the image does not have.
    pub(super) missing: BTreeMap<String, UnresolvedName>,
}

impl DependencyGraph {
    pub(super) fn new(board: Board, sources: &Stage1Sources, tree: &UsrTree) -> DependencyGraph {
        let mut graph = DependencyGraph::default();
        let paths = graph.add_listed_paths(board, sources, tree);
        let loader = DynamicLoader::new(tree, board, DynamicLoader::rkt_library_path(tree), None);
        let programs = StartedPrograms::new(tree);
        let is_loadable = |elf: &&ElfInfo| elf.has_dynamic_section && elf.machine == board.elf_machine();
        for path in &paths {
            let Some(elf) = tree.read_elf_info(path).filter(is_loadable) else { continue };
            graph.add_load_result(&loader.load(path));
            graph.add_dlopen_notes(&loader, path, &elf.dlopen_notes);
            for (row, chain) in programs.started_by(path, &elf.exec_paths) {
                graph.add_edge(chain.last(), path, row.program, row.source.to_owned());
            }
        }
        for reference in find_exec_references(tree, &paths) {
            let program = reference.target(tree);
            graph.add_edge(program.as_ref(), &reference.referrer, &reference.directive, String::new());
        }
        graph
    }

    /// Adds a direct dependency, if it was found.
    fn add_edge(&mut self, needed: Option<&UsrPath>, by: &UsrPath, reference: &str, how: String) {
        if let Some(needed) = needed {
            let edge = Edge { by: by.clone(), reference: reference.to_owned(), how };
            self.needed_by.entry(needed.clone()).or_default().insert(edge);
        }
    }

    /// Adds the first library of each `.note.dlopen` entry that the image has.
    fn add_dlopen_notes(&mut self, loader: &DynamicLoader<'_>, by: &UsrPath, notes: &[DlopenNote]) {
        for note in notes {
            let found = note.sonames.iter().find_map(|name| Some((name, loader.resolve_dlopen(by, name)?)));
            if let Some((name, object)) = found {
                self.add_edge(Some(&object.path), by, name, format!("dlopen(3) for {}", note.feature));
            }
        }
    }

    fn add_listed_paths(
        &mut self,
        board: Board,
        sources: &Stage1Sources,
        tree: &UsrTree,
    ) -> BTreeSet<UsrPath> {
        let mut paths = BTreeSet::new();
        sources.for_each_selection(board, tree, |selection| {
            for (Location { file, line }, text) in selection.entries() {
                let Ok(path) = UsrPath::new(text) else { continue };
                push_line(self.lines.entry(path).or_default(), file, line);
            }
            for path in &selection.paths {
                if let Some(Location { file, line }) = selection.location(path) {
                    push_line(self.listed.entry(path.clone()).or_default(), file, line);
                }
            }
            paths.extend(selection.paths);
        });
        paths
    }

    fn add_load_result(&mut self, load: &LoadResult) {
        for need in &load.needs {
            if let Some(object) = need.object.and_then(|at| load.objects.get(at)) {
                let how = object.found_via.to_string();
                self.add_edge(Some(&object.path), &need.needed_by, &need.name, how);
            }
        }
        for object in load.objects.iter().filter(|object| object.found_via == FoundVia::Interp) {
            let how = object.found_via.to_string();
            self.add_edge(Some(&object.path), &object.needed_by, &object.requested_name, how);
        }
        for missing in &load.missing {
            let known = self.missing.entry(missing.name.clone()).or_default();
            known.needed_by.insert(missing.needed_by.clone());
            known.searched.clone_from(&missing.searched);
        }
    }
}

/// Adds a line, unless another flavor has added it.
fn push_line(lines: &mut Vec<ManifestLine>, file: &str, line: usize) {
    let line = ManifestLine { file: file.to_owned(), line };
    if !lines.contains(&line) {
        lines.push(line);
    }
}
