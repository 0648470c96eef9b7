//! Diffs printed without a terminal apply with git and patch(1), and give the files that the command writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use manifest::stage1_sources::COMMON_MK;

use crate::scene::{SYSTEMD, Scene};

const BUMP: &str = "bump-coreos 1032.0.0 --image 1032.0.0 --drop-missing";
const FIX: &str = "verify-manifests --fix --image 991.0.0 --drop-missing";

/// Edits before the run: manifests as editors and people write them.
type Change = (&'static str, &'static str, fn(&Scene));

const CHANGES: &[Change] = &[
    ("the guide's tree", BUMP, |_| {}),
    ("CRLF", BUMP, |scene| edit(scene, |text| replace(text, b"\n", b"\r\n"))),
    ("CRLF", FIX, |scene| {
        edit(scene, |text| replace(&replace(text, b"libz.so.1.2.8", b"libz.so.1.2.7"), b"\n", b"\r\n"))
    }),
    ("a byte-order mark", FIX, |scene| edit(scene, |text| [b"\xef\xbb\xbf", text].concat())),
    ("a byte-order mark in coreos-common.mk", BUMP, |scene| {
        scene.put(COMMON_MK, &[b"\xef\xbb\xbf", &scene.read(COMMON_MK)[..]].concat());
    }),
    ("no line feed at the end", FIX, |scene| edit(scene, |text| [text, b"lib64/libgone.so.1"].concat())),
    ("bytes that are no UTF-8", FIX, |scene| {
        edit(scene, |text| [text, b"lib64/libgone-\xe9.so.1\n"].concat())
    }),
    ("a line that looks like a header", FIX, |scene| {
        edit(scene, |text| [b"-- a/x\n++ b/x\n", text].concat())
    }),
    ("duplicates", FIX, |scene| edit(scene, |text| [text, b"bin/bash\n\nbin/bash\n"].concat())),
    ("a blank in the name", FIX, |scene| add(scene, "a b.manifest")),
    ("a quote and a tab in the name", FIX, |scene| add(scene, "a\"\tb.manifest")),
    ("letters beyond ASCII in the name", FIX, |scene| add(scene, "caf\u{e9}.manifest")),
];

fn edit(scene: &Scene, change: impl Fn(&[u8]) -> Vec<u8>) {
    scene.put(SYSTEMD, &change(&scene.read(SYSTEMD)));
}

fn add(scene: &Scene, name: &str) {
    scene
        .put(&format!("stage1/usr_from_coreos/manifest-amd64-usr.d/{name}"), b"lib64/libgone.so.1\nbin/ls\n");
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|part| part == from) {
        out.extend([&rest[..at], to].concat());
        rest = &rest[at + from.len()..];
    }
    [&out[..], rest].concat()
}

/// The files of the tree and their bytes.
fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => directories.push(entry.path()),
                kind if kind.is_file() => {
                    let path = entry.path().strip_prefix(root).unwrap().to_owned();
                    found.push((path, fs::read(entry.path()).unwrap()));
                }
                _ => {}
            }
        }
    }
    found.sort();
    found
}

#[test]
#[ignore = "needs git and patch"]
fn printed_diffs_apply_with_git_and_patch() {
    for (what, line, change) in CHANGES {
        let scene = Scene::new();
        change(&scene);
        let copies = ["git", "patch"].map(|name| scene.home().join(name));
        for copy in &copies {
            assert!(Command::new("cp").arg("-a").arg(scene.tree()).arg(copy).status().unwrap().success());
        }
        let printed = scene.run(&format!("{line} --dry-run"));
        let diff = scene.home().join("diff");
        fs::write(&diff, &printed.stdout).unwrap();
        let written = scene.run(line);
        assert_eq!(printed.status.code(), written.status.code(), "{what}");
        let expected = files(&scene.tree());
        assert_ne!(files(&copies[0]), expected, "{what}: nothing changed");
        let git: [&str; 2] = ["git", "apply"];
        for (copy, command) in copies.iter().zip([&git[..], &["patch", "-s", "-p1", "--binary", "-i"]]) {
            let output =
                Command::new(command[0]).args(&command[1..]).arg(&diff).current_dir(copy).output().unwrap();
            let messages = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&printed.stdout).into_owned();
            assert!(
                output.status.success(),
                "{what}: {command:?}: {}\n{text}",
                String::from_utf8_lossy(&messages)
            );
            assert_eq!(files(copy), expected, "{what}: {command:?}\n{text}");
        }
    }
}
