//! A scratch copy of a tree, from which lines are removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use crate::signals::TempPath;
use coreos_types::error::{Result, ResultExt};
use manifest::plan::stage1_sources::Stage1Sources;
use manifest::unneeded::UnneededLine;
use usr::lossless_text;

/// The copy; the directory is removed at the end.
pub(super) struct TreeCopy<'a> {
    directory: TempPath,
    sources: &'a Stage1Sources,
}

impl<'a> TreeCopy<'a> {
    /// Copies a tree into the system's temporary directory, without earlier builds and git's files.
    pub(super) fn new(root: &Path, sources: &'a Stage1Sources) -> Result<TreeCopy<'a>> {
        let path = std::env::temp_dir().join(format!("coreos-xtask-unneeded-{}", std::process::id()));
        let mut new = fs::DirBuilder::new();
        new.mode(0o700).create(&path).with_path("cannot create", &path)?;
        let copy = TreeCopy { directory: TempPath::new(path), sources };
        copy_directory(root, &copy.path(), true)?;
        Ok(copy)
    }

    /// The root of the copy.
    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("tree")
    }

    /// Writes the manifests without these lines.
    pub(super) fn remove(&self, lines: &[&UnneededLine]) -> Result<()> {
        let mut by_file: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for line in lines {
            by_file.entry(&line.file).or_default().insert(&line.path);
        }
        for (file, bytes) in &self.sources.manifests {
            let removed = by_file.get(file.as_str()).cloned().unwrap_or_default();
            let text = lossless_text::from_bytes(bytes);
            let kept: String = text
                .split_inclusive('\n')
                .filter(|line| !removed.contains(line.trim_end_matches('\n')))
                .collect();
            let path = self.path().join(file);
            fs::write(&path, lossless_text::to_bytes(&kept)).with_path("cannot write", &path)?;
        }
        Ok(())
    }
}

fn copy_directory(from: &Path, to: &Path, is_root: bool) -> Result<()> {
    let about = || format!("cannot copy {}", from.display());
    fs::create_dir_all(to).with_context(about)?;
    for entry in fs::read_dir(from).with_context(about)? {
        let entry = entry.with_context(about)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_left_out = name == ".git" || name == "target" && is_root || name.starts_with("build-");
        let kind = entry.file_type().with_context(about)?;
        if kind.is_symlink() {
            let link = fs::read_link(&source).with_context(about)?;
            symlink(link, &target).with_context(about)?;
        } else if kind.is_dir() && !is_left_out {
            copy_directory(&source, &target, false)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).with_context(about)?;
        }
    }
    Ok(())
}
