//! Atomicity: each system call fails in turn, then each pair of calls, then the process dies at each call.

#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

mod untrusted_journal;

use super::*;
use manifest::stage1_sources::{COMMON_MK, Stage1Sources};

/// The system calls that fail, counted from 1.
#[derive(Debug, Default)]
pub(super) struct FailPoint {
    at: Vec<usize>,
    /// The first of the calls that all fail, as in a process that was killed.
    dead_from: Option<usize>,
    calls: Cell<usize>,
}

thread_local! {
    static FAIL_POINT: RefCell<FailPoint> = RefCell::default();
}

impl FailPoint {
    /// Runs `work` with failing calls on this thread; returns its result and the number of calls.
    fn run<T>(self, work: impl FnOnce() -> T) -> (T, usize) {
        FAIL_POINT.set(self);
        let done = work();
        (done, FAIL_POINT.take().calls.get())
    }

    /// Counts a call, and fails if it is one of those that fail.
    pub(super) fn check() -> io::Result<()> {
        FAIL_POINT.with_borrow(FailPoint::count)
    }

    fn count(&self) -> io::Result<()> {
        let call = self.calls.get() + 1;
        self.calls.set(call);
        if self.at.contains(&call) || self.dead_from.is_some_and(|from| call >= from) {
            const ENOSPC: i32 = 28;
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        Ok(())
    }
}

const KVM: &str = "stage1/usr_from_kvm/manifest-amd64-usr.d";
const COREOS: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d";

/// A tree of six files and a symlink, and the plan that changes all six.
struct Fixture {
    home: tempfile::TempDir,
    plan: EditPlan,
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

impl Fixture {
    fn new() -> Fixture {
        // In memory if possible: these tests write and sync a few thousand trees.
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let root = home.path();
        for directory in [KVM, COREOS] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::write(root.join(COMMON_MK), "CCN_IMG_RELEASE := 1.0.0\n").unwrap();
        for name in ["bash", "journald", "systemd"] {
            fs::write(root.join(COREOS).join(format!("{name}.manifest")), format!("bin/{name}\n")).unwrap();
        }
        for name in ["ip", "sshd"] {
            fs::write(root.join(KVM).join(format!("{name}.manifest")), format!("bin/{name}\n")).unwrap();
        }
        symlink(
            "../../usr_from_coreos/manifest-amd64-usr.d/bash.manifest",
            root.join(KVM).join("bash.manifest"),
        )
        .unwrap();
        let before = tree(root).recover_and_read().unwrap().sources;
        let plan = EditPlan::between(&before, &changed(&before));
        assert_eq!(plan.edits.len(), 6);
        Fixture { home, plan }
    }

    fn root(&self) -> &Path {
        self.home.path()
    }

    fn apply(&self, fail_point: FailPoint) -> (Result<()>, usize) {
        fail_point.run(|| apply(&tree(self.root()), &self.plan))
    }

    /// Every file below the root except the staging directory.
    fn files(&self) -> Files {
        let mut files = Files::new();
        collect(self.root(), &mut files);
        files
    }

    fn expected(&self, side: fn(&manifest::plan::edit_plan::FileEdit) -> &[u8]) -> Files {
        let mut files: Files =
            self.plan.edits.iter().map(|edit| (self.root().join(&edit.path), side(edit).to_vec())).collect();
        let bash = files[&self.root().join(COREOS).join("bash.manifest")].clone();
        files.insert(self.root().join(KVM).join("bash.manifest"), bash);
        files
    }

    fn is_before(&self) -> bool {
        self.files() == self.expected(|edit| &edit.before)
    }

    fn is_after(&self) -> bool {
        self.files() == self.expected(|edit| &edit.after)
    }

    fn has_staging(&self) -> bool {
        self.root().join(".xtask-staging").exists()
    }

    fn recover(&self) -> Result<Option<String>> {
        recover(self.root())
    }
}

fn tree(root: &Path) -> Repo {
    Repo::find(Some(root), Path::new("/")).unwrap()
}

fn changed(before: &Stage1Sources) -> Stage1Sources {
    let mut after = before.clone();
    after.common_mk = b"CCN_IMG_RELEASE := 2.0.0\n".to_vec();
    after.manifests.values_mut().for_each(|bytes| bytes.extend(b"lib64/libpam.so.0\n"));
    after
}

fn collect(directory: &Path, files: &mut Files) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with(".xtask-staging") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)
        } else {
            drop(files.insert(path.clone(), fs::read(&path).unwrap()))
        }
    }
}

#[test]
fn plan_is_written_and_staging_is_removed() {
    let fixture = Fixture::new();
    let link = fixture.root().join(KVM).join("bash.manifest");
    let systemd = fixture.root().join(COREOS).join("systemd.manifest");
    fs::set_permissions(&systemd, fs::Permissions::from_mode(0o664)).unwrap();
    let (done, calls) = fixture.apply(FailPoint::default());
    done.unwrap();
    assert!(calls > 60, "{calls}");
    assert!(fixture.is_after() && !fixture.has_staging());
    assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    assert_eq!(fs::metadata(systemd).unwrap().mode() & 0o7777, 0o664);
    // The same plan is refused now: the files differ from its old content.
    let again = fixture.apply(FailPoint::default()).0.unwrap_err();
    assert!(again.message.contains("changed by another program"), "{again}");
}

#[test]
fn failed_call_leaves_the_tree_consistent() {
    let (_, calls) = Fixture::new().apply(FailPoint::default());
    let mut failed = 0;
    for at in 1..=calls {
        let fixture = Fixture::new();
        let (done, _) = fixture.apply(FailPoint { at: vec![at], ..FailPoint::default() });
        match &done {
            Ok(()) => assert!(fixture.is_after(), "call {at}"),
            Err(error) => {
                failed += 1;
                assert!(fixture.is_before() && !fixture.has_staging(), "call {at}: {error}");
                assert!(error.to_string().contains("No space left"), "{error}");
            }
        }
        fixture.recover().unwrap();
        assert!(!fixture.has_staging(), "call {at}");
    }
    assert!(failed > 50, "{failed}");
}

#[test]
fn two_failed_calls_leave_a_recoverable_tree() {
    let (_, calls) = Fixture::new().apply(FailPoint::default());
    for first in 1..=calls {
        for second in (first + 1..first + 24).step_by(1 + first % 2) {
            let fixture = Fixture::new();
            let (done, _) = fixture.apply(FailPoint { at: vec![first, second], ..FailPoint::default() });
            let whole = fixture.is_before() || fixture.is_after();
            let message = done.is_err_and(|error| error.to_string().contains("the next command"));
            assert!(whole || message, "calls {first} and {second}");
            fixture.recover().unwrap();
            assert!(fixture.is_before() || fixture.is_after(), "calls {first} and {second}");
            assert!(!fixture.has_staging(), "calls {first} and {second}");
        }
    }
}

#[test]
fn killed_run_is_completed_by_the_next() {
    let (_, calls) = Fixture::new().apply(FailPoint::default());
    let mut torn = 0;
    for dead_from in 1..=calls {
        let fixture = Fixture::new();
        let _dead = fixture.apply(FailPoint { dead_from: Some(dead_from), ..FailPoint::default() });
        let whole = fixture.is_before() || fixture.is_after();
        let message = fixture.recover().unwrap();
        assert!(whole || message.is_some(), "call {dead_from}");
        torn += usize::from(!whole);
        assert!(fixture.is_before() || fixture.is_after(), "call {dead_from}");
        assert!(!fixture.has_staging(), "call {dead_from}");
        assert_eq!(fixture.recover().unwrap(), None);
    }
    assert_eq!(torn, 5, "between the first and the last of six renames");
}

#[test]
fn killed_recovery_is_completed_by_the_next_run() {
    for dead_from in 1..40 {
        let fixture = Fixture::new();
        let (_, calls) = Fixture::new().apply(FailPoint::default());
        // The six renames precede three syncs and the removal of ten names.
        let _dead = fixture.apply(FailPoint { dead_from: Some(calls - 15), ..FailPoint::default() });
        let dead = FailPoint { dead_from: Some(dead_from), ..FailPoint::default() };
        let _dead_too = dead.run(|| recover(fixture.root()));
        fixture.recover().unwrap();
        assert!(fixture.is_before() || fixture.is_after(), "call {dead_from}");
        assert!(!fixture.has_staging(), "call {dead_from}");
    }
}

#[test]
fn changed_file_is_not_overwritten() {
    let fixture = Fixture::new();
    let mine = fixture.root().join(KVM).join("sshd.manifest");
    fs::write(&mine, "mine\n").unwrap();
    let error = fixture.apply(FailPoint::default()).0.unwrap_err();
    assert!(error.message.contains("sshd.manifest was changed by another program"), "{error}");
    assert_eq!(fs::read(&mine).unwrap(), b"mine\n");
    assert_eq!(fs::read(fixture.root().join(COMMON_MK)).unwrap(), fixture.plan.edits[0].before);
    assert!(!fixture.has_staging());
}

#[test]
fn file_changed_after_a_killed_run_is_kept() {
    let fixture = Fixture::new();
    let (_, calls) = Fixture::new().apply(FailPoint::default());
    let _dead = fixture.apply(FailPoint { dead_from: Some(calls - 15), ..FailPoint::default() });
    let mine = fixture.root().join(KVM).join("sshd.manifest");
    fs::write(&mine, "mine\n").unwrap();
    let files = fixture.files();
    let error = fixture.recover().unwrap_err();
    assert!(error.to_string().contains("sshd.manifest cannot be replaced: it was changed"), "{error}");
    assert!(error.hint.unwrap().contains("rm -r "));
    assert_eq!(fixture.files(), files);
}

#[test]
fn read_only_file_is_refused() {
    let fixture = Fixture::new();
    let systemd = fixture.root().join(COREOS).join("systemd.manifest");
    fs::set_permissions(&systemd, fs::Permissions::from_mode(0o444)).unwrap();
    let error = fixture.apply(FailPoint::default()).0.unwrap_err();
    assert!(error.message.contains("systemd.manifest may not be written"), "{error}");
    assert_eq!(
        preflight(&tree(fixture.root()), &fixture.plan),
        Err(error),
        "a dry run fails in the same way"
    );
    assert!(fixture.is_before() && !fixture.has_staging());
}

#[test]
fn symlink_out_of_the_tree_is_not_followed() {
    let fixture = Fixture::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("sshd.manifest");
    fs::write(&outside, "bin/sshd\n").unwrap();
    let link = fixture.root().join(KVM).join("sshd.manifest");
    fs::remove_file(&link).unwrap();
    symlink(&outside, &link).unwrap();
    let error = fixture.apply(FailPoint::default()).0.unwrap_err();
    assert!(error.message.contains("never written through"), "{error}");
    assert_eq!(fs::read(&outside).unwrap(), b"bin/sshd\n");
    let read = tree(fixture.root()).recover_and_read().unwrap();
    assert!(read.sources.outside.contains_key("stage1/usr_from_kvm/manifest-amd64-usr.d/sshd.manifest"));
    let plan = EditPlan::between(&read.sources, &changed(&read.sources));
    let error = plan.ensure_inside_tree(&read.sources, |link| format!("own {link}")).unwrap_err();
    assert!(error.hint.is_some_and(|hint| hint.ends_with("sshd.manifest")));
}

#[test]
fn hard_links_in_the_tree_stay_linked() {
    let mut fixture = Fixture::new();
    let (ip, twin) =
        (fixture.root().join(KVM).join("ip.manifest"), fixture.root().join(COREOS).join("ip.manifest"));
    let outside = fixture.root().join("snapshot");
    fs::hard_link(&ip, &twin).unwrap();
    fs::hard_link(&ip, &outside).unwrap();
    let before = tree(fixture.root()).recover_and_read().unwrap().sources;
    assert_eq!(before.manifests.len(), 5, "two names, one manifest");
    fixture.plan = EditPlan::between(&before, &changed(&before));
    fixture.apply(FailPoint::default()).0.unwrap();
    assert_eq!(fs::read(&ip).unwrap(), b"bin/ip\nlib64/libpam.so.0\n");
    assert_eq!(fs::metadata(&ip).unwrap().ino(), fs::metadata(&twin).unwrap().ino());
    assert_eq!(fs::read(&outside).unwrap(), b"bin/ip\n");
}

#[test]
fn concurrent_runs_are_serialized() {
    for _ in 0..20 {
        let fixture = Fixture::new();
        let root = fixture.root();
        let other = EditPlan {
            edits: fixture
                .plan
                .edits
                .iter()
                .map(|edit| manifest::plan::edit_plan::FileEdit {
                    after: b"other\n".to_vec(),
                    ..edit.clone()
                })
                .collect(),
        };
        let (mine, theirs) = std::thread::scope(|scope| {
            let mine = scope.spawn(|| apply(&tree(root), &fixture.plan));
            let theirs = scope.spawn(|| apply(&tree(root), &other));
            (mine.join().unwrap(), theirs.join().unwrap())
        });
        assert_eq!(mine.is_ok(), theirs.is_err());
        let all_theirs = fixture.files().values().all(|bytes| bytes == b"other\n");
        assert!(if mine.is_ok() { fixture.is_after() } else { all_theirs });
        assert!(!fixture.has_staging());
    }
}

#[test]
fn foreign_file_in_staging_is_kept_and_reported() {
    let fixture = Fixture::new();
    let staging = fixture.root().join(".xtask-staging");
    let (notes, directory) = (staging.join("notes"), staging.join("new.7"));
    fs::create_dir_all(&directory).unwrap();
    fs::write(&notes, "mine\n").unwrap();
    fs::write(staging.join("new.0"), "left over\n").unwrap();
    let message = fixture.recover().unwrap().unwrap();
    assert!(message.ends_with("new.7 was not removed: this program did not create it"), "{message}");
    assert!(!staging.join("new.0").exists(), "files of a killed run are removed");
    let error = fixture.apply(FailPoint::default()).0.unwrap_err();
    assert!(error.message.contains("was not created by this program") && fixture.is_before(), "{error}");
    assert_eq!(
        preflight(&tree(fixture.root()), &fixture.plan),
        Err(error),
        "a dry run fails in the same way"
    );
    assert_eq!(fs::read(&notes).unwrap(), b"mine\n");
    fs::remove_file(&notes).unwrap();
    fs::remove_dir(&directory).unwrap();
    fixture.apply(FailPoint::default()).0.unwrap();
    assert!(fixture.is_after() && !fixture.has_staging());
}

#[test]
fn invalid_staging_directory_is_refused() {
    let fixture = Fixture::new();
    let staging = fixture.root().join(".xtask-staging");
    symlink("/etc", &staging).unwrap();
    assert!(fixture.recover().unwrap_err().message.contains("is not a directory"));
    fs::remove_file(&staging).unwrap();
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("journal"), "stage1/x\n").unwrap();
    let error = fixture.recover().unwrap_err();
    assert!(error.to_string().contains("cannot replay the journal"), "{error}");
    assert!(fixture.is_before());
}
