//! Journals that this user cannot have left, and journals that are no files.

use super::*;

/// A fixture whose run died between two renames, and its journal.
fn interrupted() -> (Fixture, PathBuf) {
    let fixture = Fixture::new();
    let (_, calls) = Fixture::new().apply(Breaks::default());
    let _dead = fixture.apply(Breaks { dead_from: Some(calls - 15), ..Breaks::default() });
    let journal = fixture.root().join(".xtask-staging/journal");
    assert!(journal.exists());
    (fixture, journal)
}

#[test]
fn journal_that_others_may_write_is_refused() {
    let (fixture, journal) = interrupted();
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o666)).unwrap();
    let before = fixture.files();
    let error = fixture.mended().unwrap_err();
    assert!(error.to_string().contains("journal is writable by others"), "{error}");
    assert!(error.hint.unwrap().starts_with("rm -r "));
    assert_eq!(fixture.files(), before);
}

#[test]
fn journal_that_git_tracks_is_refused() {
    let (fixture, _) = interrupted();
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
    let error = fixture.mended().unwrap_err();
    assert!(error.to_string().contains("git tracks it"), "{error}");
    assert_eq!(files(&fixture), before);
    git(&["rm", "--cached", "--quiet", "-r", ".xtask-staging"]);
    assert!(fixture.mended().unwrap().is_some(), "one that git does not track is replayed");
}

#[test]
fn journal_names_editable_files_alone() {
    for path in ["stage1/notes.txt", "stage1/Makefile", "Cargo.toml", ".cargo/config.toml", "other.mk"] {
        let fixture = Fixture::new();
        let (root, staging) = (fixture.root(), fixture.root().join(".xtask-staging"));
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), "old\n").unwrap();
        fs::create_dir(&staging).unwrap();
        fs::write(staging.join("new.0"), "new\n").unwrap();
        let entry = journal::Entry {
            before: journal::sha256(b"old\n"),
            after: journal::sha256(b"new\n"),
            staged: "new.0".into(),
            path: path.into(),
        };
        fs::write(staging.join("journal"), journal::Journal { entries: vec![entry] }.to_text()).unwrap();
        let error = fixture.mended().unwrap_err();
        assert!(error.message.contains("cannot replay the journal"), "{path}: {error}");
        assert_eq!(fs::read(root.join(path)).unwrap(), b"old\n", "{path}");
    }
}

#[test]
fn journal_that_is_no_file_is_refused_at_once() {
    for name in ["journal", "new.0"] {
        let (fixture, journal) = interrupted();
        let path = journal.with_file_name(name);
        let _ = fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let started = std::time::Instant::now();
        let result = fixture.mended();
        assert!(name != "journal" || result.is_err(), "{result:?}");
        assert!(started.elapsed().as_secs() < 5, "{name}");
    }
}
