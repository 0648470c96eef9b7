//! Links every program and library of a root filesystem with its own loader, confined ([`super::sandbox`]).
//!
//! The loader lists what each file loads (`ld.so --list`), for several files at once. [`loader_output`] parses its
//! output; a library that fails alone is excused where every program that loads it links. Process 1 is checked twice
//! ([`pid1_check`]). A loader that crashes or hangs is one failure, not one per file ([`loader_health`]).

mod loader_health;
mod loader_output;
pub(super) mod pid1_check;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) use self::loader_health::LoaderFailure;
use self::loader_health::LoaderHealth;
use self::loader_output::LoaderOutput;
use super::host::find_program;
use super::rootfs::{self, Rootfs};
use super::sandbox::Sandbox;
use coreos_types::{Result, error::panic_to_error};
use pxe_image::spawn_scoped;
use usr::{DlopenPriority, FileInfo, UsrPath, ldso};

/// A method of running the loader.
pub(super) enum LoaderRunner {
    /// The loader itself; emulated by qemu-user for a foreign board.
    Confined(Sandbox),
    /// Simulated with the model of the loader; the reason.
    Simulated(String),
}

impl fmt::Display for LoaderRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoaderRunner::Confined(sandbox) => write!(f, "the image's loader, {sandbox}"),
            LoaderRunner::Simulated(reason) => write!(f, "a model of the loader, not the loader: {reason}"),
        }
    }
}

impl LoaderRunner {
    /// The best runner of this machine and user, or the reason why the loader, which this machine could run, cannot be
    /// confined.
    pub(super) fn detect(rootfs: &Rootfs) -> std::result::Result<LoaderRunner, String> {
        let machine = rootfs.board.uname_machine();
        let mut emulator = None;
        if machine != std::env::consts::ARCH {
            let names = [format!("qemu-{machine}-static"), format!("qemu-{machine}")];
            emulator = names.iter().filter_map(|name| find_program(name)).find(|path| is_static(path));
            if emulator.is_none() {
                let board = rootfs.board;
                let reason = format!("{board} is a foreign board, and no static {} is installed", names[0]);
                return Ok(LoaderRunner::Simulated(reason));
            }
        }
        Sandbox::probe(&rootfs.path, emulator, owner_only_elf_files(rootfs)).map(LoaderRunner::Confined)
    }
}

pub(super) struct LinkResult {
    /// The program or library.
    pub file: UsrPath,
    /// The problems; empty if the file links.
    pub problems: Vec<String>,
    /// The programs that load it, where it fails alone and all of them link.
    pub satisfied_by: Vec<UsrPath>,
    /// Missing links through which existing libraries would be found.
    pub missing_symlinks: Vec<UsrPath>,
    /// The files that the loader would load, as paths of the root filesystem.
    loaded_files: Vec<UsrPath>,
}

impl LinkResult {
    fn new(file: &UsrPath, problems: Vec<String>, loaded_files: Vec<UsrPath>) -> LinkResult {
        let (satisfied_by, missing_symlinks) = Default::default();
        LinkResult { file: file.clone(), problems, satisfied_by, missing_symlinks, loaded_files }
    }

    /// Whether it links, by itself or through its programs.
    pub(super) fn is_good(&self) -> bool {
        self.problems.is_empty() || !self.satisfied_by.is_empty()
    }
}

/// Checks every program and library of a root filesystem, `jobs` at once. Returns the results in byte order of the
/// paths. The inner error is a loader that itself fails, so that no file can be checked.
pub(super) fn check(
    rootfs: &Rootfs,
    runner: &LoaderRunner,
    jobs: usize,
) -> Result<std::result::Result<Vec<LinkResult>, LoaderFailure>> {
    let health = LoaderHealth::new(rootfs.loader());
    let mut files = Checker { rootfs, runner, health: &health }.check_parallel(jobs)?;
    if let Some(failure) = health.failure() {
        return Ok(Err(failure));
    }
    excuse_loaded_libraries(rootfs, &mut files);
    Ok(Ok(files))
}

/// The directories that the loader searches in addition to those that the files name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SearchMode {
    /// [`LIBRARY_PATH`], with which nearly everything in a stage1 is started.
    LibraryPath,
    DefaultPath,
}

/// The directories of rkt's `LD_LIBRARY_PATH`, and the loader's own of this layout.
pub(super) const LIBRARY_PATH: &str = "/usr/lib:/usr/lib64:/usr/lib/systemd:/usr/lib64/systemd";
const MAX_JOBS: usize = 64;

#[derive(Clone, Copy)]
struct Checker<'a> {
    rootfs: &'a Rootfs,
    runner: &'a LoaderRunner,
    health: &'a LoaderHealth,
}

impl Checker<'_> {
    fn check_parallel(self, jobs: usize) -> Result<Vec<LinkResult>> {
        let files: Vec<&UsrPath> = self.rootfs.dynamic_image_files().collect();
        let next = AtomicUsize::new(0);
        let work = || -> Result<Vec<LinkResult>> {
            let mine = std::iter::from_fn(|| files.get(next.fetch_add(1, Ordering::Relaxed)));
            mine.take_while(|_| !self.health.is_stopped() && self.health.failure().is_none())
                .map(|file| self.check_file(file))
                .collect()
        };
        let results: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs.clamp(1, MAX_JOBS)).map(|_| spawn_scoped(scope, work)).collect();
            workers
                .into_iter()
                .map(|worker| panic_to_error("the link check", worker?.join()).flatten())
                .collect()
        });
        let linked = results.into_iter().collect::<Result<Vec<_>>>()?;
        let mut linked: Vec<LinkResult> = linked.into_iter().flatten().collect();
        linked.sort_by(|one, other| one.file.cmp(&other.file));
        Ok(linked)
    }

    /// Checks one file in each mode in which it is started.
    fn check_file(self, file: &UsrPath) -> Result<LinkResult> {
        let mut result = self.link_file(file, SearchMode::LibraryPath)?;
        if pid1_check::is_pid1(self.rootfs, file) {
            pid1_check::check_pid1(self, &mut result)?;
        }
        Ok(result)
    }

    fn link_file(self, file: &UsrPath, mode: SearchMode) -> Result<LinkResult> {
        let Checker { rootfs, runner, .. } = self;
        let LoaderRunner::Confined(sandbox) = runner else { return Ok(simulate(rootfs, file, mode)) };
        if let Some(FileInfo::MalformedElf(why)) = rootfs.tree.read_file_info(file.as_str()) {
            return Ok(LinkResult::new(file, vec![why.clone()], Vec::new()));
        }
        let interpreter = rootfs.tree.read_elf_info(file).and_then(|info| info.interp.clone());
        let interpreter = interpreter.unwrap_or_else(|| format!("/{}", rootfs.loader()));
        let loader = UsrPath::from_rootfs_path(&interpreter).ok();
        let found = loader.and_then(|path| Some((rootfs.resolve_file(path.as_str())?, path)));
        let Some((real, loader)) = found else {
            let problem = format!("its loader {interpreter} is not in the root filesystem");
            return Ok(LinkResult::new(file, vec![problem], Vec::new()));
        };
        if real == *file {
            return Ok(LinkResult::new(file, Vec::new(), Vec::new()));
        }
        let output = self.run_loader(sandbox, &loader, file, mode)?;
        let mut problems = output.problems;
        if !problems.is_empty() {
            // The loader stops at the first missing library; the model of the loader names the others.
            let mut others = simulate(rootfs, file, mode).problems;
            others.retain(|other| !problems.contains(other));
            problems.extend(others);
        }
        problems.extend(dlopen_problems(rootfs, file));
        let resolve = |path: &String| rootfs.resolve_file(UsrPath::from_rootfs_path(path).ok()?.as_str());
        Ok(LinkResult::new(file, problems, output.resolved.iter().filter_map(resolve).collect()))
    }

    /// Lists what one file loads (`ld.so --list`, ld.so(8)). Options alone reach the loader: its environment is empty.
    fn run_loader(
        self,
        sandbox: &Sandbox,
        loader: &UsrPath,
        file: &UsrPath,
        mode: SearchMode,
    ) -> Result<LoaderOutput> {
        let absolute = |path| Path::new("/usr").join(rootfs::os_path(path)).into_os_string();
        let mut command = vec![absolute(loader)];
        if mode == SearchMode::LibraryPath {
            command.extend(["--library-path", LIBRARY_PATH].map(OsString::from));
        }
        command.extend([OsString::from("--list"), absolute(file)]);
        let run = sandbox.run(&command, &|| self.health.is_stopped());
        let output = LoaderOutput::from_run(&run.inspect_err(|_| self.health.stop())?);
        self.health.count_run(loader, file, output.failure);
        Ok(output)
    }
}

/// Missing libraries that the file declares as required in `.note.dlopen`.
fn dlopen_problems(rootfs: &Rootfs, file: &UsrPath) -> Vec<String> {
    let is_missing = |soname: &String| rootfs.tree.with_name(soname).is_empty();
    let notes = rootfs.tree.read_elf_info(file).into_iter().flat_map(|info| &info.dlopen_notes);
    notes
        .filter(|note| note.priority == DlopenPriority::Required && note.sonames.iter().all(is_missing))
        .map(|note| {
            format!("{} is not found (loaded with dlopen for {})", note.sonames.join(" or "), note.feature)
        })
        .collect()
}

/// The result by the model of the loader.
fn simulate(rootfs: &Rootfs, file: &UsrPath, mode: SearchMode) -> LinkResult {
    let directories = match mode {
        SearchMode::LibraryPath => ldso::DynamicLoader::rkt_library_path(&rootfs.tree),
        SearchMode::DefaultPath => Vec::new(),
    };
    let load = ldso::DynamicLoader::new(&rootfs.tree, rootfs.board, directories, None).load(file);
    let missing = load.missing.iter().map(|gap| format!("{} is not found", gap.name));
    let broken =
        load.fatal.iter().map(|rejected| format!("{} cannot be loaded: {}", rejected.path, rejected.why));
    let versions =
        load.undefined_versions.iter().map(|gap| format!("{} has no version {}", gap.library, gap.version));
    let problems = missing.chain(broken).chain(versions).collect();
    LinkResult::new(file, problems, load.objects.into_iter().map(|object| object.path).collect())
}

/// Excuses libraries that fail alone and have programs that load them, all of which link.
fn excuse_loaded_libraries(rootfs: &Rootfs, linked: &mut [LinkResult]) {
    let is_program =
        |file: &UsrPath| rootfs.tree.read_elf_info(file).is_some_and(|info| info.interp.is_some());
    // The programs that load each library; `None` if one of them does not link.
    let mut loaders: BTreeMap<UsrPath, Option<Vec<UsrPath>>> = BTreeMap::new();
    for program in linked.iter().filter(|one| is_program(&one.file)) {
        for library in &program.loaded_files {
            match loaders.entry(library.clone()).or_insert_with(|| Some(Vec::new())) {
                Some(programs) if program.problems.is_empty() => programs.push(program.file.clone()),
                broken => *broken = None,
            }
        }
    }
    for library in linked.iter_mut().filter(|one| !one.problems.is_empty() && !is_program(&one.file)) {
        library.satisfied_by = loaders.remove(&library.file).flatten().unwrap_or_default();
    }
}

/// ELF files that their owner alone may read, as sudo is: the confined loader reads copies.
fn owner_only_elf_files(rootfs: &Rootfs) -> Vec<OsString> {
    let is_owner_only = |path: &&UsrPath| {
        rootfs.tree.get(path.as_str()).is_some_and(|node| node.kind.is_file() && node.mode & 0o004 == 0)
    };
    rootfs.dynamic_image_files().filter(is_owner_only).map(rootfs::os_path).collect()
}

/// Whether a program needs no loader of its own, and so runs in any root directory.
fn is_static(program: &Path) -> bool {
    std::fs::read(program)
        .is_ok_and(|bytes| matches!(usr::elf::parse_headers(&bytes), Ok(info) if info.interp.is_none()))
}
