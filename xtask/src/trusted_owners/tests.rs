//! Owners and modes of real files, as far as the user who runs the tests may set them.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::{PermissionsExt, chown};

use super::*;

const STRANGER: u32 = 1234;

fn owners(user: u32, sudo_user: Option<u32>) -> TrustedOwners {
    TrustedOwners {
        user,
        sudo_user,
        trusted_trees: Vec::new(),
        accounts: Accounts::default(),
        safe_directories: OnceLock::from(Vec::new()),
    }
}

fn tree() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    fs::create_dir_all(tree.path().join("stage1/usr_from_coreos")).unwrap();
    fs::create_dir_all(tree.path().join("build-rkt/rootfs")).unwrap();
    for file in [
        "Makefile",
        "stage1/usr_from_coreos/coreos-common.mk",
        "build-rkt/rootfs/passwd",
        "stage1/build-usr.mk",
    ] {
        fs::write(tree.path().join(file), "").unwrap();
        fs::set_permissions(tree.path().join(file), fs::Permissions::from_mode(0o644)).unwrap();
    }
    tree
}

#[test]
fn user_root_and_sudo_user_are_trusted() {
    for (user, sudo, uid, expected) in [
        (1000, None, 1000, true),
        (1000, None, 0, true),
        (1000, None, 1001, false),
        (0, Some(1000), 1000, true),
        (0, Some(1000), 1001, false),
        (0, None, 1000, false),
    ] {
        assert_eq!(owners(user, sudo).is_trusted_uid(uid), expected, "{user} {sudo:?} {uid}");
    }
}

#[test]
fn tree_with_mode_for_others_is_not_trusted() {
    let own = effective_uid();
    for (path, mode, is_trusted) in [
        ("Makefile", 0o644, true),
        ("Makefile", 0o646, false),
        ("stage1", 0o757, false),
        ("stage1", 0o1777, false),
        ("stage1/usr_from_coreos/coreos-common.mk", 0o666, false),
        ("build-rkt/rootfs/passwd", 0o666, true),
        ("stage1/build-usr.mk", 0o666, false),
    ] {
        let tree = tree();
        fs::set_permissions(tree.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
        let checked = owners(own, None).check_tree(tree.path());
        assert_eq!(checked.is_ok(), is_trusted, "{path} {mode:o}: {checked:?}");
    }
}

#[test]
fn tree_of_another_user_is_named_with_the_command() {
    let tree = tree();
    let root = tree.path();
    // As another user: what the tests wrote belongs to somebody else.
    let other = owners(STRANGER, None);
    let error = match effective_uid() {
        0 => {
            chown(root.join("Makefile"), Some(4711), None).unwrap();
            owners(0, None).check_tree(root).unwrap_err()
        }
        _ => other.check_tree(root).unwrap_err(),
    };
    assert!(error.message.contains("is owned by user "), "{error}");
    let (hint, root_text) = (error.hint.unwrap(), root.display());
    assert!(hint.starts_with(&format!("to trust it for one run, add --trust-tree {root_text} ")), "{hint}");
    assert!(hint.ends_with(&format!("git config --global --add safe.directory {root_text}")), "{hint}");
    let listed = TrustedOwners { trusted_trees: vec![fs::canonicalize(root).unwrap()], ..other.clone() };
    listed.check_tree(root).unwrap();
    let safe = TrustedOwners { safe_directories: OnceLock::from(vec![root.to_owned()]), ..other };
    safe.check_tree(root).unwrap();
}

#[test]
fn file_is_trusted_with_its_directories() {
    let (tree, own) = (tree(), owners(effective_uid(), None));
    let file = tree.path().join("stage1/usr_from_coreos/coreos-common.mk");
    own.check_file(tree.path(), &file).unwrap();
    fs::set_permissions(tree.path().join("stage1"), fs::Permissions::from_mode(0o777)).unwrap();
    let error = own.check_file(tree.path(), &file).unwrap_err();
    assert!(error.message.ends_with("stage1 is writable by others (mode 0777)"), "{error}");
}

#[test]
fn safe_directory_values_follow_git() {
    let values = b"/gone\0\0~/src\0/srv/trees/*\0/a b\0";
    let paths = parse_safe_directories(values, Some("/home/u".into()));
    assert_eq!(paths, ["/home/u/src", "/srv/trees/*", "/a b"].map(PathBuf::from));
    let is_trusted_path =
        |path: &str| paths.iter().any(|value| matches_safe_directory(value, Path::new(path)));
    for (path, expected) in [
        ("/home/u/src", true),
        ("/home/u/src/x", false),
        ("/srv/trees/x/y", true),
        ("/srv/trees", false),
        ("/gone", false),
        ("/a b", true),
    ] {
        assert_eq!(is_trusted_path(path), expected, "{path}");
    }
    assert!(matches_safe_directory(Path::new("*"), Path::new("/any")));
    assert!(parse_safe_directories(b"", None).is_empty());
}
