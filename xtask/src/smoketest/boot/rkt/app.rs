//! An app image (ACI) of the shell of a root filesystem, so that rkt has something to run without a network.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::tar::TarWriter;
use crate::smoketest::rootfs::Rootfs;
use coreos_types::error::{Result, ResultExt};
use coreos_types::release::Board;
use usr::file_info::FileInfo;
use usr::ldso::DynamicLoader;
use usr::path::UsrPath;
use usr::tree::NodeKind;

/// Writes the image to `path`, and returns that path. A dependency of the shell that the root filesystem does not
/// have is missing in the image too: the run then fails with its name.
///
/// # Errors
/// A file cannot be read, or the image cannot be written.
pub(super) fn write(rootfs: &Rootfs, path: &Path) -> Result<PathBuf> {
    let mut tar = TarWriter::default();
    tar.file("manifest", manifest(rootfs.board).to_string().as_bytes(), 0o644);
    let files = files(rootfs);
    let links = rootfs.tree.iter().filter_map(|(path, node)| match &node.kind {
        NodeKind::Symlink(target) => Some((format!("rootfs/usr/{path}"), target.clone())),
        _ => None,
    });
    let mut links: Vec<(String, String)> = links.collect();
    links.extend(["bin", "lib", "lib64"].map(|name| (format!("rootfs/{name}"), format!("usr/{name}"))));
    if rootfs.tree.get("bin/sh").is_none() {
        links.push(("rootfs/usr/bin/sh".to_owned(), "bash".to_owned()));
    }
    let paths = files.iter().map(|path| format!("rootfs/usr/{path}"));
    let mut directories = BTreeSet::new();
    for path in paths.chain(links.iter().map(|(path, _)| path.clone())) {
        directories.extend(path.match_indices('/').map(|(end, _)| path[..end].to_owned()));
    }
    directories.iter().for_each(|directory| tar.directory(directory));
    links.iter().for_each(|(path, target)| tar.symlink(path, target));
    for file in &files {
        let on_disk = rootfs.on_disk(file);
        let bytes = fs::read(&on_disk).with_context(|| format!("cannot read {}", on_disk.display()))?;
        tar.file(&format!("rootfs/usr/{file}"), &bytes, 0o755);
    }
    let _ = fs::remove_file(path);
    fs::write(path, tar.finish()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.to_owned())
}

/// The shell, its loader and its libraries.
fn files(rootfs: &Rootfs) -> BTreeSet<UsrPath> {
    let tree = &rootfs.tree;
    let resolve = |path: &str| tree.resolve(&UsrPath::new(path).ok()?).end.node().cloned();
    let Some(shell) = rootfs.first_of(&["bin/sh", "bin/bash"]).and_then(resolve) else {
        return BTreeSet::new();
    };
    let loader = match tree.file_info(shell.as_str()) {
        Some(FileInfo::Elf(info)) => {
            info.interp.as_deref().and_then(|path| UsrPath::from_rootfs_path(path).ok())
        }
        _ => None,
    };
    let directories = DynamicLoader::systemd_directories(tree);
    let load = DynamicLoader::new(tree, rootfs.board, directories, None).load(&shell);
    let objects = load.objects.into_iter().map(|object| object.path);
    let files = objects.chain(loader).filter_map(|path| resolve(path.as_str())).chain([shell]);
    files.filter(|path| tree.file_info(path.as_str()).is_some()).collect()
}

/// The manifest of the image (App Container specification, "Image Manifest").
fn manifest(board: Board) -> serde_json::Value {
    let arch = match board {
        Board::Amd64 => "amd64",
        Board::Arm64 => "aarch64",
    };
    json!({
        "acKind": "ImageManifest",
        "acVersion": "0.8.11",
        "name": "xtask/smoketest",
        "labels": [{ "name": "os", "value": "linux" }, { "name": "arch", "value": arch }],
        "app": {
            "exec": ["/bin/sh"],
            "user": "0",
            "group": "0",
            "environment": [{ "name": "LD_LIBRARY_PATH", "value": "/usr/lib:/usr/lib64" }],
        },
    })
}
