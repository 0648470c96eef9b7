//! The real loader, in a chroot of the built root filesystem.
//!
//! Every program and library is asked by itself, several at once. What the loader says is read in [`loader_output`]; a
//! library that fails alone is satisfied_by where every program that resolved it links. What becomes process 1 is asked twice
//! ([`pid1`]).

pub mod loader_output;
pub mod pid1;
mod runner;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub use self::runner::LoaderRunner;
use super::rootfs::Rootfs;
use coreos_types::error::{Error, Result, ResultExt};
use usr::elf::DlopenPriority;
use usr::file_info::FileInfo;
use usr::ldso;
use usr::path::UsrPath;

/// What the loader said of every file.
#[derive(Debug, Clone)]
pub struct LinkCheck {
    /// How it was asked.
    pub runner: LoaderRunner,
    /// How long all of it took.
    pub took: Duration,
    /// Every file that was asked about, in byte order of the paths.
    pub files: Vec<LinkResult>,
}

/// What the loader said of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkResult {
    /// The program or library.
    pub file: UsrPath,
    /// What is wrong; empty where it links.
    pub problems: Vec<String>,
    /// It fails alone, and the programs named here, all that load it, link.
    pub satisfied_by: Vec<UsrPath>,
    /// Links that are not there, and would make what is there be found.
    pub links: Vec<UsrPath>,
    /// What the loader would load, as paths of the root filesystem.
    resolved: Vec<UsrPath>,
}

impl LinkResult {
    /// Whether it links, by itself or through its programs.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() || !self.satisfied_by.is_empty()
    }
}

/// Asks the loader about every program and library of a root filesystem, `jobs` at once.
///
/// # Errors
/// A tool that is missing, or that stops.
pub fn check(rootfs: &Rootfs, jobs: usize) -> Result<LinkCheck> {
    let started = Instant::now();
    let runner = LoaderRunner::detect(rootfs);
    let files: Vec<&UsrPath> = rootfs.linked_files().collect();
    let mut linked = match &runner {
        LoaderRunner::Simulated(_) => {
            files.iter().map(|file| check_file(rootfs, &runner, file)).collect::<Result<_>>()?
        }
        runner => check_parallel(rootfs, runner, &files, jobs)?,
    };
    excuse_indirect(rootfs, &mut linked);
    Ok(LinkCheck { runner, took: started.elapsed(), files: linked })
}

/// Where the loader looks beside the paths that are in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SearchMode {
    /// In [`LIBRARY_PATH`], as nearly everything in a stage1 is started.
    LibraryPath,
    /// Nowhere.
    DefaultPath,
}

/// Where rkt's `LD_LIBRARY_PATH` leads, and the loader's own directories of this layout.
const LIBRARY_PATH: &str = "/usr/lib:/usr/lib64:/usr/lib/systemd:/usr/lib64/systemd";

fn check_parallel(
    rootfs: &Rootfs,
    runner: &LoaderRunner,
    files: &[&UsrPath],
    jobs: usize,
) -> Result<Vec<LinkResult>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<LinkResult>> {
        let mine = std::iter::from_fn(|| files.get(next.fetch_add(1, Ordering::Relaxed)));
        mine.map(|file| check_file(rootfs, runner, file)).collect()
    };
    // Every thread is waited for before the first answer is looked at: one that panicked unseen would end the process.
    let answers: Vec<Result<Vec<LinkResult>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.clamp(1, 64)).map(|_| scope.spawn(work)).collect();
        let answer = |panic: Box<dyn Any + Send>| Err(Error::from_panic("asking the loader failed", &*panic));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(answer)).collect()
    });
    let mut linked = answers.into_iter().collect::<Result<Vec<_>>>()?.concat();
    linked.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(linked)
}

/// Asks about one file, in each way in which it is started.
fn check_file(rootfs: &Rootfs, runner: &LoaderRunner, file: &UsrPath) -> Result<LinkResult> {
    let mut linked = run_loader(rootfs, runner, file, SearchMode::LibraryPath)?;
    if pid1::is_pid1(rootfs, file) {
        let (problems, links) = pid1::check_pid1(rootfs, runner, file, &linked.problems)?;
        linked.problems.extend(problems);
        linked.links = links;
    }
    Ok(linked)
}

fn run_loader(rootfs: &Rootfs, runner: &LoaderRunner, file: &UsrPath, way: SearchMode) -> Result<LinkResult> {
    if matches!(runner, LoaderRunner::Simulated(_)) {
        return Ok(simulate(rootfs, file, way));
    }
    let answer = |problems, resolved| LinkResult {
        file: file.clone(),
        problems,
        satisfied_by: Vec::new(),
        links: Vec::new(),
        resolved,
    };
    let interpreter = match rootfs.tree.file_info(file.as_str()) {
        Some(FileInfo::MalformedElf(why)) => return Ok(answer(vec![why.clone()], Vec::new())),
        Some(FileInfo::Elf(info)) => info.interp.clone(),
        _ => None,
    };
    let loader = match interpreter {
        Some(path) => UsrPath::from_rootfs_path(&path).ok(),
        None => runner::board_loader(rootfs),
    };
    let Some(loader) = loader.filter(|path| is_file(rootfs, path)) else {
        let name = interpreter_name(rootfs, file);
        return Ok(answer(vec![format!("its loader {name} is not in the root filesystem")], Vec::new()));
    };
    if rootfs.tree.resolve(&loader).end.node() == Some(file) {
        return Ok(answer(Vec::new(), Vec::new()));
    }
    let output = runner
        .command(rootfs, &loader, file, way)
        .output()
        .with_context(|| format!("cannot ask the loader {loader}"))?;
    let mut said = loader_output::from_output(&output);
    if !said.problems.is_empty() {
        // The loader stops at the first library that is missing; the graph names the others.
        let graph = simulate(rootfs, file, way).problems;
        let is_new = |problem: &String| !said.problems.contains(problem);
        let others: Vec<String> = graph.into_iter().filter(is_new).collect();
        said.problems.extend(others);
    }
    said.problems.extend(missing_dlopen(rootfs, file));
    let resolved = said.resolved.iter().filter_map(|path| real_path(rootfs, path)).collect();
    Ok(answer(said.problems, resolved))
}

fn interpreter_name(rootfs: &Rootfs, file: &UsrPath) -> String {
    match rootfs.tree.file_info(file.as_str()) {
        Some(FileInfo::Elf(info)) => info.interp.clone(),
        _ => None,
    }
    .unwrap_or_else(|| runner::loader_name(rootfs.board).to_owned())
}

fn is_file(rootfs: &Rootfs, path: &UsrPath) -> bool {
    rootfs.tree.resolve(path).end.node().is_some_and(|end| rootfs.tree.file_info(end.as_str()).is_some())
}

fn real_path(rootfs: &Rootfs, path: &str) -> Option<UsrPath> {
    rootfs.tree.resolve(&UsrPath::from_rootfs_path(path).ok()?).end.node().cloned()
}

/// Libraries that the file says it resolved by name and cannot do without (`.note.dlopen`), and that are nowhere here.
fn missing_dlopen(rootfs: &Rootfs, file: &UsrPath) -> Vec<String> {
    let Some(FileInfo::Elf(info)) = rootfs.tree.file_info(file.as_str()) else { return Vec::new() };
    let is_here = |soname: &String| rootfs.tree.iter().any(|(path, _)| path.name() == soname);
    let required = info.dlopen.iter().filter(|note| note.priority == DlopenPriority::Required);
    required
        .filter(|note| !note.sonames.iter().any(is_here))
        .map(|note| {
            format!("{} is not found (loaded by name for {})", note.sonames.join(" or "), note.feature)
        })
        .collect()
}

/// The graph's answer, for machines that cannot run the loader.
fn simulate(rootfs: &Rootfs, file: &UsrPath, way: SearchMode) -> LinkResult {
    let directories = match way {
        SearchMode::LibraryPath => ldso::DynamicLoader::systemd_directories(&rootfs.tree),
        SearchMode::DefaultPath => Vec::new(),
    };
    let load = ldso::DynamicLoader::new(&rootfs.tree, rootfs.board, directories, None).load(file);
    let missing = load.missing.iter().map(|gap| format!("{} is not found", gap.name));
    let broken = load.broken.iter().map(|unfit| format!("{} cannot be loaded: {}", unfit.path, unfit.why));
    let versions =
        load.version_errors.iter().map(|gap| format!("{} has no version {}", gap.library, gap.version));
    LinkResult {
        file: file.clone(),
        problems: missing.chain(broken).chain(versions).collect(),
        satisfied_by: Vec::new(),
        links: Vec::new(),
        resolved: load.objects.into_iter().map(|object| object.path).collect(),
    }
}

/// Libraries that fail alone and have programs that load them, all of which link.
fn excuse_indirect(rootfs: &Rootfs, linked: &mut [LinkResult]) {
    let is_program = |file: &UsrPath| matches!(rootfs.tree.file_info(file.as_str()), Some(FileInfo::Elf(info)) if info.interp.is_some());
    let mut loaders: BTreeMap<UsrPath, Vec<UsrPath>> = BTreeMap::new();
    let mut broken: BTreeSet<UsrPath> = BTreeSet::new();
    for program in linked.iter().filter(|one| is_program(&one.file)) {
        if !program.problems.is_empty() {
            broken.insert(program.file.clone());
        }
        for library in &program.resolved {
            loaders.entry(library.clone()).or_default().push(program.file.clone());
        }
    }
    for library in linked.iter_mut().filter(|one| !one.problems.is_empty() && !is_program(&one.file)) {
        if let Some(programs) = loaders.get(&library.file)
            && programs.iter().all(|program| !broken.contains(program))
        {
            library.satisfied_by.clone_from(programs);
        }
    }
}
