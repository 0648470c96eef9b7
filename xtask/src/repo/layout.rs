//! The layout of a tree on disk: flavors, their manifest directories, and the files that a run may change.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use coreos_types::{Board, Error, Flavor, Result, ResultExt, shell::quote};
use manifest::stage1_sources::COMMON_MK;

/// Largest file that a run may change, in bytes: a manifest of [`MAX_TOTAL_LEN`] with added lines.
pub(super) const MAX_MANIFEST_LEN: u64 = 1 << 20;
/// Largest coreos-common.mk, and file that it includes, in bytes; rkt's has 1 KiB. A makefile takes longer to read.
pub(super) const MAX_COMMON_MK_LEN: u64 = 256 << 10;
/// Largest size of all manifests together, in bytes; rkt's largest has 4 KiB.
pub(super) const MAX_TOTAL_LEN: u64 = 512 << 10;

/// Most visible entries of a directory, and manifests of all flavors together; rkt has 30.
pub(super) const MAX_ENTRIES: usize = 5_000;

/// Most manifest directories, one for each flavor and board. Each is checked against an image; rkt has three.
const MAX_DIRECTORIES: usize = 64;

/// The manifest directory of old trees, which had only the board amd64-usr.
const LEGACY_DIR: &str = "manifest.d";

/// The real paths, relative to the root, of the files that a run may change: coreos-common.mk and every manifest.
pub(super) fn editable_files(root: &Path) -> Result<BTreeSet<String>> {
    let mut paths = manifest_files(root)?;
    paths.push(root.join(COMMON_MK));
    let real = |path: PathBuf| relative_in_tree(root, &fs::canonicalize(path).ok()?);
    Ok(paths.into_iter().filter_map(real).collect())
}

/// The other hard links to the file at `path` in the manifest directories, relative to the root.
pub(super) fn other_hard_links(root: &Path, path: &str, file: &Metadata) -> Result<BTreeSet<String>> {
    let is_same = |entry: &PathBuf| {
        let found = fs::symlink_metadata(entry);
        found.is_ok_and(|found| found.is_file() && inode_key(&found) == inode_key(file))
    };
    let links = manifest_files(root)?.into_iter().filter(is_same);
    let names = links.filter_map(|entry| relative_in_tree(root, &fs::canonicalize(&entry).unwrap_or(entry)));
    Ok(names.filter(|name| name != path).collect())
}

/// The entries of all manifest directories.
fn manifest_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for (_, _, directory) in manifest_directories(root)?.0 {
        paths.extend(visible_entries(&directory)?);
    }
    Ok(paths)
}

/// Device and inode, equal for all hard links to a file.
pub(super) fn inode_key(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// A path relative to the root; `None` if it is outside the tree or not UTF-8.
pub(super) fn relative_in_tree(root: &Path, path: &Path) -> Option<String> {
    path.strip_prefix(root).ok()?.to_str().map(str::to_owned)
}

/// The directory of a flavor's manifests for a board.
type ManifestDirectory = (Flavor, Board, PathBuf);

/// The manifest directories of all flavors: those of known boards, and those of unknown boards.
pub(super) fn manifest_directories(root: &Path) -> Result<(Vec<ManifestDirectory>, Vec<PathBuf>)> {
    let (mut all, mut unknown) = (Vec::new(), Vec::new());
    for (name, directory) in subdirectories(&root.join("stage1"))? {
        let Some(flavor) = Flavor::from_dir_name(&name) else { continue };
        let mut known = Vec::new();
        for (name, path) in subdirectories(&directory)? {
            let board = name.strip_prefix("manifest-").and_then(|rest| rest.strip_suffix(".d"));
            match board.map(str::parse) {
                Some(Ok(board)) => known.push((board, path)),
                Some(Err(_)) => unknown.push(path),
                None if name == LEGACY_DIR => known.push((Board::Amd64, path)),
                None => {}
            }
        }
        resolve_legacy_dir(&mut known)?;
        all.extend(known.into_iter().map(|(board, path)| (flavor.clone(), board, path)));
        if all.len() > MAX_DIRECTORIES {
            let message = format!("stage1 has more than {MAX_DIRECTORIES} manifest directories");
            return Err(Error::failed(message).with_hint("move those that are not built elsewhere"));
        }
    }
    Ok((all, unknown))
}

/// The visible directories in a directory, each with its name if that is UTF-8.
fn subdirectories(directory: &Path) -> Result<Vec<(String, PathBuf)>> {
    let paths = visible_entries(directory)?.into_iter().filter(|path| path.is_dir());
    Ok(paths.filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path))).collect())
}

/// Selects one of `manifest.d` and `manifest-amd64-usr.d`, if both exist. The build uses one of them, and which one is
/// not known, so both are an error unless one is empty or a link to the other.
fn resolve_legacy_dir(found: &mut Vec<(Board, PathBuf)>) -> Result<()> {
    let amd64: Vec<PathBuf> =
        found.iter().filter(|(board, _)| *board == Board::Amd64).map(|(_, path)| path.clone()).collect();
    let [new, old] = amd64.as_slice() else { return Ok(()) };
    let is_same = fs::canonicalize(new).ok() == fs::canonicalize(old).ok();
    let (new_is_empty, old_is_empty) = (visible_entries(new)?.is_empty(), visible_entries(old)?.is_empty());
    if !is_same && !old_is_empty && !new_is_empty {
        let (new, old) = (new.display(), old.display().to_string());
        let command = format!("rm -r {}", quote(&old));
        return Err(Error::failed(format!("{new} and {old} both exist, but the build uses only one"))
            .with_hint(format!("remove the one that the build does not use, most likely: {command}")));
    }
    let unused = if is_same || old_is_empty { old } else { new };
    found.retain(|(_, path)| path != unused);
    Ok(())
}

/// The error of more than [`MAX_ENTRIES`]; `what` has a verb.
pub(super) fn too_many_entries_error(what: &str) -> Error {
    Error::failed(format!("{what} more than {MAX_ENTRIES} entries"))
        .with_hint("list more paths in one manifest, and move what is not a manifest elsewhere")
}

/// The entries of a directory, sorted, without hidden ones, which `*` does not match.
pub(super) fn visible_entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).with_path("cannot read the directory", directory)? {
        let entry = entry.with_path("cannot read the directory", directory)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
        if paths.len() > MAX_ENTRIES {
            return Err(too_many_entries_error(&format!("{} has", directory.display())));
        }
    }
    paths.sort();
    Ok(paths)
}
