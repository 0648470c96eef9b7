//! All or nothing, with real processes: killed at random moments, killed and failed at each system call that
//! writes, interrupted by signals, and two at once. And what it writes where a tree has links.
//!
//! The process that writes is this test binary, which runs [`child::child_writes_the_plan`] alone.

mod child;
mod kill;
mod links;
mod strace;
mod tool;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use manifest::plan::file_edits::EditPlan;
use manifest::plan::sources::{COMMON_MK, Stage1Sources};
use xtask::repo::Repo;

const KVM: &str = "stage1/usr_from_kvm/manifest-amd64-usr.d";
const COREOS: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d";

/// A tree of six files and a symlink, and what it holds before and after the plan of [`plan_of`].
struct Fixture {
    home: tempfile::TempDir,
    before: Files,
    after: Files,
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
        let plan = plan_of(&root);
        assert_eq!(plan.edits.len(), 6);
        let before = files_of(&root);
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

    /// `before` or `after`, or what is wrong.
    fn state(&self) -> Result<&'static str, String> {
        let files = files_of(self.root());
        if files == self.before {
            Ok("before")
        } else if files == self.after {
            Ok("after")
        } else {
            let names = files.keys().filter(|name| files.get(*name) != self.before.get(*name));
            Err(format!("neither before nor after: {:?}", names.collect::<Vec<_>>()))
        }
    }

    fn staging_is_there(&self) -> bool {
        self.root().join(".xtask-staging").exists()
    }

    /// What the next command does first; afterwards the tree must be whole and nothing be left over.
    fn next_command(&self, when: &str) -> &'static str {
        tree(self.root()).read().unwrap_or_else(|error| panic!("{when}: {error}"));
        assert!(!self.staging_is_there(), "{when}: the staging folder is left");
        self.state().unwrap_or_else(|wrong| panic!("{when}: {wrong}"))
    }
}

fn tree(root: &Path) -> Repo {
    Repo::find(Some(root), Path::new("/")).unwrap()
}

/// The plan that changes every file of the tree.
fn plan_of(root: &Path) -> EditPlan {
    let before = tree(root).read().unwrap().sources;
    let mut after: Stage1Sources = before.clone();
    after.common_mk = b"CCN_IMG_RELEASE := 2.0.0\n".to_vec();
    after.manifests.values_mut().for_each(|bytes| bytes.extend(b"lib64/libpam.so.0\n"));
    EditPlan::between(&before, &after)
}

/// Every file below a directory but for the staging directory, symlinks followed.
fn files_of(directory: &Path) -> Files {
    let mut files = Files::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = fs::canonicalize(directory).unwrap().join(entry.unwrap().file_name());
        if path.ends_with(".xtask-staging") {
            continue;
        }
        if path.is_dir() {
            files.extend(files_of(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            files.insert(path, bytes);
        }
    }
    files
}
