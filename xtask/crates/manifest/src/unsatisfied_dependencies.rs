//! The dependencies of the selected files that the selection does not satisfy, and what the image has for them.

mod selection_vs_image;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, hash_map::Entry};
use std::sync::Arc;

use super::selection::{Location, Selection};
use super::unlisted_execs;
pub use selection_vs_image::DifferentProvider;
use selection_vs_image::Loaders;
use usr::{DlopenPriority, DynamicLoader, ElfInfo, UsrPath, ldso::FoundVia};

/// Errors of the dynamic loader for all programs and libraries of a selection.
#[derive(Debug, Default)]
pub struct UnsatisfiedDependencies {
    /// Dependencies that the selection does not satisfy, in order of name, kind and file.
    pub unresolved: Vec<UnresolvedDependency>,
    /// Symbol versions that the library found does not define: (library, version) to the files that need it.
    pub undefined_versions: BTreeMap<(UsrPath, String), BTreeSet<UsrPath>>,
    /// Files of a needed name that cannot be loaded: the files that need each, and the reason.
    pub unloadable: BTreeMap<UsrPath, (BTreeSet<UsrPath>, String)>,
    /// Selected libraries of which the image's loader finds another copy: by the selected library and the copy, which is
    /// every symlink on the path, then the file.
    pub different_providers: BTreeMap<(UsrPath, Vec<UsrPath>), DifferentProvider>,
    /// Indices into `unresolved` by kind, chain and, without a chain, the name, until they are sorted.
    index: HashMap<(DependencyKind, Vec<UsrPath>, String), usize>,
}

/// One dependency that a selection does not satisfy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnresolvedDependency {
    /// The name, as in `DT_NEEDED`, `PT_INTERP` or `.note.dlopen`, or of a program.
    pub name: String,
    /// The files that have the dependency: selected ones, or such as the selection does not have either.
    pub needed_by: BTreeSet<UsrPath>,
    /// The selected file that has the dependency, itself or through the fewest unselected files; of several the first.
    pub selected_dependent: Option<UsrPath>,
    /// The provider in the image: every symlink on the path, then the file. Empty if the image has none.
    pub chain: Vec<UsrPath>,
    /// The directories that the loader searched.
    pub searched: Arc<[String]>,
    /// The kind of dependency.
    pub kind: DependencyKind,
    /// For a library that the selection has, but that is found only through `LD_LIBRARY_PATH` or the like: how it is
    /// found now, and how it is found with `chain`.
    pub fragile: Option<(FoundVia, FoundVia)>,
    /// If the selection has an unsuitable file of the name: that file, and the reason.
    pub unsuitable: Option<(UsrPath, String)>,
}

impl UnresolvedDependency {
    fn new(name: &str, needed_by: &UsrPath, chain: Vec<UsrPath>) -> UnresolvedDependency {
        let needed_by = BTreeSet::from([needed_by.clone()]);
        UnresolvedDependency { name: name.to_owned(), needed_by, chain, ..UnresolvedDependency::default() }
    }

    /// The line of the selected dependent.
    pub fn location<'a>(&self, selection: &Selection<'a>) -> Option<Location<'a>> {
        selection.location(self.selected_dependent.as_ref()?)
    }

    /// The provider's paths that are not selected.
    pub fn unlisted(&self, selection: &Selection<'_>) -> Vec<&UsrPath> {
        self.chain.iter().filter(|path| !selection.paths.contains(*path)).collect()
    }
}

/// The kinds of dependencies.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DependencyKind {
    /// `DT_NEEDED`, `DT_FILTER` or `PT_INTERP`.
    #[default]
    Link,
    /// dlopen(3) declared in `.note.dlopen`; the feature name.
    Dlopen(String),
    /// execve(2); the source that documents it.
    Exec(&'static str),
}

impl UnsatisfiedDependencies {
    /// Loads every ELF file of the selection with the model of the dynamic loader. Entries of `.note.dlopen` with at
    /// least `min_dlopen_priority` are dependencies; `has_copies` returns whether the image has several files with the
    /// name of a path.
    ///
    /// A library that a selected program loads is checked in that program, with its RUNPATH; any other is checked as if
    /// loaded alone with dlopen(3).
    pub fn scan(
        selection: &Selection<'_>,
        min_dlopen_priority: Option<DlopenPriority>,
        has_copies: impl Fn(&UsrPath) -> bool,
    ) -> UnsatisfiedDependencies {
        let loaders = Loaders::new(selection, has_copies);
        let mut report = UnsatisfiedDependencies::default();
        let mut loaded: BTreeSet<UsrPath> = BTreeSet::new();
        for root in dynamic_elf_in_load_order(selection) {
            if is_elf_program(selection, root) || !loaded.contains(root) {
                let here = loaders.selection.load(root);
                report.record_load(&loaders, root, &here);
                report.record_different_providers(&loaders, root, &here);
                loaded.extend(here.objects.into_iter().map(|object| object.path));
            } else if !loaders.ambiguous_names.is_empty() {
                let here = loaders.selection_for_copies.load(root);
                report.record_different_providers(&loaders, root, &here);
            }
        }
        if let Some(level) = min_dlopen_priority {
            report.scan_dlopen_notes(selection, &loaders, level);
        }
        report.scan_implicit_execs(selection);
        report.unresolved.sort_by(|a, b| (&a.name, &a.kind, &a.chain).cmp(&(&b.name, &b.kind, &b.chain)));
        report.set_selected_dependents(selection);
        report
    }

    /// Finds the selected dependents by a breadth-first search from the selected files.
    fn set_selected_dependents(&mut self, selection: &Selection<'_>) {
        let mut by_dependent: HashMap<UsrPath, Vec<usize>> = HashMap::new();
        let mut found: Vec<usize> = Vec::new();
        for (at, unresolved) in self.unresolved.iter_mut().enumerate() {
            let mut selected = unresolved.needed_by.iter().filter(|path| selection.paths.contains(*path));
            unresolved.selected_dependent = selected.next().cloned();
            if unresolved.selected_dependent.is_some() {
                found.push(at);
                continue;
            }
            for path in &unresolved.needed_by {
                by_dependent.entry(path.clone()).or_default().push(at);
            }
        }
        // In this order, the first selected dependent of a distance is found first.
        found.sort_by(|a, b| {
            self.unresolved[*a].selected_dependent.cmp(&self.unresolved[*b].selected_dependent)
        });
        let mut next = 0;
        while let Some(&at) = found.get(next) {
            next += 1;
            let selected_dependent = self.unresolved[at].selected_dependent.clone();
            for path in self.unresolved[at].chain.clone() {
                for other in by_dependent.remove(&path).into_iter().flatten() {
                    let other_dependent = &mut self.unresolved[other].selected_dependent;
                    if other_dependent.is_none() {
                        other_dependent.clone_from(&selected_dependent);
                        found.push(other);
                    }
                }
            }
        }
    }

    /// The names of the unresolved dependencies.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.unresolved.iter().map(|unresolved| &unresolved.name)
    }

    /// Records a dependency; one by the same chain, or on a name that the image does not have, is the same one.
    fn record(&mut self, new: UnresolvedDependency) {
        let name = if new.chain.is_empty() { new.name.clone() } else { String::new() };
        match self.index.entry((new.kind.clone(), new.chain.clone(), name)) {
            Entry::Occupied(at) => {
                let known = &mut self.unresolved[*at.get()];
                known.needed_by.extend(new.needed_by);
                // An unresolved dependency takes precedence over a fragile lookup.
                if new.fragile.is_none() {
                    known.fragile = None;
                }
            }
            Entry::Vacant(at) => {
                at.insert(self.unresolved.len());
                self.unresolved.push(new);
            }
        }
    }

    /// Programs that selected programs start unconditionally.
    fn scan_implicit_execs(&mut self, selection: &Selection<'_>) {
        for (by, row, chain) in unlisted_execs::find_unlisted(selection) {
            if row.is_required {
                let kind = DependencyKind::Exec(row.source);
                self.record(UnresolvedDependency {
                    kind,
                    ..UnresolvedDependency::new(row.program, by, chain)
                });
            }
        }
    }

    /// The first soname of each `.note.dlopen` entry that the image has, if the selection has none of them.
    fn scan_dlopen_notes(&mut self, selection: &Selection<'_>, loaders: &Loaders<'_>, level: DlopenPriority) {
        for (path, elf) in selection.elf_files() {
            for note in elf.dlopen_notes.iter().filter(|note| note.priority <= level) {
                if note.sonames.iter().any(|name| loaders.selection_satisfies_dlopen(path, name)) {
                    continue;
                }
                let mut names = note.sonames.iter();
                let found = names.find_map(|name| Some((name, loaders.dlopen_in_image(path, name)?)));
                let (name, chain) = match (found, note.sonames.first()) {
                    (Some((name, object)), _) => (name, selection_vs_image::chain_of(&object)),
                    (None, Some(first)) if note.priority == DlopenPriority::Required => (first, Vec::new()),
                    _ => continue,
                };
                let kind = DependencyKind::Dlopen(note.feature.clone());
                self.record(UnresolvedDependency { kind, ..UnresolvedDependency::new(name, path, chain) });
            }
        }
    }
}

/// The selected dynamic ELF files: programs, then libraries in topological order (dependents first; cycles are cut), so
/// that most libraries are loaded by a dependent before their own turn.
fn dynamic_elf_in_load_order<'s>(selection: &'s Selection<'_>) -> Vec<&'s UsrPath> {
    let (programs, libraries): (Vec<&UsrPath>, Vec<&UsrPath>) =
        selection.dynamic_elf_files().partition(|path| is_elf_program(selection, path));
    let mut by_name: HashMap<&str, Vec<&UsrPath>> = HashMap::new();
    for path in &libraries {
        let soname = selection.tree.read_elf_info(path).and_then(|elf| elf.soname.as_deref());
        for name in [path.name()].into_iter().chain(soname.filter(|soname| *soname != path.name())) {
            by_name.entry(name).or_default().push(path);
        }
    }
    // The reverse postorder of a depth-first search.
    let (mut seen, mut done): (HashSet<&UsrPath>, Vec<&UsrPath>) = (HashSet::new(), Vec::new());
    for start in libraries.iter().rev() {
        let mut walk: Vec<(&UsrPath, bool)> = vec![(start, false)];
        while let Some((path, is_left)) = walk.pop() {
            if is_left {
                done.push(path);
            } else if seen.insert(path) {
                walk.push((path, true));
                let needed = selection.tree.read_elf_info(path).into_iter().flat_map(|elf| &elf.needed);
                let providers = needed.filter_map(|name| by_name.get(name.as_str())).flatten();
                let unseen = providers.filter(|provider| !seen.contains(*provider));
                walk.extend(unseen.map(|provider| (*provider, false)));
            }
        }
    }
    programs.into_iter().chain(done.into_iter().rev()).collect()
}

/// The loaders with `LD_LIBRARY_PATH` as rkt sets it (stage1 `init.go`), and without.
pub(super) fn loaders_with_without_env<'s>(
    selection: &'s Selection<'_>,
    visible: Option<&'s BTreeSet<UsrPath>>,
) -> [DynamicLoader<'s>; 2] {
    let (tree, board) = (selection.tree, selection.manifest_set.board);
    [DynamicLoader::rkt_library_path(tree), Vec::new()]
        .map(|directories| DynamicLoader::new(tree, board, directories, visible))
}

fn is_elf_program(selection: &Selection<'_>, path: &UsrPath) -> bool {
    selection.tree.read_elf_info(path).is_some_and(ElfInfo::is_program)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A comparison of each with each would take minutes.
    #[test]
    fn many_features_of_a_library_are_bounded() {
        let path = |path| UsrPath::new(path).unwrap();
        let mut report = UnsatisfiedDependencies::default();
        for number in (0..50_000).chain(0..7) {
            let new = UnresolvedDependency::new("libn.so.1", &path("bin/x"), vec![path("lib64/libn.so.1")]);
            report.record(UnresolvedDependency { kind: DependencyKind::Dlopen(number.to_string()), ..new });
        }
        assert_eq!(report.unresolved.len(), 50_000);
    }
}
