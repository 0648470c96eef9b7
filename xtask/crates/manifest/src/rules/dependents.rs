//! Reverse dependencies of a selection: the entries to remove together with an unavailable file.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::selection::{Location, Selection};
use crate::suggestion::Suggestion;
use crate::unit_and_script_execs::ExecReference;
use crate::unsatisfied_dependencies::loaders_with_without_env;
use usr::{UsrPath, file_info::is_systemd_program};

type PathsBy<K> = HashMap<K, Vec<UsrPath>>;

/// Dependents by dependency.
pub(super) struct Dependents<'a, 's> {
    selection: &'s Selection<'a>,
    /// Listed programs and libraries by a file that they load if everything in the image is listed.
    by_object: PathsBy<UsrPath>,
    /// Listed programs and libraries by a name that they or their dependencies need and the image does not have.
    by_missing_name: PathsBy<String>,
    /// Listed units and scripts by a required program.
    by_program: PathsBy<UsrPath>,
    /// Listed symlinks by target.
    by_target: PathsBy<UsrPath>,
    lines: HashMap<UsrPath, Vec<(Location<'a>, &'a str)>>,
}

/// Adds a path, unless it was the last one with this key.
fn add<K: Hash + Eq>(paths: &mut PathsBy<K>, key: K, path: &UsrPath) {
    let paths = paths.entry(key).or_default();
    if paths.last() != Some(path) {
        paths.push(path.clone());
    }
}

impl<'a, 's> Dependents<'a, 's> {
    /// `exec_references` are the programs that selected units and scripts start.
    pub(super) fn new(selection: &'s Selection<'a>, exec_references: &[ExecReference]) -> Self {
        let (mut by_object, mut by_missing_name) = (PathsBy::new(), PathsBy::new());
        let (mut by_program, mut by_target, mut lines) = (PathsBy::new(), PathsBy::new(), HashMap::new());
        let [image, _] = loaders_with_without_env(selection, None);
        for path in selection.dynamic_elf_files() {
            let load = image.load(path);
            load.objects.into_iter().for_each(|object| add(&mut by_object, object.path, path));
            load.missing.into_iter().for_each(|missing| add(&mut by_missing_name, missing.name, path));
        }
        for reference in exec_references.iter().filter(|reference| reference.is_needed_to_start()) {
            if let Some(program) = reference.target(selection.tree) {
                add(&mut by_program, program, &reference.referrer);
            }
        }
        for path in &selection.paths {
            let resolved = selection.tree.resolve(path);
            if let Some(target) = resolved.end.node().filter(|_| !resolved.links.is_empty()) {
                add(&mut by_target, target.clone(), path);
            }
        }
        for (location, line) in selection.entries() {
            if let Ok(path) = UsrPath::new(line) {
                lines.entry(path).or_insert_with(Vec::new).push((location, line));
            }
        }
        Dependents { selection, by_object, by_missing_name, by_program, by_target, lines }
    }

    /// The paths below a directory that selected files elsewhere need, with the symlinks to them.
    pub(super) fn needed_from_outside(&self, directory: &UsrPath) -> BTreeSet<UsrPath> {
        let by_file = [&self.by_object, &self.by_program, &self.by_target];
        let is_needed = |file: &&UsrPath| {
            let mut dependents = by_file.iter().filter_map(|by| by.get(*file)).flatten();
            dependents.any(|path| !path.is_at_or_below(directory))
        };
        // The files below, not all dependencies: thousands of directories may be listed.
        let files = self.selection.tree.below(directory).map(|(path, _)| path).chain([directory]);
        let needed = files.filter(is_needed);
        let links = |file| self.by_target.get(file).into_iter().flatten();
        needed
            .flat_map(|file| links(file).filter(|link| link.is_at_or_below(directory)).chain([file]))
            .cloned()
            .collect()
    }

    /// Suggests removing the lines of `paths`, and of everything that does not work without one of them, or without the
    /// library `missing`.
    pub(super) fn suggest_removal<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p UsrPath>,
        missing: Option<&str>,
    ) -> Suggestion {
        let mut removed: BTreeSet<UsrPath> = paths.into_iter().cloned().collect();
        let extend = |removed: &mut BTreeSet<UsrPath>, by: &PathsBy<UsrPath>| {
            let more: Vec<&UsrPath> = removed.iter().filter_map(|path| by.get(path)).flatten().collect();
            removed.extend(more.into_iter().cloned());
        };
        extend(&mut removed, &self.by_object);
        removed
            .extend(missing.and_then(|name| self.by_missing_name.get(name)).into_iter().flatten().cloned());
        // A stage1 does not work without process 1.
        if removed.iter().any(|path| is_systemd_program(path.as_str())) {
            return Suggestion::ChangeRelease;
        }
        // A unit without its program and a symlink without its target would be the next findings.
        extend(&mut removed, &self.by_program);
        extend(&mut removed, &self.by_target);
        let listed = removed.iter().filter_map(|path| self.lines.get(path)).flatten().copied();
        let mut lines: BTreeSet<(Location<'_>, &str)> = listed.collect();
        // A path below a listed directory goes with the directory's line.
        for location in removed.iter().filter_map(|path| self.selection.location(path)) {
            let text = self.selection.manifest_files.get(location.file);
            let line = text.and_then(|text| text.lines().get(location.line - 1));
            lines.extend(line.map(|line| (location, line.text.as_str())));
        }
        Suggestion::remove(lines.into_iter().map(|(location, text)| (location.file, text)))
    }
}
