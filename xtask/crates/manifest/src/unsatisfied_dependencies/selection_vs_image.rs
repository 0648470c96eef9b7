//! One load in the selection compared with the same load in the whole image.

use std::cell::LazyCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::{UnresolvedDependency, UnsatisfiedDependencies, loaders_with_without_env};
use crate::selection::Selection;
use usr::{
    DynamicLoader, UsrPath,
    ldso::{FoundVia, LoadResult, NeededEntry, NotFound, Object, Rejected, UndefinedVersion},
};

/// The loaders of a selection and of its image, with `LD_LIBRARY_PATH` and without.
///
/// rkt sets `LD_LIBRARY_PATH` for its own stage1; process 1 of the booted one, and what that starts, has none.
pub(super) struct Loaders<'s> {
    selected: &'s BTreeSet<UsrPath>,
    /// The names of selected libraries of which the image has several copies.
    pub(super) ambiguous_names: HashSet<&'s str>,
    /// With `LD_LIBRARY_PATH`.
    pub(super) selection: DynamicLoader<'s>,
    pub(super) image: DynamicLoader<'s>,
    /// Without.
    bare_selection: DynamicLoader<'s>,
    bare_image: DynamicLoader<'s>,
    /// Of the search for different providers: its work, which is bounded, is not to exhaust the others.
    pub(super) selection_for_copies: DynamicLoader<'s>,
    image_for_copies: DynamicLoader<'s>,
}

/// The load in which the image's loader does not take a selected library, although the selection's does.
#[derive(Debug, Clone)]
pub struct DifferentProvider {
    /// The program or library that is loaded: of several, the first.
    root: UsrPath,
    /// The search path entry by which the image's loader finds the other library.
    pub how: FoundVia,
    /// The file that needs the library.
    pub needed_by: UsrPath,
}

impl<'s> Loaders<'s> {
    /// `has_copies` returns whether the image has several files with the name of a path.
    pub(super) fn new(selection: &'s Selection<'_>, has_copies: impl Fn(&UsrPath) -> bool) -> Loaders<'s> {
        let selected = &selection.paths;
        // Not `.socket`: most images have the same sockets in several directories.
        let is_library = |path: &&UsrPath| path.name().ends_with(".so") || path.name().contains(".so.");
        let ambiguous = selected.iter().filter(is_library).filter(|path| has_copies(path));
        let ambiguous_names = ambiguous.map(UsrPath::name).collect();
        let [image_for_copies, _] = loaders_with_without_env(selection, None);
        let [selection_for_copies, _] = loaders_with_without_env(selection, Some(selected));
        let [image, bare_image] = loaders_with_without_env(selection, None);
        let [selection, bare_selection] = loaders_with_without_env(selection, Some(selected));
        Loaders {
            selected,
            ambiguous_names,
            selection,
            image,
            bare_selection,
            bare_image,
            selection_for_copies,
            image_for_copies,
        }
    }

    /// Whether dlopen(3) finds the name in the selection, with `LD_LIBRARY_PATH` and, if the image does, without.
    pub(super) fn selection_satisfies_dlopen(&self, by: &UsrPath, name: &str) -> bool {
        self.selection.resolve_dlopen(by, name).is_some()
            && (self.bare_selection.resolve_dlopen(by, name).is_some()
                || self.bare_image.resolve_dlopen(by, name).is_none())
    }

    /// The library that dlopen(3) finds in the image: if possible, without `LD_LIBRARY_PATH`.
    pub(super) fn dlopen_in_image(&self, by: &UsrPath, name: &str) -> Option<Object> {
        self.bare_image.resolve_dlopen(by, name).or_else(|| self.image.resolve_dlopen(by, name))
    }

    fn is_chain_selected(&self, object: &Object) -> bool {
        object.paths().all(|path| self.selected.contains(path))
    }
}

impl UnsatisfiedDependencies {
    /// Records what the selection is missing for one program or library, by its load in the selection and in the image.
    pub(super) fn record_load(&mut self, loaders: &Loaders<'_>, root: &UsrPath, here: &LoadResult) {
        let image = LazyCell::new(|| loaders.image.load(root));
        if !here.is_sound() {
            self.record_errors(loaders, here, &image, None);
        }
        // If every library is found without LD_LIBRARY_PATH too, a load without it is the same one.
        let env_only = |object: &Object| {
            object.needs_library_path
                || !here.is_sound() && matches!(object.found_via, FoundVia::LibraryPath(_))
        };
        let bare_image = LazyCell::new(|| loaders.bare_image.load(root));
        if here.objects.iter().any(env_only) {
            let without = loaders.bare_selection.load(root);
            if !without.is_sound() {
                self.record_errors(loaders, &without, &bare_image, Some(here));
            }
        }
        for object in here.objects.iter().filter(|object| is_in_assumed_directory(object)) {
            self.record_searched_path(loaders, object, &[&image, &bare_image]);
        }
    }

    /// Records the selected libraries of which the image's load takes another copy, if both loads succeed.
    pub(super) fn record_different_providers(
        &mut self,
        loaders: &Loaders<'_>,
        root: &UsrPath,
        here: &LoadResult,
    ) {
        let is_ambiguous = |object: &Object| loaders.ambiguous_names.contains(object.requested_name.as_str());
        if !here.has_skipped_invisible || !here.is_sound() || !here.objects.iter().any(is_ambiguous) {
            return;
        }
        let image = loaders.image_for_copies.load(root);
        if !image.is_sound() {
            return;
        }
        let known = providers(here);
        for (need, object) in resolved_needs(&image) {
            let selected = known.get(&(&need.needed_by, need.name.as_str())).copied().flatten();
            let Some(selected) = selected.filter(|selected| selected.path != object.path) else { continue };
            if loaders.is_chain_selected(object) {
                continue;
            }
            let new = DifferentProvider {
                root: root.clone(),
                how: object.found_via.clone(),
                needed_by: need.needed_by.clone(),
            };
            let first = self.different_providers.entry((selected.path.clone(), chain_of(object)));
            let first = first.or_insert_with(|| new.clone());
            if new.root < first.root {
                *first = new;
            }
        }
    }

    /// Records the unselected files that the image's load uses instead of failing. `with_env` is the load that has
    /// `LD_LIBRARY_PATH`, if `here` has none; without one, records the errors that both loads have, too.
    fn record_errors(
        &mut self,
        loaders: &Loaders<'_>,
        here: &LoadResult,
        image: &LoadResult,
        with_env: Option<&LoadResult>,
    ) {
        let common = LoadErrorComparison::new(here, image);
        let takes_copies = !common.replaced.is_empty();
        let known = providers(here);
        let answered: HashSet<&str> =
            here.needs.iter().filter(|need| need.object.is_some()).map(|need| need.name.as_str()).collect();
        let mut taken: HashSet<&UsrPath> = HashSet::new();
        // The interpreter is in no DT_NEEDED.
        let interpreter = image.objects.first().filter(|object| object.found_via == FoundVia::Interp);
        let requests =
            interpreter.into_iter().map(|object| (&object.needed_by, object.requested_name.as_str(), object));
        let needs = resolved_needs(image).map(|(need, object)| (&need.needed_by, need.name.as_str(), object));
        for (needed_by, name, object) in requests.chain(needs) {
            let provider = known.get(&(needed_by, name)).copied();
            let is_missing = here.missing.iter().any(|missing| {
                missing.name == name && (missing.needed_by == *needed_by || matches!(provider, Some(None)))
            });
            let follows = taken.contains(needed_by) && (takes_copies || !answered.contains(name));
            let other = provider.flatten().filter(|provider| takes_copies && provider.path != object.path);
            if !is_missing && !follows && other.is_none() {
                continue;
            }
            // One reason is enough for what follows: libraries may all need each other.
            let is_first = taken.insert(&object.path);
            if loaders.is_chain_selected(object) || !is_first && !is_missing {
                continue;
            }
            let now = with_env.and_then(|load| load.provider(needed_by, name));
            self.record(UnresolvedDependency {
                fragile: now.map(|now| (now.found_via.clone(), object.found_via.clone())),
                unsuitable: other.map(|other| (other.path.clone(), common.replacement_reason(&other.path))),
                ..UnresolvedDependency::new(name, needed_by, chain_of(object))
            });
        }
        if with_env.is_none() {
            let missing = image.missing.iter().filter(|missing| taken.contains(&missing.needed_by));
            missing.for_each(|missing| self.record_nowhere(missing));
            self.record_unsolved(&common);
        }
    }

    /// Records the errors that the image's load has too.
    fn record_unsolved(&mut self, errors: &LoadErrorComparison<'_>) {
        errors.missing.iter().for_each(|missing| self.record_nowhere(missing));
        for error in &errors.versions {
            let key = (error.library.clone(), error.version.clone());
            self.undefined_versions.entry(key).or_default().insert(error.needed_by.clone());
        }
        for rejected in &errors.broken {
            let known = self.unloadable.entry(rejected.path.clone());
            let known = known.or_insert_with(|| (BTreeSet::new(), rejected.why.clone()));
            known.0.insert(rejected.needed_by.clone());
        }
    }

    fn record_nowhere(&mut self, missing: &NotFound) {
        self.record(UnresolvedDependency {
            searched: Arc::clone(&missing.searched),
            ..UnresolvedDependency::new(&missing.name, &missing.needed_by, Vec::new())
        });
    }

    /// `uncertain` was found in an assumed directory (see [`is_in_assumed_directory`]): records the image's path to the
    /// same library through a directory that its loader does search.
    fn record_searched_path(&mut self, loaders: &Loaders<'_>, uncertain: &Object, images: &[&LoadResult]) {
        let objects = images.iter().flat_map(|image| &image.objects);
        let mut certain = objects.filter(|object| {
            object.requested_name == uncertain.requested_name
                && !is_in_assumed_directory(object)
                && !matches!(object.found_via, FoundVia::LibraryPath(_))
        });
        if let Some(certain) = certain.next().filter(|certain| !loaders.is_chain_selected(certain)) {
            self.record(UnresolvedDependency {
                fragile: Some((uncertain.found_via.clone(), certain.found_via.clone())),
                ..UnresolvedDependency::new(
                    &uncertain.requested_name,
                    &uncertain.needed_by,
                    chain_of(certain),
                )
            });
        }
    }
}

/// The errors of a selection's load: those that the image's load has too, and those that it does not have.
#[derive(Default)]
struct LoadErrorComparison<'l> {
    missing: Vec<&'l NotFound>,
    versions: Vec<&'l UndefinedVersion>,
    broken: Vec<&'l Rejected>,
    /// The selected files of the other errors, each with the reason: the image's load takes other files.
    replaced: HashMap<&'l UsrPath, String>,
}

impl<'l> LoadErrorComparison<'l> {
    fn new(here: &'l LoadResult, image: &LoadResult) -> LoadErrorComparison<'l> {
        let loaded: HashSet<&UsrPath> = image.objects.iter().map(|object| &object.path).collect();
        let is_root = |path: &UsrPath| here.root.as_ref().is_some_and(|(_, root)| root == path);
        let missing: HashSet<&str> = image.missing.iter().map(|missing| missing.name.as_str()).collect();
        let versions: BTreeSet<&UndefinedVersion> = image.undefined_versions.iter().collect();
        let broken: HashSet<&UsrPath> = image.fatal.iter().map(|rejected| &rejected.path).collect();
        let mut common = LoadErrorComparison::default();
        for error in &here.missing {
            if !loaded.contains(&error.needed_by) && !is_root(&error.needed_by) {
                let reason = format!("it needs {}, which is missing", error.name);
                common.replaced.entry(&error.needed_by).or_insert(reason);
            } else if missing.contains(error.name.as_str()) {
                common.missing.push(error);
            }
        }
        for error in &here.undefined_versions {
            if versions.contains(error) {
                common.versions.push(error);
            } else {
                let reason = format!("it does not define version {}", error.version);
                common.replaced.entry(&error.library).or_insert(reason);
            }
        }
        for rejected in &here.fatal {
            if broken.contains(&rejected.path) || is_root(&rejected.path) {
                common.broken.push(rejected);
            } else {
                common.replaced.entry(&rejected.path).or_insert(rejected.why.clone());
            }
        }
        common
    }

    fn replacement_reason(&self, path: &UsrPath) -> String {
        let other = || "the image's loader takes another file".to_owned();
        self.replaced.get(path).cloned().unwrap_or_else(other)
    }
}

/// The object of each dependency of a load; `None` for a missing one.
fn providers(load: &LoadResult) -> HashMap<(&UsrPath, &str), Option<&Object>> {
    let object = |index: Option<usize>| load.objects.get(index?);
    load.needs.iter().map(|need| ((&need.needed_by, need.name.as_str()), object(need.object))).collect()
}

/// The dependencies of a load that an object satisfies, in the order of loading.
fn resolved_needs(load: &LoadResult) -> impl Iterator<Item = (&NeededEntry, &Object)> {
    load.needs.iter().filter_map(|need| Some((need, load.objects.get(need.object?)?)))
}

/// Whether an object was found in a directory that the image's own loader is not known to search. The library may have
/// been meant to be found through a symlink that the selection does not have, such as Debian's
/// `lib64/x86_64-linux-gnu`.
fn is_in_assumed_directory(object: &Object) -> bool {
    matches!(object.found_via, FoundVia::BoardDefault(_))
}

/// The symlinks on the path to an object, then the file, each once.
pub(super) fn chain_of(object: &Object) -> Vec<UsrPath> {
    let mut chain: Vec<UsrPath> = Vec::with_capacity(object.links.len() + 1);
    for path in object.paths() {
        if !chain.contains(path) {
            chain.push(path.clone());
        }
    }
    chain
}
