//! Journals that a run of this user cannot have left, and journals that are not regular files.

use super::*;
use pxe_image::Digest;

/// Creates a fixture with a run that died between two renames; returns it with the path of its journal.
fn interrupted_fixture() -> (Fixture, PathBuf) {
    let fixture = Fixture::new();
    let (_, calls) = Fixture::new().apply(FailPoint::default());
    let _dead = fixture.apply(FailPoint { dead_from: Some(calls - 15), ..FailPoint::default() });
    let journal = fixture.root().join(".xtask-staging/journal");
    assert!(journal.exists());
    (fixture, journal)
}

#[test]
fn world_writable_journal_is_refused() {
    let (fixture, journal) = interrupted_fixture();
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o666)).unwrap();
    let before = fixture.files();
    let error = fixture.recover().unwrap_err();
    assert!(error.to_string().contains("journal is writable by others"), "{error}");
    assert!(error.causes.iter().any(|cause| cause.contains("--trust-tree ")), "{error}");
    assert!(error.hint.unwrap().starts_with("rm -r "));
    assert_eq!(fixture.files(), before);
}

#[test]
fn journal_tracked_by_git_is_refused() {
    let (fixture, _) = interrupted_fixture();
    let git = |arguments: &[&str]| {
        let git = std::process::Command::new("git").arg("-C").arg(fixture.root()).args(arguments).output();
        assert!(git.unwrap().status.success(), "{arguments:?}");
    };
    git(&["init", "--quiet"]);
    let files = |fixture: &Fixture| {
        let mut files = fixture.files();
        files.retain(|path, _| !path.components().any(|part| part.as_os_str() == ".git"));
        files
    };
    let before = files(&fixture);
    git(&["add", "--force", ".xtask-staging"]);
    let error = fixture.recover().unwrap_err();
    assert!(error.to_string().contains("git tracks it"), "{error}");
    assert_eq!(files(&fixture), before);
    git(&["rm", "--cached", "--quiet", "-r", ".xtask-staging"]);
    assert!(fixture.recover().unwrap().is_some(), "one that git does not track is replayed");
}

#[test]
fn journal_with_other_file_is_refused() {
    for path in ["stage1/notes.txt", "stage1/Makefile", "Cargo.toml", ".cargo/config.toml", "other.mk"] {
        let fixture = Fixture::new();
        let (root, staging) = (fixture.root(), fixture.root().join(".xtask-staging"));
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), "old\n").unwrap();
        fs::create_dir(&staging).unwrap();
        fs::write(staging.join("new.0"), "new\n").unwrap();
        let entry = journal::Entry {
            old_sha256: Digest::sha256(b"old\n").hex(),
            new_sha256: Digest::sha256(b"new\n").hex(),
            staged: "new.0".into(),
            path: path.into(),
        };
        fs::write(staging.join("journal"), journal::Journal { entries: vec![entry] }.to_text()).unwrap();
        let error = fixture.recover().unwrap_err();
        assert!(error.message.contains("cannot replay the journal"), "{path}: {error}");
        assert_eq!(fs::read(root.join(path)).unwrap(), b"old\n", "{path}");
    }
}

#[test]
fn journal_not_regular_is_refused_at_once() {
    for name in ["journal", "new.0"] {
        let (fixture, journal) = interrupted_fixture();
        let path = journal.with_file_name(name);
        let _ = fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let start = std::time::Instant::now();
        let result = fixture.recover();
        assert!(name != "journal" || result.is_err(), "{result:?}");
        assert!(start.elapsed().as_secs() < 5, "{name}");
    }
}
