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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use release_fixture::elf::ElfStub;

    use super::*;

    #[test]
    fn image_has_the_shell_with_what_it_loads() {
        let home = tempfile::tempdir().unwrap();
        let usr = home.path().join("usr");
        for directory in ["bin", "lib64"] {
            fs::create_dir_all(usr.join(directory)).unwrap();
        }
        let library = |name| ElfStub::library(Board::Amd64, name);
        for (path, elf) in [
            ("bin/bash", ElfStub::program(Board::Amd64).needs(["libtinfo.so.6"])),
            ("bin/other", ElfStub::program(Board::Amd64).needs(["libother.so.1"])),
            ("lib64/libtinfo.so.6.4", library("libtinfo.so.6").needs(["libc.so.6"])),
            ("lib64/libc.so.6", library("libc.so.6")),
            ("lib64/libother.so.1", library("libother.so.1")),
            ("lib64/ld-linux-x86-64.so.2", library("ld-linux-x86-64.so.2")),
        ] {
            fs::write(usr.join(path), elf.bytes()).unwrap();
        }
        for (target, link) in
            [("lib64", "lib"), ("bash", "bin/sh"), ("libtinfo.so.6.4", "lib64/libtinfo.so.6")]
        {
            symlink(target, usr.join(link)).unwrap();
        }
        let image = home.path().join("shell.aci");
        write(&Rootfs::read(home.path()).unwrap(), &image).unwrap();
        let listed = Command::new("tar").arg("--list").arg("--file").arg(&image).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let mut files: Vec<&str> = listed.lines().filter(|name| !name.ends_with('/')).collect();
        files.sort_unstable();
        assert_eq!(
            files,
            [
                "manifest",
                "rootfs/bin",
                "rootfs/lib",
                "rootfs/lib64",
                "rootfs/usr/bin/bash",
                "rootfs/usr/bin/sh",
                "rootfs/usr/lib",
                "rootfs/usr/lib64/ld-linux-x86-64.so.2",
                "rootfs/usr/lib64/libc.so.6",
                "rootfs/usr/lib64/libtinfo.so.6",
                "rootfs/usr/lib64/libtinfo.so.6.4",
            ]
        );
        assert!(!home.path().join("shell.files").exists());
    }
}
