//! Comparison with the loader's `--list` for each program and library of an image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use coreos_types::Board;
use usr::{DynamicLoader, FileInfo, UsrPath, UsrTree, ldso::LoadResult};

use super::release::{Release, read_tree};

/// The path in the tree for each requested name; `None` if it was not found.
type Found = BTreeMap<String, Option<String>>;

/// Output of the loader of an image for one file.
enum Listing {
    /// Listed libraries, and symbol versions that are not defined.
    Listed(Found, BTreeSet<String>),
    /// The first name that was not found, at which the loader stopped.
    Stopped(String),
    /// A library was found outside `/usr`, for example through `/etc/alternatives`; the file is not compared.
    Elsewhere,
}

/// Runs the real loader on one file, in a chroot if `root` is not `/`.
fn run_loader(root: &Path, loader: &str, library_path: &str, file: &UsrPath, tree: &UsrTree) -> Listing {
    let mut command = Command::new(if root == Path::new("/") { "env" } else { "chroot" });
    if root != Path::new("/") {
        command.arg(root);
    }
    command
        .args([loader, "--inhibit-cache", "--library-path", library_path, "--list"])
        .arg(format!("/usr/{file}"));
    let output = command.env("LC_ALL", "C").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    if let Some((_, rest)) = stderr.split_once("error while loading shared libraries: ") {
        return Listing::Stopped(rest.split(": ").next().unwrap_or_default().to_owned());
    }
    let mut found = Found::new();
    for line in String::from_utf8_lossy(&output.stdout).lines().map(str::trim) {
        let Some((name, path)) = line.split_once(" => ") else { continue };
        let path = path.split(" (0x").next().unwrap();
        let real = tree.resolve_rootfs(path).end.node().map(ToString::to_string);
        match (name, path, real) {
            (name, ..) if is_ignored(name) => {}
            (name, "not found", _) => drop(found.insert(name.to_owned(), None)),
            (_, _, None) => return Listing::Elsewhere,
            (name, _, real) => drop(found.insert(name.to_owned(), real)),
        }
    }
    let versions = stderr.lines().filter_map(|line| line.split_once("version `")?.1.split_once('\''));
    Listing::Listed(found, versions.map(|(version, _)| version.to_owned()).collect())
}

/// Whether a name is not compared: the loader itself, and names that are paths.
fn is_ignored(name: &str) -> bool {
    name.contains('/') || name.contains("ld-linux")
}

/// The result of [`DynamicLoader`] in the same form.
fn from_model(load: &LoadResult) -> (Found, BTreeSet<String>) {
    let objects =
        load.objects.iter().map(|object| (object.requested_name.clone(), Some(object.path.to_string())));
    let missing = load.missing.iter().map(|missing| (missing.name.clone(), None));
    let found = objects.chain(missing).filter(|(name, _)| !is_ignored(name)).collect();
    (found, load.undefined_versions.iter().map(|error| error.version.clone()).collect())
}

fn difference(from_model: &(Found, BTreeSet<String>), from_loader: &(Found, BTreeSet<String>)) -> String {
    let names: BTreeSet<&String> = from_model.0.keys().chain(from_loader.0.keys()).collect();
    let differ = names.into_iter().filter(|name| from_model.0.get(*name) != from_loader.0.get(*name));
    let each: Vec<String> = differ
        .map(|name| {
            format!("{name}: model {:?}, loader {:?}", from_model.0.get(name), from_loader.0.get(name))
        })
        .collect();
    format!("{} versions: model {:?}, loader {:?}", each.join("; "), from_model.1, from_loader.1)
}

struct Image<'a> {
    root: &'a Path,
    tree: &'a UsrTree,
    /// Remaining paths of the image; `None` for all.
    present: Option<&'a BTreeSet<UsrPath>>,
}

/// The path of the loader in a root filesystem.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

impl Image<'_> {
    /// Compares each dynamic file. Returns the number of files, the differences, and the time spent in the model.
    fn compare(&self, library_path: &[UsrPath]) -> (usize, Vec<String>, Duration) {
        let joined = library_path.iter().map(|path| format!("/usr/{path}")).collect::<Vec<_>>().join(":");
        // The work of one loader is bounded, and a machine can have many programs.
        let new_model = || DynamicLoader::new(self.tree, Board::Amd64, library_path.to_vec(), self.present);
        let mut model = new_model();
        let (mut compared, mut wrong, mut duration) = (0, Vec::new(), Duration::ZERO);
        for (path, _) in self.tree.iter() {
            let Some(FileInfo::Elf(info)) = self.tree.read_file_info(path.as_str()) else { continue };
            if self.present.is_some_and(|present| !present.contains(path))
                || !info.is_64
                || info.machine != Board::Amd64.elf_machine()
                || info.needed.is_empty()
            {
                continue;
            }
            if compared % 500 == 499 {
                model = new_model();
            }
            let start = Instant::now();
            let load = model.load(path);
            duration += start.elapsed();
            assert!(load.fatal.is_empty(), "{path}: {load:?}");
            let from_loader = match run_loader(self.root, LOADER, &joined, path, self.tree) {
                Listing::Listed(found, versions) => (found, versions),
                Listing::Stopped(name) if load.missing.iter().any(|missing| missing.name == name) => {
                    compared += 1;
                    continue;
                }
                Listing::Stopped(name) => {
                    wrong.push(format!("{path}: the loader stops at {name}, the model does not"));
                    continue;
                }
                Listing::Elsewhere => continue,
            };
            compared += 1;
            if from_model(&load) != from_loader {
                wrong.push(format!("{path}: {}", difference(&from_model(&load), &from_loader)));
            }
        }
        (compared, wrong, duration)
    }

    /// Compares with `LD_LIBRARY_PATH` as rkt sets it, and without.
    fn compare_both(&self, what: &str) {
        for library_path in [DynamicLoader::rkt_library_path(self.tree), Vec::new()] {
            let (compared, wrong, duration) = self.compare(&library_path);
            eprintln!(
                "{what}: {compared} files with LD_LIBRARY_PATH {library_path:?}, {} differ, model time {duration:?}",
                wrong.len()
            );
            assert!(compared > 200, "{compared}");
            assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
        }
    }
}

/// Deletes every seventh library and library link, as if lines were missing in manifests, and returns the other paths.
fn remove_libraries(root: &Path, tree: &UsrTree) -> BTreeSet<UsrPath> {
    let required = ["libc.so.6", "ld-linux-x86-64.so.2", "libc-2.31.so", "ld-2.31.so"];
    let is_library = |path: &UsrPath| path.name().contains(".so") && !required.contains(&path.name());
    let libraries = tree.iter().map(|(path, _)| path).filter(|path| is_library(path));
    let removed: BTreeSet<UsrPath> = libraries.step_by(7).cloned().collect();
    removed.iter().for_each(|path| fs::remove_file(root.join("usr").join(path.as_str())).unwrap());
    tree.iter().map(|(path, _)| path).filter(|path| !removed.contains(*path)).cloned().collect()
}

#[test]
#[cfg(target_arch = "x86_64")]
#[ignore = "needs root and a machine with glibc"]
fn library_search_matches_the_local_loader() {
    let tree = read_tree(Path::new("/usr"));
    Image { root: Path::new("/"), tree: &tree, present: None }.compare_both("/usr");
}

#[test]
#[cfg(target_arch = "x86_64")]
#[ignore = "needs root and Debian releases"]
fn library_search_matches_the_loaders_of_releases() {
    for release in Release::all() {
        let tree = read_tree(&release.usr());
        Image { root: release.root(), tree: &tree, present: None }.compare_both(&release.name);
        let present = remove_libraries(release.root(), &tree);
        let image = Image { root: release.root(), tree: &tree, present: Some(&present) };
        image.compare_both(&format!("{} without some libraries", release.name));
    }
}
