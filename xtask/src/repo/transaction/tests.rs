//! All or nothing: every call made to fail in turn, then every pair of calls, and a process that dies at each.

#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

mod untrusted_journal;

use super::*;
use manifest::plan::sources::{COMMON_MK, Stage1Sources};

/// A disk that fails at some of its calls, counted from 1.
#[derive(Debug, Default)]
pub(super) struct Breaks {
    at: Vec<usize>,
    /// From this call on nothing works any more, as for a process that was killed.
    dead_from: Option<usize>,
    calls: Cell<usize>,
}

impl Breaks {
    pub(super) fn step(&self) -> io::Result<()> {
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
        // Memory where there is some: a few thousand trees are written and synced here.
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
        let before = tree(root).read().unwrap().sources;
        let plan = EditPlan::between(&before, &changed(&before));
        assert_eq!(plan.edits.len(), 6);
        Fixture { home, plan }
    }

    fn root(&self) -> &Path {
        self.home.path()
    }

    fn apply(&self, breaks: Breaks) -> (Result<()>, usize) {
        let disk = Disk { breaks: Some(breaks) };
        let done = apply_on(&disk, self.root(), &self.plan);
        (done, disk.breaks.map_or(0, |breaks| breaks.calls.get()))
    }

    /// Every file below the root but for the staging directory.
    fn files(&self) -> Files {
        let mut files = Files::new();
        collect(self.root(), &mut files);
        files
    }

    fn expected(&self, side: fn(&manifest::plan::file_edits::FileEdit) -> &[u8]) -> Files {
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

    fn staging_is_there(&self) -> bool {
        self.root().join(".xtask-staging").exists()
    }

    fn mended(&self) -> Result<Option<String>> {
        recover_on(&Disk::default(), self.root())
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
fn a_plan_is_written_and_nothing_else_is_left() {
    let fixture = Fixture::new();
    let link = fixture.root().join(KVM).join("bash.manifest");
    let systemd = fixture.root().join(COREOS).join("systemd.manifest");
    fs::set_permissions(&systemd, fs::Permissions::from_mode(0o664)).unwrap();
    let (done, calls) = fixture.apply(Breaks::default());
    done.unwrap();
    assert!(calls > 60, "{calls}");
    assert!(fixture.is_after() && !fixture.staging_is_there());
    assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    assert_eq!(fs::metadata(systemd).unwrap().mode() & 0o7777, 0o664);
    // The same plan again does not fit any more, and says so.
    let again = fixture.apply(Breaks::default()).0.unwrap_err();
    assert!(again.message.contains("changed by someone else"), "{again}");
}

#[test]
fn each_call_that_fails_leaves_the_tree_whole() {
    let (_, calls) = Fixture::new().apply(Breaks::default());
    let mut failed = 0;
    for at in 1..=calls {
        let fixture = Fixture::new();
        let (done, _) = fixture.apply(Breaks { at: vec![at], ..Breaks::default() });
        match &done {
            Ok(()) => assert!(fixture.is_after(), "call {at}"),
            Err(error) => {
                failed += 1;
                assert!(fixture.is_before() && !fixture.staging_is_there(), "call {at}: {error}");
                assert!(error.to_string().contains("No space left"), "{error}");
            }
        }
        fixture.mended().unwrap();
        assert!(!fixture.staging_is_there(), "call {at}");
    }
    assert!(failed > 50, "{failed}");
}

#[test]
fn each_pair_of_calls_that_fail_leaves_the_tree_whole_or_to_be_mended() {
    let (_, calls) = Fixture::new().apply(Breaks::default());
    for first in 1..=calls {
        for second in (first + 1..first + 24).step_by(1 + first % 2) {
            let fixture = Fixture::new();
            let (done, _) = fixture.apply(Breaks { at: vec![first, second], ..Breaks::default() });
            let whole = fixture.is_before() || fixture.is_after();
            let said = done.is_err_and(|error| error.to_string().contains("the next command"));
            assert!(whole || said, "calls {first} and {second}");
            fixture.mended().unwrap();
            assert!(fixture.is_before() || fixture.is_after(), "calls {first} and {second}");
            assert!(!fixture.staging_is_there(), "calls {first} and {second}");
        }
    }
}

#[test]
fn a_run_that_dies_at_any_call_is_finished_by_the_next() {
    let (_, calls) = Fixture::new().apply(Breaks::default());
    let mut torn = 0;
    for dead_from in 1..=calls {
        let fixture = Fixture::new();
        let _dead = fixture.apply(Breaks { dead_from: Some(dead_from), ..Breaks::default() });
        let whole = fixture.is_before() || fixture.is_after();
        let said = fixture.mended().unwrap();
        assert!(whole || said.is_some(), "call {dead_from}");
        torn += usize::from(!whole);
        assert!(fixture.is_before() || fixture.is_after(), "call {dead_from}");
        assert!(!fixture.staging_is_there(), "call {dead_from}");
        assert_eq!(fixture.mended().unwrap(), None);
    }
    assert_eq!(torn, 5, "between the first and the last of six renames");
}

#[test]
fn a_run_that_dies_while_it_mends_is_finished_by_the_one_after() {
    for dead_from in 1..40 {
        let fixture = Fixture::new();
        let (_, calls) = Fixture::new().apply(Breaks::default());
        // The six renames stand before three syncs and the removal of ten names.
        let _dead = fixture.apply(Breaks { dead_from: Some(calls - 15), ..Breaks::default() });
        let disk = Disk { breaks: Some(Breaks { dead_from: Some(dead_from), ..Breaks::default() }) };
        let _dead_too = recover_on(&disk, fixture.root());
        fixture.mended().unwrap();
        assert!(fixture.is_before() || fixture.is_after(), "call {dead_from}");
        assert!(!fixture.staging_is_there(), "call {dead_from}");
    }
}

#[test]
fn a_file_that_someone_changed_is_not_overwritten() {
    let fixture = Fixture::new();
    let mine = fixture.root().join(KVM).join("sshd.manifest");
    fs::write(&mine, "mine\n").unwrap();
    let error = fixture.apply(Breaks::default()).0.unwrap_err();
    assert!(error.message.contains("sshd.manifest was changed by someone else"), "{error}");
    assert_eq!(fs::read(&mine).unwrap(), b"mine\n");
    assert_eq!(fs::read(fixture.root().join(COMMON_MK)).unwrap(), fixture.plan.edits[0].before);
    assert!(!fixture.staging_is_there());
}

#[test]
fn a_file_that_someone_changed_after_a_run_died_stays_theirs() {
    let fixture = Fixture::new();
    let (_, calls) = Fixture::new().apply(Breaks::default());
    let _dead = fixture.apply(Breaks { dead_from: Some(calls - 15), ..Breaks::default() });
    let mine = fixture.root().join(KVM).join("sshd.manifest");
    fs::write(&mine, "mine\n").unwrap();
    let files = fixture.files();
    let error = fixture.mended().unwrap_err();
    assert!(error.to_string().contains("sshd.manifest cannot be replaced: it was changed"), "{error}");
    assert!(error.hint.unwrap().contains("rm -r "));
    assert_eq!(fixture.files(), files);
}

#[test]
fn a_file_that_nobody_may_write_is_not_written() {
    let fixture = Fixture::new();
    let systemd = fixture.root().join(COREOS).join("systemd.manifest");
    fs::set_permissions(&systemd, fs::Permissions::from_mode(0o444)).unwrap();
    let error = fixture.apply(Breaks::default()).0.unwrap_err();
    assert!(error.message.contains("systemd.manifest may not be written"), "{error}");
    assert_eq!(preflight(&tree(fixture.root()), &fixture.plan), Err(error), "a dry run says the same");
    assert!(fixture.is_before() && !fixture.staging_is_there());
}

#[test]
fn links_are_not_replaced_and_lead_nowhere_new() {
    let fixture = Fixture::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("sshd.manifest");
    fs::write(&outside, "bin/sshd\n").unwrap();
    let link = fixture.root().join(KVM).join("sshd.manifest");
    fs::remove_file(&link).unwrap();
    symlink(&outside, &link).unwrap();
    let error = fixture.apply(Breaks::default()).0.unwrap_err();
    assert!(error.message.contains("never written through"), "{error}");
    assert_eq!(fs::read(&outside).unwrap(), b"bin/sshd\n");
    let read = tree(fixture.root()).read().unwrap();
    assert!(read.sources.outside.contains_key("stage1/usr_from_kvm/manifest-amd64-usr.d/sshd.manifest"));
    let plan = EditPlan::between(&read.sources, &changed(&read.sources));
    let error = plan.stays_inside(&read.sources, |link| format!("own {link}")).unwrap_err();
    assert!(error.hint.is_some_and(|hint| hint.ends_with("sshd.manifest")));
}

#[test]
fn hard_links_in_the_tree_stay_one_file_and_those_out_of_it_are_let_go() {
    let mut fixture = Fixture::new();
    let (ip, twin) =
        (fixture.root().join(KVM).join("ip.manifest"), fixture.root().join(COREOS).join("ip.manifest"));
    let outside = fixture.root().join("snapshot");
    fs::hard_link(&ip, &twin).unwrap();
    fs::hard_link(&ip, &outside).unwrap();
    let before = tree(fixture.root()).read().unwrap().sources;
    assert_eq!(before.manifests.len(), 5, "two names, one manifest");
    fixture.plan = EditPlan::between(&before, &changed(&before));
    fixture.apply(Breaks::default()).0.unwrap();
    assert_eq!(fs::read(&ip).unwrap(), b"bin/ip\nlib64/libpam.so.0\n");
    assert_eq!(fs::metadata(&ip).unwrap().ino(), fs::metadata(&twin).unwrap().ino());
    assert_eq!(fs::read(&outside).unwrap(), b"bin/ip\n");
}

#[test]
fn two_runs_at_once_do_not_mix() {
    for _ in 0..20 {
        let fixture = Fixture::new();
        let root = fixture.root();
        let other = EditPlan {
            edits: fixture
                .plan
                .edits
                .iter()
                .map(|edit| manifest::plan::file_edits::FileEdit {
                    after: b"other\n".to_vec(),
                    ..edit.clone()
                })
                .collect(),
        };
        let (mine, theirs) = std::thread::scope(|scope| {
            let mine = scope.spawn(|| apply_on(&Disk::default(), root, &fixture.plan));
            let theirs = scope.spawn(|| apply_on(&Disk::default(), root, &other));
            (mine.join().unwrap(), theirs.join().unwrap())
        });
        assert_eq!(mine.is_ok(), theirs.is_err());
        let all_theirs = fixture.files().values().all(|bytes| bytes == b"other\n");
        assert!(if mine.is_ok() { fixture.is_after() } else { all_theirs });
        assert!(!fixture.staging_is_there());
    }
}

#[test]
fn what_somebody_else_put_into_the_staging_folder_is_left_and_told() {
    let fixture = Fixture::new();
    let staging = fixture.root().join(".xtask-staging");
    let (notes, directory) = (staging.join("notes"), staging.join("new.7"));
    fs::create_dir_all(&directory).unwrap();
    fs::write(&notes, "mine\n").unwrap();
    fs::write(staging.join("new.0"), "left over\n").unwrap();
    let told = fixture.mended().unwrap().unwrap();
    assert!(told.ends_with("new.7 was left: this program did not make it"), "{told}");
    assert!(!staging.join("new.0").exists(), "what a killed run left goes");
    let error = fixture.apply(Breaks::default()).0.unwrap_err();
    assert!(error.message.contains("was not made by this program") && fixture.is_before(), "{error}");
    assert_eq!(preflight(&tree(fixture.root()), &fixture.plan), Err(error), "a dry run says the same");
    assert_eq!(fs::read(&notes).unwrap(), b"mine\n");
    fs::remove_file(&notes).unwrap();
    fs::remove_dir(&directory).unwrap();
    fixture.apply(Breaks::default()).0.unwrap();
    assert!(fixture.is_after() && !fixture.staging_is_there());
}

#[test]
fn a_staging_folder_that_is_none_of_ours_is_not_entered() {
    let fixture = Fixture::new();
    let staging = fixture.root().join(".xtask-staging");
    symlink("/etc", &staging).unwrap();
    assert!(fixture.mended().unwrap_err().message.contains("is not a directory"));
    fs::remove_file(&staging).unwrap();
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("journal"), "stage1/x\n").unwrap();
    let error = fixture.mended().unwrap_err();
    assert!(error.to_string().contains("cannot replay the journal"), "{error}");
    assert!(fixture.is_before());
}
