//! Releases made by `scripts/make-debian-release.sh`, unpacked with the tools of the guide.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use usr::{Node, NodeKind, UsrPath, UsrTree, file_info, lossless_text};

use super::output;
use crate::e2e::releases;

/// A root filesystem with the `/usr` of one release, and the top-level symlinks of a stage1.
pub(super) struct Release {
    pub(super) name: String,
    root: TempDir,
}

impl Release {
    /// All available releases for amd64.
    pub(super) fn all() -> impl Iterator<Item = Release> {
        let mut found: Vec<PathBuf> = fs::read_dir(releases().join("amd64-usr"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        found.sort();
        assert!(found.len() > 1, "{found:?}");
        found.into_iter().map(|directory| Release::unpack(&directory))
    }

    fn unpack(directory: &Path) -> Release {
        let root = tempfile::tempdir().unwrap();
        let script = "zcat \"$0\"/*_production_pxe_image.cpio.gz | (cd \"$1\" && cpio -id --quiet '*usr.squashfs') && \
                      unsquashfs -q -n -d \"$1/usr\" \"$1/usr.squashfs\" && rm \"$1/usr.squashfs\"";
        output("sh", &["-c", script, directory.to_str().unwrap(), root.path().to_str().unwrap()]);
        for name in ["bin", "lib", "lib64"] {
            symlink(format!("usr/{name}"), root.path().join(name)).unwrap();
        }
        let name = directory.file_name().unwrap().to_str().unwrap().to_owned();
        Release { name, root }
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(super) fn usr(&self) -> PathBuf {
        self.root().join("usr")
    }
}

/// The tree of a `/usr` directory, with the facts of each file that can be a program or library.
pub(super) fn read_tree(usr: &Path) -> UsrTree {
    let mut nodes = Vec::new();
    let mut todo = vec![usr.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).unwrap().flatten() {
            let full = entry.path();
            let below = full.strip_prefix(usr).unwrap();
            let Ok(path) = UsrPath::new(&lossless_text::from_bytes(below.as_os_str().as_bytes())) else {
                continue;
            };
            let Ok(what) = fs::symlink_metadata(&full) else { continue };
            let kind = if what.is_symlink() {
                let target = fs::read_link(&full).unwrap();
                NodeKind::Symlink(lossless_text::from_bytes(target.as_os_str().as_bytes()).into_owned())
            } else if what.is_dir() {
                todo.push(full);
                NodeKind::Directory
            } else if what.is_file() {
                let worth = ["bin", "sbin", "lib", "lib64", "libexec", "opt"]
                    .iter()
                    .any(|top| below.starts_with(top));
                let bytes = if worth { fs::read(&full).unwrap_or_default() } else { Vec::new() };
                NodeKind::file(what.len(), file_info::inspect(&path, &bytes))
            } else {
                NodeKind::Special
            };
            nodes.push((path, Node { mode: (what.permissions().mode() & 0o7777) as u16, kind }));
        }
    }
    UsrTree::from_nodes(nodes)
}
