//! Reverse dependencies of a selection: the entries to remove together with an unavailable file.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

use crate::selection::{ManifestsByPath, Selection};
use crate::suggestion::Suggestion;
use crate::unit_and_script_execs::ExecReference;
use crate::unsatisfied_dependencies::loader_with_rkt_env;
use usr::file_info::is_systemd;
use usr::path::UsrPath;

/// The reverse dependency graph of a selection, computed on first use.
pub(super) struct Dependents<'a, 's> {
    selection: &'s Selection<'a>,
    manifests: &'s ManifestsByPath<'a>,
    exec_references: &'s [ExecReference],
    graph: OnceCell<Graph>,
}

/// Dependents by dependency.
#[derive(Default)]
struct Graph {
    /// Listed programs and libraries by a file that they load if everything in the image is listed.
    by_object: HashMap<UsrPath, Vec<UsrPath>>,
    /// Listed programs and libraries by a name that they or their dependencies need and the image does not have.
    by_missing_name: HashMap<String, Vec<UsrPath>>,
    /// Listed units and scripts by a required program.
    by_program: HashMap<UsrPath, Vec<UsrPath>>,
    /// Listed symlinks by target.
    by_target: HashMap<UsrPath, Vec<UsrPath>>,
    /// The lines of each path: manifest, number, text.
    lines: HashMap<UsrPath, Vec<(String, usize, String)>>,
}

impl<'a, 's> Dependents<'a, 's> {
    /// `exec_references` are the programs that selected units and scripts start.
    pub(super) fn new(
        selection: &'s Selection<'a>,
        manifests: &'s ManifestsByPath<'a>,
        exec_references: &'s [ExecReference],
    ) -> Dependents<'a, 's> {
        Dependents { selection, manifests, exec_references, graph: OnceCell::new() }
    }

    fn graph(&self) -> &Graph {
        self.graph.get_or_init(|| self.build())
    }

    fn build(&self) -> Graph {
        let (mut graph, selection) = (Graph::default(), self.selection);
        let image = loader_with_rkt_env(selection, None);
        for path in selection.dynamic_elf_files() {
            let load = image.load(path);
            let objects: BTreeSet<UsrPath> = load.objects.into_iter().map(|object| object.path).collect();
            let names: BTreeSet<String> = load.missing.into_iter().map(|missing| missing.name).collect();
            objects
                .into_iter()
                .for_each(|object| graph.by_object.entry(object).or_default().push(path.clone()));
            names
                .into_iter()
                .for_each(|name| graph.by_missing_name.entry(name).or_default().push(path.clone()));
        }
        for reference in self.exec_references.iter().filter(|reference| reference.is_needed_to_start()) {
            if let Some(program) = reference.target(selection.tree) {
                graph.by_program.entry(program).or_default().push(reference.referrer.clone());
            }
        }
        for path in &selection.paths {
            let resolved = selection.tree.resolve(path);
            if let Some(target) = resolved.end.node().filter(|_| !resolved.links.is_empty()) {
                graph.by_target.entry(target.clone()).or_default().push(path.clone());
            }
        }
        for file in &selection.manifests.files {
            for (at, line) in self.manifests.get(file.as_str()).into_iter().flat_map(|text| text.entries()) {
                let Ok(path) = UsrPath::new(line) else { continue };
                graph.lines.entry(path).or_default().push((file.clone(), at + 1, line.to_owned()));
            }
        }
        graph
    }

    /// The paths below a directory that selected files elsewhere need, with the symlinks to them.
    pub(super) fn needed_outside(&self, directory: &UsrPath) -> BTreeSet<UsrPath> {
        let graph = self.graph();
        let by_file = [&graph.by_object, &graph.by_program, &graph.by_target].into_iter().flatten();
        let needed = by_file.filter(|(file, dependents)| {
            file.is_within(directory) && dependents.iter().any(|path| !path.is_within(directory))
        });
        let links = |file| graph.by_target.get(file).into_iter().flatten();
        needed
            .flat_map(|(file, _)| links(file).filter(|link| link.is_within(directory)).chain([file]))
            .cloned()
            .collect()
    }

    /// The removal of the lines for `paths`, and of those for everything that does not work without one of them, or
    /// without the name `missing`.
    pub(super) fn removal_closure<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p UsrPath>,
        missing: Option<&str>,
    ) -> Suggestion {
        let graph = self.graph();
        let mut removed: BTreeSet<UsrPath> = paths.into_iter().cloned().collect();
        let unloadable = missing.and_then(|name| graph.by_missing_name.get(name));
        let extended = |removed: &BTreeSet<UsrPath>, by: &HashMap<UsrPath, Vec<UsrPath>>| -> Vec<UsrPath> {
            removed.iter().filter_map(|path| by.get(path)).flatten().cloned().collect()
        };
        let more = extended(&removed, &graph.by_object);
        removed.extend(more.into_iter().chain(unloadable.into_iter().flatten().cloned()));
        // A stage1 does not work without process 1.
        if removed.iter().any(|path| is_systemd(path.as_str())) {
            return Suggestion::ChangeRelease;
        }
        // A unit without its program and a symlink without its target would be the next findings.
        removed.extend(extended(&removed, &graph.by_program));
        removed.extend(extended(&removed, &graph.by_target));
        let listed = removed.iter().filter_map(|path| graph.lines.get(path)).flatten();
        let mut lines: BTreeSet<(&str, usize, &str)> =
            listed.map(|(file, line, text)| (file.as_str(), *line, text.as_str())).collect();
        // A path below a listed directory goes with the directory's line.
        for location in removed.iter().filter_map(|path| self.selection.location(path)) {
            let text = self.manifests.get(location.file).and_then(|text| text.lines().get(location.line - 1));
            lines.extend(text.map(|line| (location.file, location.line, line.text.as_str())));
        }
        Suggestion::remove(lines.into_iter().map(|(file, _, text)| (file, text)))
    }
}
