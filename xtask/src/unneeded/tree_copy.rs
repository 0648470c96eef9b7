//! A scratch copy of a tree, from which lines are removed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::signals::TempPath;
use crate::trusted_owners::is_build_output_or_git;
use coreos_types::{Result, ResultExt};
use manifest::stage1_sources::Stage1Sources;
use manifest::unneeded::UnneededLine;
use usr::lossless_text;

/// The copy; the directory is removed at the end.
pub(super) struct TreeCopy<'a> {
    directory: TempPath,
    sources: &'a Stage1Sources,
}

impl<'a> TreeCopy<'a> {
    /// Copies a tree into the system's temporary directory, without earlier builds and git's files.
    pub(super) fn create(root: &Path, sources: &'a Stage1Sources) -> Result<TreeCopy<'a>> {
        let copy = TreeCopy { directory: TempPath::create_dir("coreos-xtask-unneeded")?, sources };
        copy_directory(root, &copy.path(), true)?;
        Ok(copy)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("tree")
    }

    pub(super) fn write_manifests_without(&self, lines: &[&UnneededLine]) -> Result<()> {
        for (file, bytes) in &self.sources.manifests {
            let is_removed = |text: &str| lines.iter().any(|line| line.file == *file && line.path == text);
            let text = lossless_text::from_bytes(bytes);
            let kept =
                text.split_inclusive('\n').filter(|line| !is_removed(line.trim_end_matches(['\r', '\n'])));
            let kept: String = kept.collect();
            let path = self.path().join(file);
            fs::write(&path, lossless_text::to_bytes(&kept)).with_path("cannot write", &path)?;
        }
        Ok(())
    }
}

fn copy_directory(from: &Path, to: &Path, is_tree_root: bool) -> Result<()> {
    let about = || format!("cannot copy {}", from.display());
    fs::create_dir_all(to).with_context(about)?;
    for entry in fs::read_dir(from).with_context(about)? {
        let entry = entry.with_context(about)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().with_context(about)?;
        if kind.is_symlink() {
            let link = fs::read_link(&source).with_context(about)?;
            symlink(link, &target).with_context(about)?;
        } else if kind.is_dir() && !is_build_output_or_git(&entry.file_name(), is_tree_root) {
            copy_directory(&source, &target, false)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).with_context(about)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use manifest::unneeded::UnneededCategory;

    use super::*;

    #[test]
    fn line_that_ends_in_crlf_is_removed() {
        let file = "systemd.manifest".to_owned();
        let sources = Stage1Sources {
            manifests: [(file.clone(), b"bin/a\r\nbin/b\r\nbin/c\n".to_vec())].into(),
            ..Stage1Sources::default()
        };
        let tree = tempfile::tempdir().unwrap();
        let copy = TreeCopy::create(tree.path(), &sources).unwrap();
        let line = UnneededLine {
            category: UnneededCategory::Libraries,
            file: file.clone(),
            line: 2,
            path: "bin/b".into(),
            resolved_path: "bin/b".into(),
            bytes: 1,
            used_by: Default::default(),
        };
        copy.write_manifests_without(&[&line]).unwrap();
        assert_eq!(fs::read(copy.path().join(file)).unwrap(), b"bin/a\r\nbin/c\n");
    }
}
