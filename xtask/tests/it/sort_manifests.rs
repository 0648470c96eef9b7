//! `sort-manifests` on a tree on disk.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::scene::Scene;

fn xtask(tree: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("--repo").arg(tree).args(arguments).output().unwrap()
}

#[test]
fn linked_directory_has_no_manifest_links() {
    let scene = Scene::new();
    let flavor = scene.tree().join("stage1/usr_from_coreos");
    fs::rename(&flavor, scene.tree().join("stage1/real")).unwrap();
    std::os::unix::fs::symlink("real", &flavor).unwrap();
    let systemd = "stage1/real/manifest-amd64-usr.d/systemd.manifest";
    let sorted = scene.read(systemd);
    let mut lines: Vec<&[u8]> = sorted.split_inclusive(|byte| *byte == b'\n').collect();
    lines.rotate_right(1);
    scene.put(systemd, &lines.concat());
    let (document, code) = scene.json("sort-manifests");
    assert_eq!((code, &document["edits"][0]["file"]), (0, &systemd.into()), "{document:#}");
    assert_eq!(scene.read(systemd), sorted);
}

#[test]
fn unsorted_file_gets_byte_order_and_sorted_is_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path();
    let coreos = tree.join("stage1/usr_from_coreos");
    let manifests = coreos.join("manifest-amd64-usr.d");
    let kvm = tree.join("stage1/usr_from_kvm/manifest-amd64-usr.d");
    fs::create_dir_all(&manifests).unwrap();
    fs::create_dir_all(&kvm).unwrap();
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../stage1/usr_from_coreos/coreos-common.mk"),
        coreos.join("coreos-common.mk"),
    )
    .unwrap();
    let en_us = "lib64/libcryptsetup.so\nlib64/libc.so.6";
    fs::write(manifests.join("en-us.manifest"), en_us).unwrap();
    fs::write(manifests.join("odd.manifest"), "lib64/b\n\nlib64/a\nlib64/b\n").unwrap();
    std::os::unix::fs::symlink(
        "../../usr_from_coreos/manifest-amd64-usr.d/odd.manifest",
        kvm.join("odd.manifest"),
    )
    .unwrap();
    let read = |name: &str| fs::read_to_string(manifests.join(name)).unwrap();

    let checked = xtask(tree, &["sort-manifests", "--check"]);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    assert_eq!(read("odd.manifest"), "lib64/b\n\nlib64/a\nlib64/b\n");

    let json = xtask(tree, &["--format", "json", "sort-manifests"]);
    assert_eq!(json.status.code(), Some(0), "{json:?}");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["edits"].as_array().unwrap().len(), 1);
    assert_eq!(read("odd.manifest"), "lib64/a\nlib64/b\n");
    assert_eq!(read("en-us.manifest"), en_us);
    assert!(fs::symlink_metadata(kvm.join("odd.manifest")).unwrap().is_symlink());

    assert_eq!(xtask(tree, &["sort-manifests", "--check"]).status.code(), Some(0));
}
