//! The formats of report files, and the report of the last run of each tree, which `report` prints.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::remove_old_entries::remove_old_entries;
use crate::atomic_file;
use crate::bounded_file;
use crate::report::{Report, html, json, markdown};
use coreos_types::{Error, Result, ResultExt};
use pxe_image::Digest;

/// The directory of the cache with the last run of each tree.
const RUNS: &str = "last-run";
/// The file in it with the path of the tree.
const TREE: &str = "tree";
/// The largest stored report that is read: one of 15,000 findings has 10 MiB.
const MAX_REPORT: u64 = 32 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileFormat {
    /// `.md`.
    Markdown,
    Html,
    /// `.json`; stored for each run, not available to `--report`.
    Json,
}

impl FileFormat {
    const ALL: [FileFormat; 3] = [FileFormat::Markdown, FileFormat::Html, FileFormat::Json];

    /// The format for a file's extension. Call it before a long run, so that a wrong extension fails early.
    pub(crate) fn from_path(path: &Path) -> Result<FileFormat> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("md" | "markdown") => Ok(FileFormat::Markdown),
            Some("html" | "htm") => Ok(FileFormat::Html),
            _ => {
                Err(Error::failed(format!("{} is not a report file: expected .md or .html", path.display()))
                    .with_hint("--report report.md, or --report report.html"))
            }
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            FileFormat::Markdown => "report.md",
            FileFormat::Html => "report.html",
            FileFormat::Json => "report.json",
        }
    }

    pub(crate) fn render(self, report: &Report) -> String {
        match self {
            FileFormat::Markdown => markdown::render(report),
            FileFormat::Html => html::render(report),
            FileFormat::Json => format!("{:#}\n", json::document(report)),
        }
    }
}

/// Stores a run in the cache in each format, instead of the last one of the same tree, and removes those of trees that
/// do not exist any more.
///
/// # Errors
/// The cache cannot be written; the run itself is not affected.
pub(crate) fn store(cache: &Path, tree: &Path, report: &Report) -> Result<()> {
    let directory = run_dir(cache, tree);
    fs::create_dir_all(&directory).with_path("cannot create", &directory)?;
    // A reader, and a concurrent run, see the complete new report or the old one.
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        atomic_file::write(&path, bytes).with_path("cannot write", &path)
    };
    // One after the other: a report of 15,000 findings takes 60 MiB while it is rendered.
    for format in FileFormat::ALL {
        write(format.file_name(), format.render(report).as_bytes())?;
    }
    write(TREE, tree.as_os_str().as_encoded_bytes())?;
    remove_old_entries(&cache.join(RUNS), |run| {
        bounded_file::read(&run.join(TREE), libc::PATH_MAX as u64)
            .is_ok_and(|tree| matches!(Path::new(OsStr::from_bytes(&tree)).try_exists(), Ok(false)))
    });
    Ok(())
}

/// Reads the last run of a tree. `verify` is the command that stores one.
pub(crate) fn load(cache: &Path, tree: &Path, format: FileFormat, verify: &str) -> Result<String> {
    let path = run_dir(cache, tree).join(format.file_name());
    let bytes = match bounded_file::read(&path, MAX_REPORT) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::failed(format!("no stored report of {}", tree.display()))
                .with_cause(format!("{} does not exist", path.display()))
                .with_hint(verify));
        }
        bytes => bytes.with_path("cannot read", &path)?,
    };
    // A truncated file does not have the end of its format.
    let is_whole = |text: &String| match format {
        FileFormat::Markdown => text.starts_with("## ") && text.ends_with('\n'),
        FileFormat::Html => text.ends_with("</html>\n"),
        FileFormat::Json => text.ends_with("}\n"),
    };
    String::from_utf8(bytes).ok().filter(is_whole).ok_or_else(|| corrupt_error(&path, verify))
}

/// Reads the JSON document of the last run of a tree, as [`load`].
pub(crate) fn load_document(cache: &Path, tree: &Path, verify: &str) -> Result<serde_json::Value> {
    let text = load(cache, tree, FileFormat::Json, verify)?;
    let path = run_dir(cache, tree).join(FileFormat::Json.file_name());
    serde_json::from_str(&text).map_err(|error| corrupt_error(&path, verify).with_cause(error))
}

fn corrupt_error(path: &Path, verify: &str) -> Error {
    Error::failed(format!("the stored report {} is corrupt", path.display())).with_hint(verify)
}

/// The directory of a tree's last run, by the digest of its path.
fn run_dir(cache: &Path, tree: &Path) -> PathBuf {
    let digest = Digest::sha256(tree.as_os_str().as_encoded_bytes()).hex();
    cache.join(RUNS).join(&digest[..16])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::report::fixtures;

    #[test]
    fn last_runs_are_stored_per_tree() {
        let cache = tempfile::tempdir().unwrap();
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        store(cache.path(), one.path(), &fixtures::smoketest()).unwrap();
        store(cache.path(), one.path(), &fixtures::bump()).unwrap();
        let text = load(cache.path(), one.path(), FileFormat::Markdown, "verify").unwrap();
        assert_eq!(text, markdown::render(&fixtures::bump()));
        let error = load(cache.path(), other.path(), FileFormat::Html, "verify").unwrap_err();
        assert!(error.message.contains(&other.path().display().to_string()), "{error}");
        let files = fs::read_dir(run_dir(cache.path(), one.path())).unwrap().count();
        assert_eq!(files, FileFormat::ALL.len() + 1);
    }

    #[test]
    fn runs_of_removed_trees_and_old_runs_are_pruned() {
        let cache = tempfile::tempdir().unwrap();
        let trees = [(); 4].map(|()| tempfile::tempdir().unwrap());
        let [kept, removed, old, last] = trees.each_ref().map(tempfile::TempDir::path);
        for tree in [kept, removed, old] {
            store(cache.path(), tree, &fixtures::bump()).unwrap();
        }
        fs::remove_dir(removed).unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(31 * 24 * 3600);
        fs::File::open(run_dir(cache.path(), old)).unwrap().set_modified(long_ago).unwrap();
        store(cache.path(), last, &fixtures::bump()).unwrap();
        let is_stored = [kept, removed, old, last]
            .map(|tree| load(cache.path(), tree, FileFormat::Html, "verify").is_ok());
        assert_eq!(is_stored, [true, false, false, true]);
    }

    #[test]
    fn extension_selects_the_format() {
        let format = |name: &str| FileFormat::from_path(Path::new(name)).ok();
        assert_eq!(format("a.md"), Some(FileFormat::Markdown));
        assert_eq!(format("a.html"), Some(FileFormat::Html));
        assert_eq!([format("a.json"), format("a"), format(".md")], [None; 3]);
    }

    #[test]
    fn corrupt_run_is_an_error() {
        let (cache, tree) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        store(cache.path(), tree.path(), &fixtures::bump()).unwrap();
        assert_eq!(load_document(cache.path(), tree.path(), "verify").unwrap()["command"], "bump-coreos");
        for format in FileFormat::ALL {
            let file = run_dir(cache.path(), tree.path()).join(format.file_name());
            let whole = fs::read(&file).unwrap();
            for bytes in [&whole[..whole.len() / 2], b"", b"\xff\xfe"] {
                fs::write(&file, bytes).unwrap();
                let error = load(cache.path(), tree.path(), format, "verify").unwrap_err();
                assert!(error.message.contains("is corrupt") && error.hint.is_some(), "{error}");
            }
        }
        let file = run_dir(cache.path(), tree.path()).join("report.json");
        fs::write(file, "{ \"command\": }\n").unwrap();
        assert!(load_document(cache.path(), tree.path(), "verify").is_err());
    }
}
