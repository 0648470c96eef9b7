//! The demo's directory below the system's temporary directory. It is removed when the program ends, however it ends.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::example;
use crate::signals::TempPath;
use crate::trusted_owners::effective_uid;
use coreos_types::{Error, Result, ResultExt};

/// The directory with a copy of the example's tree, its signing key, and a cache.
#[derive(Debug)]
pub struct DemoDir {
    root: TempPath,
    /// The tree, for `--repo`.
    pub tree: PathBuf,
    /// The certificate, for `--signing-key`.
    pub signing_key: PathBuf,
    /// A cache of its own: a demo leaves nothing in the user's.
    pub cache: PathBuf,
}

impl DemoDir {
    /// Writes the tree and the key.
    pub fn make(certificate: &str) -> Result<DemoDir> {
        let root = TempPath::create_dir(DIR_PREFIX)?;
        let [tree, signing_key, cache] =
            ["tree", "signing-key.asc", "cache"].map(|name| root.path().join(name));
        for (path, content) in example::FILES.into_iter().chain(example::MAKEFILES) {
            write_with_parents(&tree.join(path), |path| fs::write(path, content))?;
        }
        for (path, target) in example::symlinks() {
            write_with_parents(&tree.join(path), |path| symlink(target, path))?;
        }
        write_with_parents(&signing_key, |path| fs::write(path, certificate))?;
        Ok(DemoDir { root, tree, signing_key, cache })
    }

    /// Stores the exports for [`read_served_env`].
    pub fn store_env(&self, exports: &str) -> Result<()> {
        write_with_parents(&self.root.path().join(ENV_FILE), |path| fs::write(path, exports))
    }
}

/// The name of the directory, up to the process ID.
const DIR_PREFIX: &str = "coreos-xtask-demo";
/// The file with the exports, while the demo is served.
const ENV_FILE: &str = "env";

/// The exports of the demo that this user serves now; of several, the last that was started. None is an error.
pub fn read_served_env() -> Result<String> {
    let directories = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    let served = directories.filter_map(|entry| {
        let name = entry.file_name();
        let (process, _) = name.to_str()?.strip_prefix(DIR_PREFIX)?.strip_prefix('-')?.split_once('-')?;
        let metadata = fs::symlink_metadata(entry.path()).ok()?;
        let is_own = metadata.is_dir() && metadata.uid() == effective_uid();
        let is_running = process.parse::<u32>().is_ok() && Path::new("/proc").join(process).is_dir();
        let file = entry.path().join(ENV_FILE);
        let started = fs::metadata(&file).and_then(|file| file.modified()).ok()?;
        (is_own && is_running).then_some((started, file))
    });
    let file = served.max().map(|(_, file)| file).ok_or_else(|| {
        Error::failed("no demo is running").with_hint("in another terminal: cargo xtask demo --serve")
    })?;
    fs::read_to_string(&file).with_path("cannot read", &file)
}

fn write_with_parents(path: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory).and_then(|()| write(path)).with_path("cannot write", path)
}
