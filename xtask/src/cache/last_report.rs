//! Reports as files: where `--report` puts one, and the last run of each tree, which `report` tells again.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::prune::{is_gone, sweep};
use crate::atomic_file;
use crate::report::{Report, html, json, markdown};
use coreos_types::error::{Error, Result, ResultExt};
use pxe_image::Digest;

/// The folder of the cache with the last run of each tree.
const RUNS: &str = "last-run";
/// The file in it that tells which tree that is.
const TREE: &str = "tree";

/// A report as a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// `.md`.
    Markdown,
    /// `.html`.
    Html,
    /// `.json`; kept of each run, not offered by `--report`.
    Json,
}

impl Face {
    const ALL: [Face; 3] = [Face::Markdown, Face::Html, Face::Json];

    /// The face that goes with a file's extension. To be asked before a long run, not behind it.
    ///
    /// # Errors
    /// When the extension is none of ours.
    pub fn of_file(path: &Path) -> Result<Face> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("md" | "markdown") => Ok(Face::Markdown),
            Some("html" | "htm") => Ok(Face::Html),
            _ => Err(Error::failed(format!("{} is no report: expected .md or .html", path.display()))
                .with_hint("--report report.md, or --report report.html")),
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Face::Markdown => "report.md",
            Face::Html => "report.html",
            Face::Json => "report.json",
        }
    }

    /// The text of the file.
    pub fn render(self, report: &Report) -> String {
        match self {
            Face::Markdown => markdown::render(report),
            Face::Html => html::render(report),
            Face::Json => format!("{:#}\n", json::document(report)),
        }
    }
}

/// Writes a report to a file of the user's choice.
///
/// # Errors
/// When the extension is none of ours, or the file cannot be written.
pub fn write(path: &Path, report: &Report) -> Result<()> {
    put(path, &Face::of_file(path)?.render(report))
}

/// Makes sure, before anything else is changed, that there is a place for the report.
///
/// # Errors
/// The folder is not there, or the path is one itself.
pub fn ensure_place(path: &Path) -> Result<()> {
    let about = |why: &str| Error::failed(format!("{} cannot be written", path.display())).with_cause(why);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if path.is_dir() {
        return Err(about("it is a folder, expected a file ending in .md or .html"));
    }
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(
            about("its folder is not there").with_hint("make the folder first, or name another place")
        );
    }
    Ok(())
}

/// Writes a text to a file of the user's choice.
///
/// # Errors
/// When the file cannot be written.
pub fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// Keeps a run in the cache, in every face, in place of the last one of the same tree. Those of trees that are gone
/// make room.
///
/// # Errors
/// When the cache cannot be written; the run itself is none the worse for it.
pub fn keep(cache: &Path, tree: &Path, report: &Report) -> Result<()> {
    let folder = folder(cache, tree);
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for face in Face::ALL {
        let path = folder.join(face.file_name());
        // A reader, and a second run at the same time, see a whole report or the one before.
        atomic_file::write(&path, face.render(report))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let note = folder.join(TREE);
    fs::write(&note, tree.as_os_str().as_encoded_bytes())
        .with_context(|| format!("{} cannot be written", note.display()))?;
    sweep(&cache.join(RUNS), |run| {
        fs::read(run.join(TREE)).is_ok_and(|tree| is_gone(Path::new(OsStr::from_bytes(&tree))))
    });
    Ok(())
}

/// The last run of a tree.
///
/// # Errors
/// When there was none, or the cache cannot be read.
pub fn recall(cache: &Path, tree: &Path, face: Face) -> Result<String> {
    let path = folder(cache, tree).join(face.file_name());
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::failed(format!("no run of {} is kept", tree.display()))
                .with_cause(format!("{} is not there", path.display()))
                .with_hint("cargo xtask verify-manifests"))
        }
        text => text.with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Trees that stand in different places have runs of their own.
fn folder(cache: &Path, tree: &Path) -> PathBuf {
    let digest = Digest::of(tree.as_os_str().as_encoded_bytes()).hex();
    cache.join(RUNS).join(&digest[..16])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::report::fixtures;

    #[test]
    fn each_tree_has_its_own_last_run() {
        let cache = tempfile::tempdir().unwrap();
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        keep(cache.path(), one.path(), &fixtures::smoketest()).unwrap();
        keep(cache.path(), one.path(), &fixtures::bump()).unwrap();
        let told = recall(cache.path(), one.path(), Face::Markdown).unwrap();
        assert_eq!(told, markdown::render(&fixtures::bump()));
        let fault = recall(cache.path(), other.path(), Face::Html).unwrap_err();
        assert!(fault.message.contains(&other.path().display().to_string()), "{fault}");
        let files = fs::read_dir(folder(cache.path(), one.path())).unwrap().count();
        assert_eq!(files, Face::ALL.len() + 1);
    }

    #[test]
    fn runs_of_trees_that_are_gone_or_of_long_ago_make_room() {
        let cache = tempfile::tempdir().unwrap();
        let trees = [(); 4].map(|()| tempfile::tempdir().unwrap());
        let [kept, gone, old, last] = trees.each_ref().map(tempfile::TempDir::path);
        for tree in [kept, gone, old] {
            keep(cache.path(), tree, &fixtures::bump()).unwrap();
        }
        fs::remove_dir(gone).unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(31 * 24 * 3600);
        fs::File::open(folder(cache.path(), old)).unwrap().set_modified(long_ago).unwrap();
        keep(cache.path(), last, &fixtures::bump()).unwrap();
        let there = [kept, gone, old, last].map(|tree| recall(cache.path(), tree, Face::Html).is_ok());
        assert_eq!(there, [true, false, false, true]);
    }

    #[test]
    fn the_extension_decides() {
        let face = |name: &str| Face::of_file(Path::new(name)).ok();
        assert_eq!(face("a.md"), Some(Face::Markdown));
        assert_eq!(face("a.html"), Some(Face::Html));
        assert_eq!([face("a.json"), face("a"), face(".md")], [None; 3]);
    }
}
