//! Modes and owners of existing directories.

#![allow(clippy::unwrap_used)]

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::*;
use crate::trusted_owners::effective_uid;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn existing_directory_keeps_its_mode() {
    for (before, is_private) in [
        (0o700, true),
        (0o755, true),
        (0o711, true),
        (0o775, false),
        (0o1777, false),
        (0o2775, false),
        (0o1755, false),
    ] {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("cache");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, Permissions::from_mode(before)).unwrap();
        let trees = Cache::new(&root).create_dir("trees").unwrap();
        assert_eq!(mode(&root), before, "{before:o}");
        assert_eq!(trees.parent() == Some(&root), is_private, "{before:o}");
        assert_eq!((mode(&trees) & 0o777, mode(trees.parent().unwrap()) & 0o022), (0o700, 0), "{before:o}");
    }
}

#[test]
fn created_directory_is_private() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("a/b");
    Cache::new(&root).create_dir("trees").unwrap();
    assert_eq!([mode(&root), mode(&home.path().join("a"))], [0o700; 2]);
}

#[test]
fn temporary_files_are_elsewhere_if_the_cache_is_not_writable() {
    let temp_dir = Cache::new(Path::new("/proc")).temp_dir_or_system();
    assert!(temp_dir.create_unlinked_file().is_ok());
}

#[test]
fn hint_names_another_directory_than_the_failed_one() {
    let other = format!("export XTASK_CACHE_DIR=/var/tmp/coreos-xtask-{}", effective_uid());
    let usual = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/coreos-xtask"));
    if let Some(usual) = usual.filter(|usual| usual.starts_with("/")) {
        assert!(writable_dir_hint(&usual.join("releases")).ends_with(&other));
    }
    assert!(writable_dir_hint(Path::new("/srv/cache")).contains("export XTASK_CACHE_DIR=/"));
}

#[test]
fn foreign_private_subdirectory_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let (root, elsewhere) = (home.path().join("cache"), home.path().join("elsewhere"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    fs::set_permissions(&root, Permissions::from_mode(0o1777)).unwrap();
    symlink(&elsewhere, root.join(format!("coreos-xtask-{}", effective_uid()))).unwrap();
    let error = Cache::new(&root).create_dir("trees").unwrap_err();
    assert!(error.message.contains("others may write to it"), "{error}");
    assert!(error.hint.unwrap().contains("XTASK_CACHE_DIR"));
}

#[test]
fn foreign_cache_directory_is_not_used() {
    // Only root can change an owner.
    if effective_uid() != 0 {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let cache = Cache::new(home.path());
    let trees = cache.create_dir("trees").unwrap();
    chown(&trees, Some(1234), None).unwrap();
    let own = cache.create_dir("trees").unwrap();
    assert_eq!(own, home.path().join("coreos-xtask-0/trees"));
    // A cache directory that another user owns.
    chown(home.path(), Some(1234), None).unwrap();
    assert_eq!(cache.create_dir("releases").unwrap(), home.path().join("coreos-xtask-0/releases"));
}

#[test]
fn symlink_of_another_user_is_refused() {
    // Only root can change an owner.
    if effective_uid() != 0 {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (link, target) = (home.path().join("link"), home.path().join("mine"));
    fs::create_dir(&target).unwrap();
    symlink(&target, &link).unwrap();
    let create = |below: &str| Cache::new(&link.join(below)).create_dir("trees");
    assert!(create("").is_ok() && create("below").is_ok());
    std::os::unix::fs::lchown(&link, Some(1234), None).unwrap();
    for below in ["", "below", "new"] {
        let error = create(below).unwrap_err();
        assert!(error.causes[0].contains("link is a symlink of user 1234"), "{error}");
    }
}

#[test]
fn relative_cache_dir_is_refused_with_a_hint() {
    for (value, expected) in [
        ("~/x", "export XTASK_CACHE_DIR=/home/u/x"),
        ("~", "export XTASK_CACHE_DIR=/home/u/.cache/coreos-xtask"),
        ("$HOME/a b", "export XTASK_CACHE_DIR='/home/u/a b'"),
        ("${HOME}/c", "export XTASK_CACHE_DIR=/home/u/c"),
        (".cache/xtask", "export XTASK_CACHE_DIR=/home/u/.cache/.cache/xtask"),
        ("${XDG_CACHE_HOME}/x", "export XTASK_CACHE_DIR=/home/u/.cache/x"),
        ("~other", "export XTASK_CACHE_DIR=/home/u/.cache/coreos-xtask"),
        ("a/../b", "export XTASK_CACHE_DIR=/home/u/.cache/a/b"),
        (".", "export XTASK_CACHE_DIR=/home/u/.cache/coreos-xtask"),
    ] {
        let error = not_absolute_error(Path::new(value), Some(Path::new("/home/u")));
        assert_eq!(error.hint.as_deref(), Some(expected), "{value}");
    }
}

#[test]
fn cache_link_into_the_tree_is_resolved() {
    let home = tempfile::tempdir().unwrap();
    let tree = fs::canonicalize(home.path()).unwrap().join("tree");
    fs::create_dir(&tree).unwrap();
    symlink(&tree, home.path().join("link")).unwrap();
    assert!(real_path(&home.path().join("link/not/there")).starts_with(&tree));
    assert!(!real_path(&home.path().join("other")).starts_with(&tree));
}
