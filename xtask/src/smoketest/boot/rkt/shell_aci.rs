//! An app image (ACI) of the shell of a root filesystem, so that rkt has something to run without a network.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::signals::TempPath;
use crate::smoketest::rootfs::{self, Rootfs};
use crate::smoketest::{host, no_follow};
use coreos_types::{Board, Result, ResultExt};
use usr::{DynamicLoader, NodeKind, UsrPath};

/// Writes the image to `path`. A dependency of the shell that the root filesystem does not
/// have is missing in the image too: the run then fails with its name.
pub(super) fn write(rootfs: &Rootfs, path: &Path) -> Result<()> {
    let home = TempPath::register(path.with_extension("files"));
    no_follow::remove_all_if_exists(home.path())?;
    copy_files(rootfs, home.path()).with_path("cannot write", home.path())?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--owner=0", "--group=0", "-C"]).arg(home.path()).args(["manifest", "rootfs"]);
    host::run_into_file(&mut tar, path)
}

/// Copies what the shell needs, and every symlink, to a new directory.
fn copy_files(rootfs: &Rootfs, home: &Path) -> std::io::Result<()> {
    let usr = home.join("rootfs/usr");
    fs::create_dir_all(usr.join("bin"))?;
    fs::write(home.join("manifest"), image_manifest(rootfs.board).to_string())?;
    for name in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), home.join("rootfs").join(name))?;
    }
    let files = shell_with_libraries(rootfs);
    for (path, node) in rootfs.tree.iter() {
        let (here, there) = (rootfs.on_disk(path), usr.join(rootfs::os_path(path)));
        fs::create_dir_all(there.parent().unwrap_or(&usr))?;
        match &node.kind {
            NodeKind::Symlink(_) => symlink(fs::read_link(here)?, there)?,
            _ if files.contains(path) => drop(fs::copy(here, there)?),
            _ => {}
        }
    }
    if rootfs.tree.get("bin/sh").is_none() {
        symlink("bash", usr.join("bin/sh"))?;
    }
    Ok(())
}

fn shell_with_libraries(rootfs: &Rootfs) -> BTreeSet<UsrPath> {
    let shells = ["bin/sh", "bin/bash"];
    let Some(shell) = shells.iter().find_map(|path| rootfs.resolve_file(path)) else {
        return BTreeSet::new();
    };
    let interpreter = rootfs.tree.read_elf_info(&shell).and_then(|info| info.interp.as_deref());
    let loader = interpreter.and_then(|path| UsrPath::from_rootfs_path(path).ok());
    let directories = DynamicLoader::rkt_library_path(&rootfs.tree);
    let load = DynamicLoader::new(&rootfs.tree, rootfs.board, directories, None).load(&shell);
    let objects = load.objects.into_iter().map(|object| object.path);
    let files = objects.chain(loader).filter_map(|path| rootfs.resolve_file(path.as_str()));
    files.chain([shell]).collect()
}

/// The manifest of the image (App Container specification, "Image Manifest").
fn image_manifest(board: Board) -> serde_json::Value {
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
