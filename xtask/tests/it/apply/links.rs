//! Symlinks of a tree: targets are written at their real path, and never outside the tree.

use std::fs;
use std::os::unix::fs::symlink;

use manifest::stage1_sources::COMMON_MK;

use crate::scene::{SYSTEMD, Scene, is_link};

const FLAVOR: &str = "stage1/usr_from_coreos";

#[test]
fn linked_common_mk_is_edited_at_its_real_path() {
    for real in ["stage1/real.mk", "shared.mk"] {
        let scene = Scene::new();
        let (link, real_path) = (scene.tree().join(COMMON_MK), scene.tree().join(real));
        fs::rename(&link, &real_path).unwrap();
        symlink(&real_path, &link).unwrap();
        let (document, code) = scene.json("bump-coreos 1032.0.0 --image 1032.0.0");
        assert_eq!(code, 0, "{:#}", document["error"]);
        let edited: Vec<&str> =
            document["edits"].as_array().unwrap().iter().filter_map(|edit| edit["file"].as_str()).collect();
        assert_eq!(edited, [real, SYSTEMD]);
        assert!(is_link(&link));
        assert!(String::from_utf8(scene.read(real)).unwrap().contains("CCN_IMG_RELEASE := 1032.0.0"));
        let reasons = String::from_utf8(scene.run("report").stdout).unwrap();
        assert!(reasons.contains(&format!("+++ b/{real}")), "{reasons}");
    }
}

#[test]
fn linked_flavor_is_edited_and_committed_at_its_path() {
    let scene = Scene::new();
    let tree = scene.tree();
    fs::rename(tree.join(FLAVOR), tree.join("stage1/real")).unwrap();
    symlink("real", tree.join(FLAVOR)).unwrap();
    let git = |line: &str| {
        let mut git = std::process::Command::new("git");
        let output = git.arg("-C").arg(&tree).args(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "git {line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for line in [
        "init --quiet",
        "config user.name N",
        "config user.email n@example.org",
        "config commit.gpgsign false",
    ] {
        git(line);
    }
    git("add .");
    git("commit --quiet -m first");
    let (document, code) = scene.json("bump-coreos 1032.0.0 --image 1032.0.0 --commit");
    assert_eq!(code, 0, "{:#}", document["error"]);
    assert_eq!(git("status --porcelain"), "");
    assert_eq!(
        git("show --format= --name-only HEAD"),
        "stage1/real/coreos-common.mk\nstage1/real/manifest-amd64-usr.d/systemd.manifest\n"
    );
}

#[test]
fn common_mk_outside_the_tree_is_never_written() {
    let scene = Scene::new();
    let (link, outside) = (scene.tree().join(COMMON_MK), scene.home().join("outside.mk"));
    fs::rename(&link, &outside).unwrap();
    symlink(&outside, &link).unwrap();
    let before = fs::read(&outside).unwrap();
    let (document, code) = scene.json("bump-coreos 1032.0.0 --image 1032.0.0");
    assert_eq!(code, 2);
    assert!(
        document["error"]["message"].as_str().unwrap().contains("a link to a place outside the tree"),
        "{document:#}"
    );
    assert_eq!(fs::read(&outside).unwrap(), before);
    assert_eq!(scene.json("verify-manifests --image 991.0.0").1, 0);
}
