//! What a tree's links point to is written where it lies, and nothing outside the tree is.

use std::fs;
use std::os::unix::fs::symlink;

use manifest::plan::sources::COMMON_MK;

use crate::scene::{SYSTEMD, Scene, is_link};

const FLAVOR: &str = "stage1/usr_from_coreos";

#[test]
fn a_linked_common_mk_is_edited_at_its_real_path() {
    for real in ["stage1/real.mk", "shared.mk"] {
        let scene = Scene::new();
        let (link, real_path) = (scene.tree().join(COMMON_MK), scene.tree().join(real));
        fs::rename(&link, &real_path).unwrap();
        symlink(&real_path, &link).unwrap();
        let (told, code) = scene.json("bump-coreos 1032.0.0 --image 1032.0.0");
        assert_eq!(code, 0, "{:#}", told["error"]);
        let edited: Vec<&str> =
            told["edits"].as_array().unwrap().iter().filter_map(|edit| edit["file"].as_str()).collect();
        assert_eq!(edited, [real, SYSTEMD]);
        assert!(is_link(&link));
        assert!(String::from_utf8(scene.read(real)).unwrap().contains("CCN_IMG_RELEASE := 1032.0.0"));
        let reasons = String::from_utf8(scene.run("report").stdout).unwrap();
        assert!(reasons.contains(&format!("+++ b/{real}")), "{reasons}");
    }
}

#[test]
fn a_linked_flavor_is_edited_where_it_lies_and_committed_there() {
    let scene = Scene::new();
    let tree = scene.tree();
    fs::rename(tree.join(FLAVOR), tree.join("stage1/real")).unwrap();
    symlink("real", tree.join(FLAVOR)).unwrap();
    let git = |line: &str| {
        let mut git = std::process::Command::new("git");
        let done = git.arg("-C").arg(&tree).args(line.split(' ')).output().unwrap();
        assert!(done.status.success(), "git {line}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
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
    let (told, code) = scene.json("bump-coreos 1032.0.0 --image 1032.0.0 --commit");
    assert_eq!(code, 0, "{:#}", told["error"]);
    assert_eq!(git("status --porcelain"), "");
    assert_eq!(
        git("show --format= --name-only HEAD"),
        "stage1/real/coreos-common.mk\nstage1/real/manifest-amd64-usr.d/systemd.manifest\n"
    );
}

#[test]
fn a_common_mk_outside_the_tree_is_read_and_never_written() {
    let scene = Scene::new();
    let (link, outside) = (scene.tree().join(COMMON_MK), scene.home().join("outside.mk"));
    fs::rename(&link, &outside).unwrap();
    symlink(&outside, &link).unwrap();
    let before = fs::read(&outside).unwrap();
    let (told, code) = scene.json("bump-coreos 1032.0.0 --image 1032.0.0");
    assert_eq!(code, 2);
    assert!(
        told["error"]["message"].as_str().unwrap().contains("a link to a place outside the tree"),
        "{told:#}"
    );
    assert_eq!(fs::read(&outside).unwrap(), before);
    assert_eq!(scene.json("verify-manifests --image 991.0.0").1, 0);
}
