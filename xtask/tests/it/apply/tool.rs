//! Kills of the tool itself with strace(1): a bump of six files, killed at each call that changes its state.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use manifest::stage1_sources::COMMON_MK;
use xtask::demo::example;

use super::{Files, parse_calls, read_files};
use crate::scene::Scene;

/// System calls that commit and complete a run.
const DECIDING: &str = "mkdir,rename,fsync,unlink,rmdir";

/// The guide's tree, with a defect in each manifest.
struct BumpFixture(Scene);

impl BumpFixture {
    fn new() -> BumpFixture {
        let scene = Scene::new();
        for (path, content) in example::FILES.iter().filter(|(path, _)| path.ends_with(".manifest")) {
            // A duplicate line, so that each manifest has a fix.
            let twice = content.lines().next().map_or(String::new(), |line| format!("{line}\n"));
            scene.put(path, (twice + content).as_bytes());
        }
        BumpFixture(scene)
    }

    fn bump(&self, wrapper: &[&str]) -> Output {
        self.0.command(wrapper, &["bump-coreos", "1032.0.0", "--image", "1032.0.0"]).output().unwrap()
    }

    /// The files of the tree by relative path.
    fn files(&self) -> Files {
        let tree = self.0.tree();
        let inside = |path: &Path| path.strip_prefix(&tree).unwrap().to_owned();
        read_files(&tree).into_iter().map(|(path, bytes)| (inside(&path), bytes)).collect()
    }
}

/// The calls of [`DECIDING`] in a whole run that change the tree: name, and number in its thread.
fn calls(bump: &BumpFixture) -> Vec<(String, usize)> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let (trace, path) = (format!("trace={DECIDING}"), log.path().to_str().unwrap().to_owned());
    let output = bump.bump(&["strace", "-f", "-y", "-o", &path, "-e", &trace]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = bump.0.tree().display().to_string();
    let found = parse_calls(log.path(), |_, arguments| arguments.contains(&tree));
    assert!(found.len() > 30, "{found:?}");
    found
}

#[test]
#[ignore = "needs strace"]
fn bump_killed_at_any_call_leaves_a_whole_tree() {
    let fixture = BumpFixture::new();
    let before = fixture.files();
    let calls = calls(&fixture);
    let after = fixture.files();
    assert_eq!(
        before.iter().filter(|(path, bytes)| after[*path] != **bytes).count(),
        6 + 3,
        "three by links"
    );
    assert_ne!(before[Path::new(COMMON_MK)], after[Path::new(COMMON_MK)]);
    let mut outcomes = BTreeMap::new();
    for (name, number) in calls {
        for what in ["signal=KILL", "error=EIO", "error=ENOSPC"] {
            let bump = BumpFixture::new();
            let when = format!("{name} number {number} gets {what}");
            let (trace, inject) =
                (format!("trace={DECIDING}"), format!("inject={name}:{what}:when={number}"));
            let output = bump.bump(&["strace", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject]);
            let is_partial = !what.contains("KILL") && bump.files() != before && bump.files() != after;
            assert!(!is_partial, "{when}");
            let next = bump.0.run("sort-manifests --check");
            assert!(
                next.status.code().is_some_and(|code| code < 2),
                "{when}: {}",
                String::from_utf8_lossy(&next.stderr)
            );
            let state = match bump.files() {
                files if files == before => "before",
                files if files == after => "after",
                _ => panic!("{when}: the tree is partially written"),
            };
            assert!(!bump.0.tree().join(".xtask-staging").exists(), "{when}");
            // And the next run just works.
            assert_eq!(bump.bump(&[]).status.code(), Some(0), "{when}");
            assert_eq!(bump.files(), after, "{when}");
            *outcomes.entry((what, output.status.code(), state)).or_insert(0) += 1;
        }
    }
    eprintln!("killed at each state-changing call of a bump: {outcomes:?}");
}
