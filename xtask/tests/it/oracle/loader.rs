//! The machine's own loader, asked with `--list` about every program and library of an image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use coreos_types::release::Board;
use usr::file_info::FileInfo;
use usr::ldso::{DynamicLoader, LoadResult};
use usr::path::UsrPath;
use usr::tree::UsrTree;

use super::release::{Release, tree_of};

/// What was found for each name, as a file of the tree; `None` where it was not found.
type Found = BTreeMap<String, Option<String>>;

/// What the loader of an image says about one file.
enum Told {
    /// What it lists, and the symbol versions it misses.
    Listed(Found, BTreeSet<String>),
    /// It stopped at this name, which it did not find.
    Stopped(String),
    /// Something it found is no file of `/usr`, as with `/etc/alternatives`; such an image is no /usr of its own.
    Elsewhere,
}

/// What the real loader prints. A chroot is entered where `root` is not `/`.
fn ask(root: &Path, loader: &str, library_path: &str, file: &UsrPath, tree: &UsrTree) -> Told {
    let mut command = Command::new(if root == Path::new("/") { "env" } else { "chroot" });
    if root != Path::new("/") {
        command.arg(root);
    }
    command
        .args([loader, "--inhibit-cache", "--library-path", library_path, "--list"])
        .arg(format!("/usr/{file}"));
    let done = command.env("LC_ALL", "C").output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    if let Some((_, rest)) = said.split_once("error while loading shared libraries: ") {
        return Told::Stopped(rest.split(": ").next().unwrap_or_default().to_owned());
    }
    let mut found = Found::new();
    for line in String::from_utf8_lossy(&done.stdout).lines().map(str::trim) {
        let Some((name, path)) = line.split_once(" => ") else { continue };
        let path = path.split(" (0x").next().unwrap();
        let real = tree.resolve_rootfs(path).end.node().map(ToString::to_string);
        match (name, path, real) {
            (name, ..) if left_out(name) => {}
            (name, "not found", _) => drop(found.insert(name.to_owned(), None)),
            (_, _, None) => return Told::Elsewhere,
            (name, _, real) => drop(found.insert(name.to_owned(), real)),
        }
    }
    let versions = said.lines().filter_map(|line| line.split_once("version `")?.1.split_once('\''));
    Told::Listed(found, versions.map(|(version, _)| version.to_owned()).collect())
}

/// The loader prints itself, and names that are paths, in ways of its own.
fn left_out(name: &str) -> bool {
    name.contains('/') || name.contains("ld-linux")
}

/// The same of our answer.
fn ours(load: &LoadResult) -> (Found, BTreeSet<String>) {
    let objects =
        load.objects.iter().map(|object| (object.requested_name.clone(), Some(object.path.to_string())));
    let missing = load.missing.iter().map(|missing| (missing.name.clone(), None));
    let found = objects.chain(missing).filter(|(name, _)| !left_out(name)).collect();
    (found, load.version_errors.iter().map(|error| error.version.clone()).collect())
}

fn difference(ours: &(Found, BTreeSet<String>), theirs: &(Found, BTreeSet<String>)) -> String {
    let names: BTreeSet<&String> = ours.0.keys().chain(theirs.0.keys()).collect();
    let differ = names.into_iter().filter(|name| ours.0.get(*name) != theirs.0.get(*name));
    let each: Vec<String> = differ
        .map(|name| format!("{name}: we {:?}, they {:?}", ours.0.get(name), theirs.0.get(name)))
        .collect();
    format!("{} versions: we {:?}, they {:?}", each.join("; "), ours.1, theirs.1)
}

struct Image<'a> {
    root: &'a Path,
    tree: &'a UsrTree,
    /// What is left of the image; everything where it is `None`.
    present: Option<&'a BTreeSet<UsrPath>>,
}

/// The name of the loader in a root filesystem.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

impl Image<'_> {
    /// Compares every dynamic file; how many, and what differs.
    fn compare(&self, library_path: &[UsrPath]) -> (usize, Vec<String>, Duration) {
        let joined = library_path.iter().map(|path| format!("/usr/{path}")).collect::<Vec<_>>().join(":");
        let model = DynamicLoader::new(self.tree, Board::Amd64, library_path.to_vec(), self.present);
        let (mut compared, mut wrong, mut spent) = (0, Vec::new(), Duration::ZERO);
        for (path, _) in self.tree.iter() {
            let Some(FileInfo::Elf(info)) = self.tree.file_info(path.as_str()) else { continue };
            if self.present.is_some_and(|present| !present.contains(path))
                || !info.is_64
                || info.machine != Board::Amd64.elf_machine()
                || info.needed.is_empty()
            {
                continue;
            }
            let start = Instant::now();
            let load = model.load(path);
            spent += start.elapsed();
            assert!(load.broken.is_empty(), "{path}: {load:?}");
            let theirs = match ask(self.root, LOADER, &joined, path, self.tree) {
                Told::Listed(found, versions) => (found, versions),
                Told::Stopped(name) if load.missing.iter().any(|missing| missing.name == name) => {
                    compared += 1;
                    continue;
                }
                Told::Stopped(name) => {
                    wrong.push(format!("{path}: it stops at {name}, we do not"));
                    continue;
                }
                Told::Elsewhere => continue,
            };
            compared += 1;
            if ours(&load) != theirs {
                wrong.push(format!("{path}: {}", difference(&ours(&load), &theirs)));
            }
        }
        (compared, wrong, spent)
    }

    /// With `LD_LIBRARY_PATH` as rkt sets it, and without.
    fn compare_both(&self, what: &str) {
        for library_path in [DynamicLoader::systemd_directories(self.tree), Vec::new()] {
            let (compared, wrong, spent) = self.compare(&library_path);
            eprintln!(
                "{what}: {compared} files with LD_LIBRARY_PATH {library_path:?}, {} differ, our part {spent:?}",
                wrong.len()
            );
            assert!(compared > 200, "{compared}");
            assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
        }
    }
}

/// Deletes every seventh library and library link, as manifests that lack lines would, and tells what is left.
fn thin_out(root: &Path, tree: &UsrTree) -> BTreeSet<UsrPath> {
    let kept = ["libc.so.6", "ld-linux-x86-64.so.2", "libc-2.31.so", "ld-2.31.so"];
    let is_library = |path: &UsrPath| path.name().contains(".so") && !kept.contains(&path.name());
    let libraries = tree.iter().map(|(path, _)| path).filter(|path| is_library(path));
    let gone: BTreeSet<UsrPath> = libraries.step_by(7).cloned().collect();
    gone.iter().for_each(|path| fs::remove_file(root.join("usr").join(path.as_str())).unwrap());
    tree.iter().map(|(path, _)| path).filter(|path| !gone.contains(*path)).cloned().collect()
}

#[test]
#[cfg(target_arch = "x86_64")]
#[ignore = "needs root and a machine with glibc"]
fn the_loader_of_this_machine_finds_what_we_find() {
    let tree = tree_of(Path::new("/usr"));
    Image { root: Path::new("/"), tree: &tree, present: None }.compare_both("/usr");
}

#[test]
#[cfg(target_arch = "x86_64")]
#[ignore = "needs root and Debian releases"]
fn the_loaders_of_real_releases_find_what_we_find() {
    for release in Release::all() {
        let tree = tree_of(&release.usr());
        Image { root: release.root(), tree: &tree, present: None }.compare_both(&release.name);
        let present = thin_out(release.root(), &tree);
        let image = Image { root: release.root(), tree: &tree, present: Some(&present) };
        image.compare_both(&format!("{}, thinned out", release.name));
    }
}
