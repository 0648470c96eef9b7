//! What the files of a stage need and do not find in it, and what the image has for them.

use std::collections::{BTreeMap, BTreeSet};

use super::selection::Selection;
use usr::elf::DlopenPriority;
use usr::file_info::FileInfo;
use usr::ldso::{DynamicLoader, FoundVia, LoadResult, Object};
use usr::path::UsrPath;

/// Everything the loader would complain about, over all programs and libraries of a stage.
#[derive(Debug, Default)]
pub struct DependencyReport {
    /// Needs that the stage does not meet, by what was asked for.
    pub unmet: BTreeMap<String, Unresolved>,
    /// Symbol versions that the library found does not define: (library, version) to who needs it.
    pub versions: BTreeMap<(UsrPath, String), BTreeSet<UsrPath>>,
    /// Files that bear a needed name and cannot be loaded: who asked for each, and why not.
    pub unfit: BTreeMap<UsrPath, (BTreeSet<UsrPath>, String)>,
}

/// One need that a stage does not meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unresolved {
    /// Who asks for it directly: files of the stage, or files that the stage lacks as well.
    pub needed_by: BTreeSet<UsrPath>,
    /// What the image has for it: every link on the way, then the file. Empty where the image has nothing.
    pub chain: Vec<UsrPath>,
    /// Where the loader looked.
    pub searched: Vec<String>,
    /// How it is asked for.
    pub by: DependencyKind,
    /// Where the stage has it all the same, and `chain` is what makes that certain: how it is found now, and how the
    /// image's own loader finds it.
    pub instead_of: Option<(FoundVia, FoundVia)>,
}

/// How a file asks for another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DependencyKind {
    /// By `DT_NEEDED` or `PT_INTERP`.
    #[default]
    Link,
    /// By name when it runs, says `.note.dlopen`: for this.
    Dlopen(String),
    /// By starting it: where that is written.
    Exec(&'static str),
}

/// Programs that others cannot do without and no file of the image tells: who starts it, which program of the same
/// directory, and where that is written.
const STARTED: &[(&str, &str, &str)] = &[(
    "systemd",
    "systemd-executor",
    "systemd src/core/executor, from v255 on every service is started through it",
)];

/// Which `.note.dlopen` entries count as needs: those of at least this priority; `None` counts none.
pub type MinDlopenPriority = Option<DlopenPriority>;

impl DependencyReport {
    /// Asks the loader's model for every ELF file of the stage.
    ///
    /// A library that some program of the stage loads is judged there, where its program's RUNPATH may help it; any
    /// other is judged as if it were loaded alone, as `dlopen` would.
    pub fn of(stage: &Selection<'_>, level: MinDlopenPriority) -> DependencyReport {
        let mut survey = Survey {
            stage,
            built: loader(stage, Some(&stage.present)),
            bare_built: bare_loader(stage, Some(&stage.present)),
            image: loader(stage, None),
            bare_image: bare_loader(stage, None),
            loaded: BTreeSet::new(),
            needs: DependencyReport::default(),
        };
        let (programs, libraries): (Vec<&UsrPath>, Vec<&UsrPath>) =
            stage.loadable().partition(|path| is_program(stage, path));
        for program in programs {
            survey.load(program);
        }
        for library in libraries {
            if !survey.loaded.contains(library) {
                survey.load(library);
            }
        }
        if let Some(level) = level {
            survey.dlopened(level);
        }
        survey.started();
        survey.needs
    }
}

/// Found in a way that may not be there when the program starts. The image's own loader is not known to search the
/// board's directory, and a stage1 has no cache for ld.so.conf. `LD_LIBRARY_PATH` is what rkt gives its own stage1: PID 1
/// of the booted one has none. The library may have been meant to be found through a link that the stage lacks, such as
/// Debian's `lib64/x86_64-linux-gnu`.
fn is_doubtful(object: &Object) -> bool {
    matches!(object.how, FoundVia::BoardDefault(_) | FoundVia::LdSoConf(_) | FoundVia::LibraryPath(_))
}

/// Whether the image's own loader surely finds what a load found in a doubtful way. By `LD_LIBRARY_PATH` a library is
/// often found in front of another of its name, so there it must be the same file.
fn is_sure_of(doubted: &Object, known: &Object) -> bool {
    known.requested_name == doubted.requested_name
        && !is_doubtful(known)
        && (known.path == doubted.path || !matches!(doubted.how, FoundVia::LibraryPath(_)))
}

/// The loader with `LD_LIBRARY_PATH` as rkt sets it (stage1 `init.go`).
pub(super) fn loader<'s>(
    stage: &'s Selection<'_>,
    present: Option<&'s BTreeSet<UsrPath>>,
) -> DynamicLoader<'s> {
    DynamicLoader::new(stage.tree, stage.of.board, DynamicLoader::systemd_directories(stage.tree), present)
}

/// The loader as a program has it that was started without `LD_LIBRARY_PATH`.
fn bare_loader<'s>(stage: &'s Selection<'_>, present: Option<&'s BTreeSet<UsrPath>>) -> DynamicLoader<'s> {
    DynamicLoader::new(stage.tree, stage.of.board, Vec::new(), present)
}

fn is_program(stage: &Selection<'_>, path: &UsrPath) -> bool {
    matches!(stage.tree.file_info(path.as_str()), Some(FileInfo::Elf(elf)) if elf.interp.is_some() && elf.soname.is_none())
}

struct Survey<'a, 's> {
    stage: &'s Selection<'a>,
    /// The loader in the built root filesystem, with `LD_LIBRARY_PATH` and without.
    built: DynamicLoader<'s>,
    bare_built: DynamicLoader<'s>,
    /// The loader in the whole image, likewise.
    image: DynamicLoader<'s>,
    bare_image: DynamicLoader<'s>,
    /// What programs load.
    loaded: BTreeSet<UsrPath>,
    needs: DependencyReport,
}

impl<'a, 's> Survey<'a, 's> {
    fn load(&mut self, root: &UsrPath) {
        let load = self.built.load(root);
        for error in &load.version_errors {
            let key = (error.library.clone(), error.version.clone());
            self.needs.versions.entry(key).or_default().insert(error.needed_by.clone());
        }
        for unfit in &load.broken {
            let told = self.needs.unfit.entry(unfit.path.clone());
            told.or_insert_with(|| (BTreeSet::new(), unfit.why.clone())).0.insert(unfit.needed_by.clone());
        }
        let image = (!load.missing.is_empty()).then(|| self.provide(root, &load));
        self.make_sure(root, &load, image);
        self.loaded.extend(load.objects.into_iter().map(|object| object.path));
    }

    /// Finds in the whole image what a load lacks in the stage, with what that lacks in turn; the load in the image.
    fn provide(&mut self, root: &UsrPath, built: &LoadResult) -> LoadResult {
        let image = self.image.load(root);
        for missing in &built.missing {
            let unmet = self.needs.unmet.entry(missing.name.clone()).or_default();
            unmet.needed_by.insert(missing.needed_by.clone());
            unmet.searched.clone_from(&missing.searched);
        }
        let mut lacking: BTreeSet<&UsrPath> = BTreeSet::new();
        for object in &image.objects {
            let asked = built.missing.iter().any(|missing| missing.name == object.requested_name);
            let follows = lacking.contains(&object.needed_by)
                && !built.objects.iter().any(|known| known.requested_name == object.requested_name);
            let chain = chain_of(&object.links, &object.path);
            if !(asked || follows) || chain.iter().all(|path| self.stage.present.contains(path)) {
                continue;
            }
            lacking.insert(&object.path);
            let unmet = self.needs.unmet.entry(object.requested_name.clone()).or_default();
            unmet.needed_by.insert(object.needed_by.clone());
            (unmet.chain, unmet.instead_of) = (chain, None);
        }
        for missing in &image.missing {
            if lacking.contains(&missing.needed_by) {
                let unmet = self.needs.unmet.entry(missing.name.clone()).or_default();
                unmet.needed_by.insert(missing.needed_by.clone());
                unmet.searched.clone_from(&missing.searched);
            }
        }
        image
    }

    /// Finds what the stage lacks for the image's own loader to find what a load found in a doubtful way. `image` is the
    /// load in the image, where there was one already.
    fn make_sure(&mut self, root: &UsrPath, built: &LoadResult, image: Option<LoadResult>) {
        let mut doubted: Vec<&Object> = built.objects.iter().filter(|object| is_doubtful(object)).collect();
        if !doubted.is_empty() {
            let bare = self.bare_built.load(root);
            doubted.retain(|object| !bare.objects.iter().any(|known| is_sure_of(object, known)));
        }
        if doubted.is_empty() {
            return;
        }
        let loads = [image.unwrap_or_else(|| self.image.load(root)), self.bare_image.load(root)];
        for object in doubted {
            let mut sure = loads.iter().flat_map(|load| &load.objects);
            let Some(sure) = sure.find(|known| is_sure_of(object, known)) else { continue };
            let chain = chain_of(&sure.links, &sure.path);
            if chain.iter().all(|path| self.stage.present.contains(path)) {
                continue;
            }
            let unmet = self.needs.unmet.entry(object.requested_name.clone()).or_default();
            unmet.needed_by.insert(object.needed_by.clone());
            // The first one will do, and what another program does not find at all says more.
            if unmet.chain.is_empty() {
                unmet.chain = chain;
                unmet.instead_of = Some((object.how.clone(), sure.how.clone()));
            }
        }
    }

    /// Counts what programs of the stage start unconditionally.
    fn started(&mut self) {
        let in_systemd =
            |path: &&UsrPath| path.parent().is_some_and(|directory| directory.name() == "systemd");
        for path in self.stage.present.iter().filter(in_systemd) {
            for (_, program, source) in STARTED.iter().filter(|(by, ..)| path.name() == *by) {
                let Some(started) = path.parent().map(|directory| directory.join(program)) else { continue };
                if self.stage.tree.file_info(started.as_str()).is_none()
                    || self.stage.present.contains(&started)
                {
                    continue;
                }
                let unmet = self.needs.unmet.entry((*program).to_owned()).or_default();
                unmet.needed_by.insert(path.clone());
                unmet.by = DependencyKind::Exec(source);
                unmet.chain = vec![started];
            }
        }
    }

    /// Counts the first soname of each `.note.dlopen` entry that the image has, where the stage has none of them.
    fn dlopened(&mut self, level: DlopenPriority) {
        for (path, facts) in self.stage.files() {
            let FileInfo::Elf(elf) = facts else { continue };
            for note in elf.dlopen.iter().filter(|note| note.priority <= level) {
                if note.sonames.iter().any(|name| self.built.dlopen(path, name).is_some()) {
                    continue;
                }
                let in_image = note
                    .sonames
                    .iter()
                    .find_map(|name| self.image.dlopen(path, name).map(|found| (name, found)));
                let Some(name) = in_image.as_ref().map(|(name, _)| *name).or(note.sonames.first()) else {
                    continue;
                };
                if in_image.is_none() && note.priority != DlopenPriority::Required {
                    continue;
                }
                let unmet = self.needs.unmet.entry(name.clone()).or_default();
                unmet.needed_by.insert(path.clone());
                unmet.by = DependencyKind::Dlopen(note.feature.clone());
                if let Some((_, found)) = in_image {
                    unmet.chain = chain_of(&found.links, &found.path);
                }
            }
        }
    }
}

/// The links on the way, then the file, each once.
fn chain_of(links: &[UsrPath], file: &UsrPath) -> Vec<UsrPath> {
    let mut chain: Vec<UsrPath> = Vec::with_capacity(links.len() + 1);
    for path in links.iter().chain([file]) {
        if !chain.contains(path) {
            chain.push(path.clone());
        }
    }
    chain
}
