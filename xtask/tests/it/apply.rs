//! Atomic writes with real processes: killed at random times, killed or failed at each writing system call,
//! interrupted by signals, and run concurrently. Also writes to trees with symlinks.
//!
//! The writing process is this test binary, which runs only [`child::child_writes_the_plan`].

mod child;
mod kill;
mod links;
mod strace;
mod tool;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use manifest::plan::edit_plan::EditPlan;
use manifest::stage1_sources::{COMMON_MK, Stage1Sources};
use xtask::repo::Repo;

const KVM: &str = "stage1/usr_from_kvm/manifest-amd64-usr.d";
const COREOS: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d";

/// A tree of six files and a symlink, and its contents before and after the plan of [`plan_for`].
struct Fixture {
    home: tempfile::TempDir,
    before: Files,
    after: Files,
}

/// The system calls in a log of `strace -f` that `is_wanted` selects by name and arguments: name, and number in its
/// thread as strace counts them.
fn parse_calls(log: &Path, is_wanted: impl Fn(&str, &str) -> bool) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut found = Vec::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, arguments)) = call.trim_start().split_once('(') else { continue };
        let count = counts.entry((thread.to_owned(), name.to_owned())).or_default();
        *count += 1;
        if is_wanted(name, arguments) {
            found.push((name.to_owned(), *count));
        }
    }
    found
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

impl Fixture {
    fn new() -> Fixture {
        let home = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(home.path()).unwrap();
        for directory in [KVM, COREOS] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::write(root.join(COMMON_MK), "CCN_IMG_RELEASE := 1.0.0\n").unwrap();
        for (directory, name) in
            [(COREOS, "bash"), (COREOS, "journald"), (COREOS, "systemd"), (KVM, "ip"), (KVM, "sshd")]
        {
            let lines: String = (0..150).map(|line| format!("lib64/{name}-{line}.so\n")).collect();
            fs::write(root.join(directory).join(format!("{name}.manifest")), lines).unwrap();
        }
        let target = "../../usr_from_coreos/manifest-amd64-usr.d/bash.manifest";
        std::os::unix::fs::symlink(target, root.join(KVM).join("bash.manifest")).unwrap();
        let plan = plan_for(&root);
        assert_eq!(plan.edits.len(), 6);
        let before = read_files(&root);
        let mut after = before.clone();
        for edit in plan.edits {
            after.insert(root.join(edit.path), edit.after);
        }
        let bash = after[&root.join(COREOS).join("bash.manifest")].clone();
        after.insert(root.join(KVM).join("bash.manifest"), bash);
        Fixture { home, before, after }
    }

    fn root(&self) -> &Path {
        self.home.path()
    }

    /// `before` or `after`. Fails with the differing files if the tree is neither.
    fn state(&self) -> Result<&'static str, String> {
        let files = read_files(self.root());
        if files == self.before {
            Ok("before")
        } else if files == self.after {
            Ok("after")
        } else {
            let names = files.keys().filter(|name| files.get(*name) != self.before.get(*name));
            Err(format!("neither before nor after: {:?}", names.collect::<Vec<_>>()))
        }
    }

    fn has_staging(&self) -> bool {
        self.root().join(".xtask-staging").exists()
    }

    /// Recovers as the next command does. The tree must then be complete, without a staging directory.
    fn recover(&self, when: &str) -> &'static str {
        tree(self.root()).recover_and_read().unwrap_or_else(|error| panic!("{when}: {error}"));
        assert!(!self.has_staging(), "{when}: the staging directory is left");
        self.state().unwrap_or_else(|wrong| panic!("{when}: {wrong}"))
    }
}

fn tree(root: &Path) -> Repo {
    Repo::find(Some(root), Path::new("/")).unwrap()
}

/// A plan that changes each file of the tree.
fn plan_for(root: &Path) -> EditPlan {
    let before = tree(root).recover_and_read().unwrap().sources;
    let mut after: Stage1Sources = before.clone();
    after.common_mk = b"CCN_IMG_RELEASE := 2.0.0\n".to_vec();
    after.manifests.values_mut().for_each(|bytes| bytes.extend(b"lib64/libpam.so.0\n"));
    EditPlan::between(&before, &after)
}

/// All files below a directory except the staging directory; symlinks are followed.
fn read_files(directory: &Path) -> Files {
    let mut files = Files::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = fs::canonicalize(directory).unwrap().join(entry.unwrap().file_name());
        if path.ends_with(".xtask-staging") {
            continue;
        }
        if path.is_dir() {
            files.extend(read_files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            files.insert(path, bytes);
        }
    }
    files
}
