//! The files of the manifest directories, as the build takes them: every file of the directory, whatever its name
//! (rkt `stage1/usr_from_coreos/build-usr.mk`, `$(wildcard DIRECTORY/*)`), each read once at its real path.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::LoadedRepo;
use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::release::{Board, Flavor};
use coreos_types::shell::quote;
use manifest::common_mk::{CommonMk, IncludedFiles};
use manifest::plan::sources::{COMMON_MK, ManifestRef};

/// No manifest is larger; rkt's largest has 4 KiB.
const MAX_SIZE: u64 = 16 << 20;

/// The directory of trees from before boards had one each; it was amd64-usr.
const OLD_DIRECTORY: &str = "manifest.d";

/// Reads everything. The root is absolute and without symlinks.
pub(super) fn read(root: &Path) -> Result<LoadedRepo> {
    let mut reader = Reader { root, names: BTreeMap::new(), read: LoadedRepo::default() };
    let (common_mk, real) = reader.place(&root.join(COMMON_MK))?;
    reader.read.sources.common_mk = reader.read_file(&real)?;
    reader.read.sources.included = included_files(root, &real, &reader.read.sources.common_mk);
    reader.read.sources.common_mk_path = common_mk;
    for (flavor, directory) in flavors(root)? {
        for (board, directory) in reader.board_directories(&directory)? {
            for entry in entries(&reader.inside(directory))? {
                reader.read_manifest(board, &flavor, &entry)?;
            }
        }
    }
    if reader.read.sources.listings.is_empty() {
        return Err(Error::failed(format!(
            "no manifest in {}/stage1/usr_from_*/manifest-BOARD.d",
            root.display()
        )));
    }
    Ok(reader.read)
}

/// The files of the tree that a makefile includes by a plain name: make looks below its working directory, which is the
/// makefile's directory or the tree. A file that is not found, or is outside the tree, is left out.
fn included_files(root: &Path, makefile: &Path, text: &[u8]) -> IncludedFiles {
    let read = |name: &str| {
        let directories = makefile.parent().into_iter().chain([root]);
        let files = directories.filter_map(|directory| fs::canonicalize(directory.join(name)).ok());
        let mut files = files.filter(|file| {
            let is_small = |data: Metadata| data.is_file() && data.len() <= MAX_SIZE;
            file.starts_with(root) && fs::metadata(file).is_ok_and(is_small)
        });
        fs::read(files.next()?).ok()
    };
    let is_plain = |name: &str| !name.contains(['$', '*', '?', '[', '~']);
    let named = CommonMk::included_files(text).into_iter().filter(|(name, _)| is_plain(name));
    let found = named.filter_map(|(name, is_optional)| {
        let text = read(&name).or_else(|| is_optional.then(Vec::new))?;
        Some((name, text))
    });
    found.collect()
}

/// The other names in the manifest directories of the file at `path`, relative to the tree.
pub(crate) fn other_names(root: &Path, path: &str, file: &Metadata) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (_, directory) in flavors(root)? {
        for (_, directory) in board_directories(&directory)?.known {
            for entry in entries(&directory)? {
                let same = fs::symlink_metadata(&entry)
                    .is_ok_and(|found| found.is_file() && identity(&found) == identity(file));
                let real = fs::canonicalize(&entry).unwrap_or(entry);
                let name = relative(root, &real);
                names.extend(name.filter(|name| same && name != path));
            }
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

struct Reader<'a> {
    root: &'a Path,
    /// The key of each regular file by device and inode: a second hard link is the same manifest.
    names: BTreeMap<(u64, u64), String>,
    read: LoadedRepo,
}

impl Reader<'_> {
    fn board_directories(&mut self, flavor: &Path) -> Result<Vec<(Board, PathBuf)>> {
        let BoardDirectories { known, unknown } = board_directories(flavor)?;
        let name = |path: &Path| relative(self.root, path).unwrap_or_else(|| path.display().to_string());
        self.read.notes.extend(
            unknown
                .iter()
                .map(|path| format!("{} is left out: it is for no board that is known", name(path))),
        );
        Ok(known)
    }

    /// Where a directory lies, its links followed as long as they stay in the tree: a file in a linked directory is
    /// no link itself.
    fn inside(&self, directory: PathBuf) -> PathBuf {
        fs::canonicalize(&directory).ok().filter(|real| real.starts_with(self.root)).unwrap_or(directory)
    }

    fn read_manifest(&mut self, board: Board, flavor: &Flavor, entry: &Path) -> Result<()> {
        let listed_as = self.name(entry)?;
        let (file, real) = self.place(entry)?;
        if !self.read.sources.manifests.contains_key(&file) {
            let bytes = self.read_file(&real)?;
            self.read.sources.manifests.insert(file.clone(), bytes);
        }
        let flavor = flavor.clone();
        self.read.sources.listings.push(ManifestRef { board, flavor, listed_as, file });
        Ok(())
    }

    /// The key of a file and its real path. A link to a place outside the tree keeps its own path as the key.
    fn place(&mut self, path: &Path) -> Result<(String, PathBuf)> {
        let name = self.name(path)?;
        let real = fs::canonicalize(path).map_err(|error| {
            let target = fs::read_link(path).map_or(String::new(), |to| format!(" to {}", to.display()));
            let word = quote(&path.to_string_lossy());
            Error::failed(format!("{name} is a link{target}, and that is no file"))
                .with_cause(error)
                .with_hint(format!("lead it to a file, ln -sf FILE {word}, or take it away: rm {word}"))
        })?;
        let key = match relative(self.root, &real) {
            Some(inside) => self.once(inside, &real)?,
            None => {
                self.read.sources.outside.insert(name.clone(), way_out(self.root, &name));
                name
            }
        };
        Ok((key, real))
    }

    /// The key of a file inside the tree, the same for each of its hard links.
    fn once(&mut self, inside: String, real: &Path) -> Result<String> {
        let metadata = fs::metadata(real).with_context(|| format!("cannot look at {}", real.display()))?;
        Ok(self.names.entry(identity(&metadata)).or_insert(inside).clone())
    }

    fn read_file(&self, path: &Path) -> Result<Vec<u8>> {
        let name = relative(self.root, path).unwrap_or_else(|| path.display().to_string());
        let metadata = fs::metadata(path).with_context(|| format!("cannot read {name}"))?;
        if metadata.is_dir() {
            return Err(Error::failed(format!("{name} is a directory: expected a manifest"))
                .with_hint("the build reads everything in a manifest directory: move it elsewhere"));
        }
        // Opening a pipe would wait for its other end.
        if !metadata.is_file() {
            return Err(Error::failed(format!("{name} is no regular file")));
        }
        if metadata.len() > MAX_SIZE {
            let size = metadata.len();
            return Err(Error::failed(format!("{name} has {size} bytes: expected at most {MAX_SIZE}")));
        }
        fs::read(path).with_context(|| format!("cannot read {name}"))
    }

    fn name(&self, path: &Path) -> Result<String> {
        relative(self.root, path).ok_or_else(|| {
            Error::failed(format!("{} has a name that is not UTF-8", path.display())).with_hint(
                "the build reads everything in a manifest directory: rename it, or move it elsewhere",
            )
        })
    }
}

/// The link that leads a path out of the tree: the file itself, or a folder above it, or what that leads to in turn.
fn way_out(root: &Path, path: &str) -> String {
    let leads_out = |part: &Path| fs::canonicalize(root.join(part)).is_ok_and(|real| !real.starts_with(root));
    let mut link = PathBuf::from(path);
    // Links in a row: the kernel follows no more than 40.
    for _ in 0..40 {
        let parts: Vec<PathBuf> = link.ancestors().map(Path::to_owned).collect();
        link = parts.into_iter().rev().find(|part| leads_out(part)).unwrap_or(link);
        let Some(next) = target(root, &link) else { break };
        link = next;
    }
    link.to_str().unwrap_or(path).to_owned()
}

/// What a link leads to, where that is in the tree, relative to it.
fn target(root: &Path, link: &Path) -> Option<PathBuf> {
    let link = root.join(link);
    let target = link.parent()?.join(fs::read_link(&link).ok()?);
    let folder = fs::canonicalize(target.parent()?).ok()?;
    Some(folder.join(target.file_name()?).strip_prefix(root).ok()?.to_owned())
}

/// Device and inode: two names with the same are one file.
fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// A path relative to the tree; `None` outside of it, or where it is not UTF-8.
fn relative(root: &Path, path: &Path) -> Option<String> {
    path.strip_prefix(root).ok()?.to_str().map(str::to_owned)
}

/// Each `stage1/usr_from_FLAVOR` that is a directory.
fn flavors(root: &Path) -> Result<Vec<(Flavor, PathBuf)>> {
    let flavor = |path: PathBuf| {
        let flavor = Flavor::from_dir_name(path.file_name()?.to_str()?)?;
        path.is_dir().then_some((flavor, path))
    };
    Ok(entries(&root.join("stage1"))?.into_iter().filter_map(flavor).collect())
}

/// The manifest directories of a flavor.
#[derive(Default)]
struct BoardDirectories {
    /// Each with its board.
    known: Vec<(Board, PathBuf)>,
    /// Those for other boards.
    unknown: Vec<PathBuf>,
}

fn board_directories(flavor: &Path) -> Result<BoardDirectories> {
    let BoardDirectories { known: mut found, mut unknown } = BoardDirectories::default();
    for path in entries(flavor)?.into_iter().filter(|path| path.is_dir()) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let board = name.strip_prefix("manifest-").and_then(|rest| rest.strip_suffix(".d"));
        match board {
            Some(word) => match word.parse() {
                Ok(board) => found.push((board, path)),
                Err(_) => unknown.push(path),
            },
            None if name == OLD_DIRECTORY => found.push((Board::Amd64, path)),
            None => {}
        }
    }
    settle_amd64(&mut found)?;
    Ok(BoardDirectories { known: found, unknown })
}

/// `manifest.d` beside `manifest-amd64-usr.d`: the build takes one of them and does not say which, so neither do
/// we, unless one is a link to the other or holds nothing.
fn settle_amd64(found: &mut Vec<(Board, PathBuf)>) -> Result<()> {
    let amd64: Vec<PathBuf> =
        found.iter().filter(|(board, _)| *board == Board::Amd64).map(|(_, path)| path.clone()).collect();
    let [new, old] = amd64.as_slice() else { return Ok(()) };
    let same = fs::canonicalize(new).ok() == fs::canonicalize(old).ok();
    let (new_is_empty, old_is_empty) = (entries(new)?.is_empty(), entries(old)?.is_empty());
    if same || old_is_empty {
        found.retain(|(_, path)| path != old);
    } else if new_is_empty {
        found.retain(|(_, path)| path != new);
    } else {
        return Err(Error::failed(format!(
            "{} and {} both exist, but the build uses only one",
            new.display(),
            old.display()
        ))
        .with_hint(format!(
            "remove the one that the build does not use, most likely: rm -r {}",
            quote(&old.display().to_string())
        )));
    }
    Ok(())
}

/// What a directory holds, sorted; hidden names are no match of `*` and left out.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = || format!("cannot read the directory {}", directory.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
