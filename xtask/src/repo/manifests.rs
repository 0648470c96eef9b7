//! Reading the manifest directories as the build does: every file of a directory, whatever its name (rkt
//! `stage1/usr_from_coreos/build-usr.mk`, `$(wildcard DIRECTORY/*)`), each read once at its real path.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::LoadedRepo;
use super::layout::{
    MAX_COMMON_MK_LEN, MAX_ENTRIES, MAX_TOTAL_LEN, inode_key, manifest_directories, relative_in_tree,
    too_many_entries_error, visible_entries,
};
use crate::bounded_file;
use coreos_types::{Board, Error, Flavor, Result, ResultExt, shell::quote};
use manifest::common_mk::{CommonMk, IncludedFiles};
use manifest::stage1_sources::{COMMON_MK, ManifestRef};

/// The lines of the manifests of all flavors; those of a manifest that several flavors share count for each. rkt has a
/// tenth of that.
const MAX_LINES: usize = 15_000;

/// Most files that coreos-common.mk includes, and their bytes together.
const MAX_INCLUDED_FILES: usize = 64;
const MAX_INCLUDED_LEN: u64 = 1 << 20;

/// Reads coreos-common.mk and every manifest. The root is absolute and without symlinks.
pub(super) fn read(root: &Path) -> Result<LoadedRepo> {
    let (names_by_inode, loaded) = (BTreeMap::new(), LoadedRepo::default());
    let mut reader = TreeReader { root, names_by_inode, bytes_left: MAX_TOTAL_LEN, loaded, lines: 0 };
    let (common_mk, real) = reader.resolve_key(&root.join(COMMON_MK))?;
    reader.loaded.sources.common_mk = reader.read_file(&real, MAX_COMMON_MK_LEN)?;
    reader.loaded.sources.included = read_included_files(root, &real, &reader.loaded.sources.common_mk);
    reader.loaded.sources.common_mk_path = common_mk;
    let (known, unknown) = manifest_directories(root)?;
    for directory in unknown {
        let name = reader.display_path(&directory);
        reader.loaded.warnings.push(format!("{name} is ignored: its board is unknown"));
    }
    for (flavor, board, directory) in known {
        // Resolved if it is in the tree: a file in a linked directory is not a link itself.
        let real = fs::canonicalize(&directory).ok().filter(|real| real.starts_with(root));
        for entry in visible_entries(&real.unwrap_or(directory))? {
            reader.read_manifest(board, &flavor, &entry)?;
        }
    }
    if reader.loaded.sources.manifest_refs.is_empty() {
        let directories = format!("{}/stage1/usr_from_*/manifest-BOARD.d", root.display());
        return Err(Error::failed(format!("no manifest in {directories}")).with_hint("create stage1/usr_from_coreos/manifest-amd64-usr.d/NAME.manifest with one path per line: bin/bash"));
    }
    Ok(reader.loaded)
}

/// The files of the tree that a makefile includes by a literal name. make searches its working directory, which is the
/// makefile's directory or the root. Files that are not found, are outside the tree or exceed a limit are skipped.
fn read_included_files(root: &Path, makefile: &Path, text: &[u8]) -> IncludedFiles {
    let find = |name: &str| {
        let directories = makefile.parent().into_iter().chain([root]);
        let found = directories.filter_map(|directory| fs::canonicalize(directory.join(name)).ok());
        let found: Vec<PathBuf> = found.collect();
        found.iter().find(|file| file.starts_with(root)).or(found.first()).cloned()
    };
    let is_plain = |name: &str| !name.contains(['$', '*', '?', '[', '~']);
    // Each name once; it is optional only if every statement says so.
    let mut named = BTreeMap::new();
    for (name, is_optional) in CommonMk::included_files(text).into_iter().filter(|(name, _)| is_plain(name)) {
        *named.entry(name).or_insert(true) &= is_optional;
    }
    let (mut included, mut bytes_left) = (IncludedFiles::new(), MAX_INCLUDED_LEN);
    for (name, is_optional) in named.into_iter().take(MAX_INCLUDED_FILES) {
        let text = match find(&name) {
            None if is_optional => Vec::new(),
            Some(file) if file.starts_with(root) => {
                let Ok(text) = bounded_file::read(&file, MAX_COMMON_MK_LEN.min(bytes_left)) else { continue };
                text
            }
            _ => continue,
        };
        bytes_left -= text.len() as u64;
        included.insert(name, text);
    }
    included
}

struct TreeReader<'a> {
    root: &'a Path,
    /// The key of each regular file by device and inode: a second hard link is the same manifest.
    names_by_inode: BTreeMap<(u64, u64), String>,
    /// The bytes of manifests that may still be read.
    bytes_left: u64,
    loaded: LoadedRepo,
    /// The lines of all manifests so far.
    lines: usize,
}

impl TreeReader<'_> {
    fn read_manifest(&mut self, board: Board, flavor: &Flavor, entry: &Path) -> Result<()> {
        if self.loaded.sources.manifest_refs.len() >= MAX_ENTRIES {
            return Err(too_many_entries_error("the manifest directories have"));
        }
        let directory_entry = self.path_in_tree(entry)?;
        let (file, real) = self.resolve_key(entry)?;
        if !self.loaded.sources.manifests.contains_key(&file) {
            let bytes = self.read_file(&real, self.bytes_left)?;
            self.bytes_left -= bytes.len() as u64;
            self.loaded.sources.manifests.insert(file.clone(), bytes);
        }
        self.check_line_limit(&file)?;
        let flavor = flavor.clone();
        self.loaded.sources.manifest_refs.push(ManifestRef { board, flavor, directory_entry, file });
        Ok(())
    }

    /// Bounds the work of a run: every line is parsed, looked up, and possibly reported.
    fn check_line_limit(&mut self, file: &str) -> Result<()> {
        let bytes = self.loaded.sources.manifests.get(file).map(Vec::as_slice).unwrap_or_default();
        self.lines += bytes.split(|&byte| byte == b'\n').count();
        if self.lines <= MAX_LINES {
            return Ok(());
        }
        Err(Error::failed(format!("the manifests have more than {MAX_LINES} lines"))
            .with_cause(format!("counted up to {file}"))
            .with_hint("list a directory to take everything below it, and move other files elsewhere"))
    }

    /// The key of a file and its real path. A link out of the tree has its own path as the key.
    fn resolve_key(&mut self, path: &Path) -> Result<(String, PathBuf)> {
        let name = self.path_in_tree(path)?;
        let real = fs::canonicalize(path).map_err(|error| {
            let target = fs::read_link(path).map_or(String::new(), |to| format!(" to {}", to.display()));
            let word = quote(&path.to_string_lossy());
            Error::failed(format!("{name} is a link{target}, which is not a file"))
                .with_cause(error)
                .with_hint(format!("link it to a file: ln -sf FILE {word}, or remove it: rm {word}"))
        })?;
        let key = match relative_in_tree(self.root, &real) {
            // The same key for each hard link.
            Some(inside) => {
                let metadata = fs::metadata(&real).with_path("cannot examine", &real)?;
                self.names_by_inode.entry(inode_key(&metadata)).or_insert(inside).clone()
            }
            None => {
                self.loaded.sources.outside.insert(name.clone(), escaping_link(self.root, &name));
                name
            }
        };
        Ok((key, real))
    }

    fn read_file(&self, path: &Path, max: u64) -> Result<Vec<u8>> {
        let name = self.display_path(path);
        if path.is_dir() {
            return Err(Error::failed(format!("{name} is a directory: expected a manifest"))
                .with_hint("the build reads everything in a manifest directory: move it elsewhere"));
        }
        bounded_file::read(path, max).with_context(|| format!("cannot read {name}"))
    }

    /// A path for messages.
    fn display_path(&self, path: &Path) -> String {
        relative_in_tree(self.root, path).unwrap_or_else(|| path.display().to_string())
    }

    fn path_in_tree(&self, path: &Path) -> Result<String> {
        relative_in_tree(self.root, path).ok_or_else(|| {
            Error::failed(format!("{} has a name that is not UTF-8", path.display())).with_hint(
                "the build reads everything in a manifest directory: rename it, or move it elsewhere",
            )
        })
    }
}

/// The symlink through which a path leaves the tree: the file itself, a directory above it, or a link that one of them
/// points to.
fn escaping_link(root: &Path, path: &str) -> String {
    let is_outside =
        |part: &Path| fs::canonicalize(root.join(part)).is_ok_and(|real| !real.starts_with(root));
    let mut link = PathBuf::from(path);
    // The kernel follows at most 40 links (path_resolution(7)).
    for _ in 0..40 {
        let parts: Vec<PathBuf> = link.ancestors().map(Path::to_owned).collect();
        link = parts.into_iter().rev().find(|part| is_outside(part)).unwrap_or(link);
        let Some(next) = link_target(root, &link) else { break };
        link = next;
    }
    link.to_str().unwrap_or(path).to_owned()
}

/// The target of a link, relative to the root; `None` if it is outside the tree.
fn link_target(root: &Path, link: &Path) -> Option<PathBuf> {
    let link = root.join(link);
    let target = link.parent()?.join(fs::read_link(&link).ok()?);
    let directory = fs::canonicalize(target.parent()?).ok()?;
    Some(directory.join(target.file_name()?).strip_prefix(root).ok()?.to_owned())
}
