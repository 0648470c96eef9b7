//! One load in the selection compared with the same load in the whole image.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::{Unresolved, UnsatisfiedDependencies, loader_with_rkt_env};
use crate::selection::Selection;
use usr::ldso::{DynamicLoader, FoundVia, LoadResult, Object};
use usr::path::UsrPath;

/// The loaders of a selection and of its image, with `LD_LIBRARY_PATH` and without.
///
/// rkt sets `LD_LIBRARY_PATH` for its own stage1; process 1 of the booted one, and what that starts, has none.
pub(super) struct Loaders<'s> {
    selected: &'s BTreeSet<UsrPath>,
    with_env: LoaderPair<'s>,
    without_env: LoaderPair<'s>,
}

struct LoaderPair<'s> {
    selection: DynamicLoader<'s>,
    image: DynamicLoader<'s>,
}

/// A selected library that the image's loader does not take, although the selection's does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OtherCopy {
    /// The selected library.
    pub selected: UsrPath,
    /// The library that the image's loader finds: every symlink on the path, then the file.
    pub chain: Vec<UsrPath>,
    /// The search path entry by which the image's loader finds it.
    pub how: FoundVia,
    /// The file that needs it.
    pub needed_by: UsrPath,
}

impl<'s> Loaders<'s> {
    pub(super) fn new(selection: &'s Selection<'_>) -> Loaders<'s> {
        let bare =
            |visible| DynamicLoader::new(selection.tree, selection.manifests.board, Vec::new(), visible);
        let selected = &selection.paths;
        Loaders {
            selected,
            with_env: LoaderPair {
                selection: loader_with_rkt_env(selection, Some(selected)),
                image: loader_with_rkt_env(selection, None),
            },
            without_env: LoaderPair { selection: bare(Some(selected)), image: bare(None) },
        }
    }

    /// Whether dlopen(3) finds the name in the selection, with `LD_LIBRARY_PATH` and, if the image does, without.
    pub(super) fn satisfy_dlopen(&self, by: &UsrPath, name: &str) -> bool {
        let Loaders { with_env, without_env, .. } = self;
        with_env.selection.dlopen(by, name).is_some()
            && (without_env.selection.dlopen(by, name).is_some()
                || without_env.image.dlopen(by, name).is_none())
    }

    /// The library that dlopen(3) finds in the image: if possible, without `LD_LIBRARY_PATH`.
    pub(super) fn dlopen_in_image(&self, by: &UsrPath, name: &str) -> Option<Object> {
        let found = self.without_env.image.dlopen(by, name);
        found.or_else(|| self.with_env.image.dlopen(by, name))
    }

    fn is_selected(&self, object: &Object) -> bool {
        object.paths().all(|path| self.selected.contains(path))
    }

    /// The libraries of a sound load that are other files than in the image, among those of the names `copied`.
    pub(super) fn other_copies(&self, root: &UsrPath, copied: &HashSet<&str>) -> Vec<OtherCopy> {
        let here = self.with_env.selection.load(root);
        let mut copies = Vec::new();
        if !here.objects.iter().any(|object| copied.contains(object.requested_name.as_str())) {
            return copies;
        }
        let image = self.with_env.image.load(root);
        if here.is_sound() && image.is_sound() {
            let known = Providers::new(&here);
            for (need, object) in resolved(&image) {
                if let Some(Some(selected)) = known.get(&need.needed_by, &need.name)
                    && selected.path != object.path
                    && !self.is_selected(object)
                {
                    copies.push(OtherCopy {
                        selected: selected.path.clone(),
                        chain: chain_of(object),
                        how: object.how.clone(),
                        needed_by: need.needed_by.clone(),
                    });
                }
            }
        }
        copies
    }
}

impl UnsatisfiedDependencies {
    /// Loads one program or library, and records what the selection is missing for it. Returns the loaded objects.
    pub(super) fn load(&mut self, loaders: &Loaders<'_>, root: &UsrPath) -> Vec<UsrPath> {
        let here = loaders.with_env.selection.load(root);
        let image = OnceCell::new();
        let in_image = || image.get_or_init(|| loaders.with_env.image.load(root));
        if !here.is_sound() {
            let solved = self.record_missing(loaders, &here, in_image(), None);
            self.record_unsolved(&here, &solved);
        }
        // If every library is found without LD_LIBRARY_PATH too, a load without it is the same one.
        let env_only = |object: &Object| {
            object.needs_env || !here.is_sound() && matches!(object.how, FoundVia::LibraryPath(_))
        };
        let bare = OnceCell::new();
        let in_bare_image = || bare.get_or_init(|| loaders.without_env.image.load(root));
        if here.objects.iter().any(env_only) {
            let without = loaders.without_env.selection.load(root);
            if !without.is_sound() {
                self.record_missing(loaders, &without, in_bare_image(), Some(&here));
            }
        }
        for object in here.objects.iter().filter(|object| is_in_assumed_directory(object)) {
            let images = [in_image(), in_bare_image()];
            self.record_certain(loaders, object, &images);
        }
        here.objects.into_iter().map(|object| object.path).collect()
    }

    /// Records the files by which the image's load does without the errors of the selection's. Returns which of these
    /// errors it does without. `with_env` is the load that has `LD_LIBRARY_PATH`, if `here` has none.
    fn record_missing(
        &mut self,
        loaders: &Loaders<'_>,
        here: &LoadResult,
        image: &LoadResult,
        with_env: Option<&LoadResult>,
    ) -> SelectionOnlyErrors {
        let solved = SelectionOnlyErrors::new(here, image);
        let known = Providers::new(here);
        let answered: HashSet<&str> =
            here.needs.iter().filter(|need| need.object.is_some()).map(|need| need.name.as_str()).collect();
        let mut taken: HashSet<&UsrPath> = HashSet::new();
        // The interpreter is in no DT_NEEDED.
        let interpreter = image.objects.first().filter(|object| object.how == FoundVia::Interp);
        let requests =
            interpreter.into_iter().map(|object| (&object.needed_by, object.requested_name.as_str(), object));
        let needs = resolved(image).map(|(need, object)| (&need.needed_by, need.name.as_str(), object));
        for (needed_by, name, object) in requests.chain(needs) {
            let provider = known.get(needed_by, name);
            let is_missing =
                here.missing.iter().any(|missing| missing.name == name && missing.needed_by == *needed_by)
                    || matches!(provider, Some(None))
                        && here.missing.iter().any(|missing| missing.name == name);
            let follows = taken.contains(needed_by) && (solved.takes_copies || !answered.contains(name));
            let other =
                provider.flatten().filter(|provider| solved.takes_copies && provider.path != object.path);
            if !is_missing && !follows && other.is_none() {
                continue;
            }
            // One reason is enough for what follows: libraries may all need each other.
            let is_first = taken.insert(&object.path);
            if loaders.is_selected(object) || !is_first && !is_missing {
                continue;
            }
            let found =
                |with_env: &LoadResult| with_env.provider(needed_by, name).map(|found| found.how.clone());
            self.record(Unresolved {
                name: name.to_owned(),
                needed_by: BTreeSet::from([needed_by.clone()]),
                chain: chain_of(object),
                fragile: with_env.and_then(found).map(|now| (now, object.how.clone())),
                unsuitable: other.map(|other| (other.path.clone(), solved.reason(&other.path))),
                ..Unresolved::default()
            });
        }
        for missing in
            image.missing.iter().filter(|missing| taken.contains(&missing.needed_by) && with_env.is_none())
        {
            self.record_nowhere(&missing.name, &missing.needed_by, &missing.searched);
        }
        solved
    }

    /// Records the errors that the image's load has too.
    fn record_unsolved(&mut self, here: &LoadResult, solved: &SelectionOnlyErrors) {
        for (missing, _) in here.missing.iter().zip(&solved.missing).filter(|(_, solved)| !**solved) {
            self.record_nowhere(&missing.name, &missing.needed_by, &missing.searched);
        }
        for (error, _) in here.version_errors.iter().zip(&solved.versions).filter(|(_, solved)| !**solved) {
            let key = (error.library.clone(), error.version.clone());
            self.versions.entry(key).or_default().insert(error.needed_by.clone());
        }
        for (rejected, _) in here.broken.iter().zip(&solved.broken).filter(|(_, solved)| !**solved) {
            let known = self.unloadable.entry(rejected.path.clone());
            let known = known.or_insert_with(|| (BTreeSet::new(), rejected.why.clone()));
            known.0.insert(rejected.needed_by.clone());
        }
    }

    fn record_nowhere(&mut self, name: &str, needed_by: &UsrPath, searched: &Arc<[String]>) {
        self.record(Unresolved {
            name: name.to_owned(),
            needed_by: BTreeSet::from([needed_by.clone()]),
            searched: Arc::clone(searched),
            ..Unresolved::default()
        });
    }

    /// Records the files by which the image's own loader is certain to find what the selection's load found in a
    /// directory that it is not known to search.
    fn record_certain(&mut self, loaders: &Loaders<'_>, uncertain: &Object, images: &[&LoadResult]) {
        let objects = images.iter().flat_map(|image| &image.objects);
        let mut certain = objects.filter(|object| {
            object.requested_name == uncertain.requested_name
                && !is_in_assumed_directory(object)
                && !matches!(object.how, FoundVia::LibraryPath(_))
        });
        if let Some(certain) = certain.next().filter(|certain| !loaders.is_selected(certain)) {
            self.record(Unresolved {
                name: uncertain.requested_name.clone(),
                needed_by: BTreeSet::from([uncertain.needed_by.clone()]),
                chain: chain_of(certain),
                fragile: Some((uncertain.how.clone(), certain.how.clone())),
                ..Unresolved::default()
            });
        }
    }
}

/// Which errors of a selection's load the image's load does not have.
struct SelectionOnlyErrors {
    missing: Vec<bool>,
    versions: Vec<bool>,
    broken: Vec<bool>,
    /// Whether the image's load does without an error by taking other files than the selection's.
    takes_copies: bool,
    /// The selected files that the errors are about, each with the reason.
    reasons: HashMap<UsrPath, String>,
}

impl SelectionOnlyErrors {
    fn new(here: &LoadResult, image: &LoadResult) -> SelectionOnlyErrors {
        let loaded: HashSet<&UsrPath> = image.objects.iter().map(|object| &object.path).collect();
        let is_root = |path: &UsrPath| here.root.as_ref().is_some_and(|(_, root)| root == path);
        let is_loaded = |path: &UsrPath| loaded.contains(path) || is_root(path);
        let mut reasons: HashMap<UsrPath, String> = HashMap::new();
        let missing_in_image: HashSet<&str> =
            image.missing.iter().map(|missing| missing.name.as_str()).collect();
        let missing: Vec<bool> = here
            .missing
            .iter()
            .map(|missing| {
                !is_loaded(&missing.needed_by) || !missing_in_image.contains(missing.name.as_str())
            })
            .collect();
        for missing in here.missing.iter().filter(|missing| !is_loaded(&missing.needed_by)) {
            reasons
                .entry(missing.needed_by.clone())
                .or_insert(format!("it needs {}, which is missing", missing.name));
        }
        let bad_versions: BTreeSet<_> = image.version_errors.iter().collect();
        let versions: Vec<bool> =
            here.version_errors.iter().map(|error| !bad_versions.contains(error)).collect();
        for (error, solved) in here.version_errors.iter().zip(&versions) {
            if *solved {
                let reason = format!("it does not define version {}", error.version);
                reasons.entry(error.library.clone()).or_insert(reason);
            }
        }
        let rejected: HashSet<&UsrPath> = image.broken.iter().map(|rejected| &rejected.path).collect();
        let broken: Vec<bool> = here
            .broken
            .iter()
            .map(|found| !rejected.contains(&found.path) && !is_root(&found.path))
            .collect();
        for (found, solved) in here.broken.iter().zip(&broken) {
            if *solved {
                reasons.entry(found.path.clone()).or_insert(found.why.clone());
            }
        }
        let takes_copies = !reasons.is_empty();
        SelectionOnlyErrors { missing, versions, broken, takes_copies, reasons }
    }

    fn reason(&self, path: &UsrPath) -> String {
        let other = || "the image's loader takes another file".to_owned();
        self.reasons.get(path).cloned().unwrap_or_else(other)
    }
}

/// The object of each dependency of a load.
struct Providers<'l>(HashMap<(&'l UsrPath, &'l str), Option<&'l Object>>);

impl<'l> Providers<'l> {
    fn new(load: &'l LoadResult) -> Providers<'l> {
        let object = |index: Option<usize>| index.and_then(|index| load.objects.get(index));
        let needs =
            load.needs.iter().map(|need| ((&need.needed_by, need.name.as_str()), object(need.object)));
        Providers(needs.collect())
    }

    /// The object of a dependency; the outer `None` if the load does not have this dependency.
    fn get(&self, needed_by: &UsrPath, name: &str) -> Option<Option<&'l Object>> {
        self.0.get(&(needed_by, name)).copied()
    }
}

/// The dependencies of a load that an object satisfies, in the order of loading.
fn resolved(load: &LoadResult) -> impl Iterator<Item = (&usr::ldso::NeededEntry, &Object)> {
    load.needs.iter().filter_map(|need| Some((need, load.objects.get(need.object?)?)))
}

/// Whether an object was found in a directory that the image's own loader is not known to search, or would search by a
/// cache that a stage1 does not have. The library may have been meant to be found through a symlink that the selection
/// does not have, such as Debian's `lib64/x86_64-linux-gnu`.
fn is_in_assumed_directory(object: &Object) -> bool {
    matches!(object.how, FoundVia::BoardDefault(_) | FoundVia::LdSoConf(_))
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
