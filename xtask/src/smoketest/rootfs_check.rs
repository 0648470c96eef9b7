//! Compares a built root filesystem with manifests and image: missing, unlisted, dangling, differing files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::RootfsUnderTest;
use super::check_log::{self, CheckLog};
use super::host::is_root;
use super::rootfs::Rootfs;
use crate::bounded_file;
use coreos_types::{Result, ResultExt};
use manifest::finding::Finding;
use manifest::suggestion::Suggestion;
use pxe_image::UsrSquashfs;
use usr::{Node, NodeKind, ResolutionEnd, UsrPath};

/// Compares the files from the image; returns whether none differs. A dangling link that the tree accepts is skipped.
pub(super) fn check(
    tested: &RootfsUnderTest,
    accepted: &[(Finding, String)],
    checks: &mut CheckLog<'_>,
) -> Result<bool> {
    let taken = tested.image_files.as_ref().unwrap_or(&tested.rootfs);
    let listed = checks.listed_paths(tested);
    let rebuild = format!("\nhint: {}", checks.context.rerun_command(&[], &["no_build"]));
    let fix = format!("\n{}", checks.hint_line(&Suggestion::RunFix));
    // The paths of each message, with the line of its hint.
    let mut mismatches: BTreeMap<(String, &str), Vec<UsrPath>> = BTreeMap::new();
    let mut add = |path: &UsrPath, message: String, hint| {
        mismatches.entry((message, hint)).or_default().push(path.clone());
    };
    for (path, file) in listed.iter().filter(|(path, _)| taken.tree.get(path.as_str()).is_none()) {
        add(path, format!("listed in {file}, and the root filesystem does not have it"), &rebuild);
    }
    for path in find_unlisted(taken, &listed) {
        add(path, "it is there, and no manifest lists it".to_owned(), "");
    }
    for (path, target) in find_dangling_links(&tested.rootfs) {
        let names = [path.as_str(), &target];
        if let Some((_, reason)) = accepted.iter().find(|(finding, _)| names.contains(&finding.path.as_str()))
        {
            let message =
                format!("dangling link: {target} is not in the root filesystem; accepted: {}", reason.trim());
            checks.skip("rootfs", path.as_str(), &message);
            continue;
        }
        let file = listed.get(path).cloned().unwrap_or_else(|| checks.suggested_manifest(tested, &target));
        let message =
            format!("dangling link: {target} is not in the root filesystem, and {file} does not list it");
        add(path, message, &fix);
    }
    if let Some(squashfs) = &tested.squashfs {
        for (path, message) in compare_with_image(taken, squashfs, listed.keys())? {
            add(&path, message, "");
        }
    }
    if mismatches.is_empty() {
        let message = format!("{} paths, as listed and as in the image", listed.len());
        checks.pass("rootfs", &tested.name(), &message);
        return Ok(true);
    }
    let place = format!("{}, in {}", tested.name(), taken.path.display());
    for ((message, hint), paths) in mismatches {
        let file = listed.get(&paths[0]).cloned();
        let others = check_log::and_others(&paths[1..]);
        checks.fail("rootfs", paths[0].as_str(), file, &format!("{message}{others}\n{place}{hint}"));
    }
    Ok(false)
}

/// Paths that no manifest lists. The directories above a listed path are expected, and so is the content of a listed
/// directory (`unsquashfs -ef`).
fn find_unlisted<'r>(rootfs: &'r Rootfs, listed: &BTreeMap<UsrPath, String>) -> Vec<&'r UsrPath> {
    let ancestors = |path: &UsrPath| std::iter::successors(path.parent(), UsrPath::parent);
    let above: BTreeSet<UsrPath> = listed.keys().flat_map(ancestors).collect();
    let is_expected = |path: &UsrPath| {
        listed.contains_key(path)
            || above.contains(path)
            || ancestors(path).any(|up| listed.contains_key(&up))
    };
    rootfs.tree.iter().map(|(path, _)| path).filter(|path| !is_expected(path)).collect()
}

/// Links from the image with a target below `/usr` that is not in the root filesystem, each with its target. Other
/// targets are provided by the pod.
fn find_dangling_links(rootfs: &Rootfs) -> Vec<(&UsrPath, String)> {
    let from_image = rootfs.tree.iter().filter(|(path, _)| !rootfs.build_files.contains(*path));
    let links = from_image.filter(|(_, node)| matches!(node.kind, NodeKind::Symlink(_)));
    let missing_target = |path| match rootfs.tree.resolve(path).end {
        ResolutionEnd::Missing(missing) => Some(missing.to_string()),
        ResolutionEnd::TooManySymlinks => Some("itself".to_owned()),
        _ => None,
    };
    links.filter_map(|(path, _)| Some((path, missing_target(path)?))).collect()
}

/// Compares kind, mode, link target and content of everything in `rootfs` with the `usr.squashfs` at `squashfs`: the
/// paths that differ, each with how. Below a directory of `expected_complete`, `rootfs` must have every file of the
/// image (`unsquashfs -ef`).
fn compare_with_image<'p>(
    rootfs: &Rootfs,
    squashfs: &Path,
    expected_complete: impl Iterator<Item = &'p UsrPath>,
) -> Result<BTreeMap<UsrPath, String>> {
    let (file, _) = bounded_file::open(squashfs).with_path("cannot read", squashfs)?;
    let image = UsrSquashfs::open_unverified(file).with_path("cannot read", squashfs)?;
    let mut differences = BTreeMap::new();
    let is_directory = |path: &&UsrPath| {
        image.tree().get(path.as_str()).is_some_and(|node| node.kind == NodeKind::Directory)
    };
    for directory in expected_complete.filter(is_directory) {
        for (path, _) in image.tree().below(directory) {
            if rootfs.tree.get(path.as_str()).is_none() {
                let why = format!("is below {directory}, which is listed, and the root filesystem lacks it");
                differences.insert(path.clone(), why);
            }
        }
    }
    let mut same_metadata = Vec::new();
    for (path, built) in rootfs.tree.iter() {
        match metadata_difference(image.tree().get(path.as_str()), built) {
            Some(difference) => _ = differences.insert(path.clone(), difference),
            None => same_metadata.push(path),
        }
    }
    let unlike = image
        .differing_files(same_metadata, |path| rootfs.open(path))
        .with_context(|| format!("cannot compare {} with {}", rootfs.path.display(), squashfs.display()))?;
    differences.extend(unlike.into_iter().map(|path| (path, OTHER_BYTES.to_owned())));
    Ok(differences)
}

const OTHER_BYTES: &str = "has other bytes than in the image";

/// The difference of a node from the image, without its content; `None` if the content has to be compared.
fn metadata_difference(image: Option<&Node>, built: &Node) -> Option<String> {
    let Some(image) = image else { return Some("is not in the image".to_owned()) };
    match (&image.kind, &built.kind) {
        (NodeKind::Directory, NodeKind::Directory) => None,
        (NodeKind::Symlink(expected), NodeKind::Symlink(target)) => {
            (expected != target).then(|| format!("links to {target}, in the image to {expected}"))
        }
        (NodeKind::File { .. }, NodeKind::File { .. }) if has_other_mode(image.mode, built.mode) => {
            Some(format!("has mode {:04o}, in the image {:04o}", built.mode, image.mode))
        }
        (NodeKind::File { size: expected, .. }, NodeKind::File { size, .. }) => {
            (expected != size).then(|| OTHER_BYTES.to_owned())
        }
        _ => Some("has another file type than in the image".to_owned()),
    }
}

/// Whether the modes differ in a bit that unsquashfs restores: it gives setuid and setgid bits to root's files only.
fn has_other_mode(image: u16, built: u16) -> bool {
    let mask = if is_root() { 0o7777 } else { 0o1777 };
    image & mask != built & mask
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use expect_test::expect;

    use super::*;
    use coreos_types::Board;
    use usr::FileInfo;

    /// Creates the files that tests/fixtures/squashfs/make.sh packs.
    fn rootfs(home: &Path) -> Rootfs {
        let lines = "the same line again\n".repeat(20_000);
        let mut rootfs = Rootfs {
            path: home.to_owned(),
            board: Board::Amd64,
            tree: Default::default(),
            build_files: Default::default(),
        };
        let mut put =
            |path: &str, mode, kind| rootfs.tree.insert(UsrPath::new(path).unwrap(), Node { mode, kind });
        for directory in ["bin", "lib", "share"] {
            fs::create_dir_all(home.join("usr").join(directory)).unwrap();
            put(directory, 0o755, NodeKind::Directory);
        }
        for (path, bytes) in [
            ("lib/os-release", &b"ID=coreos\n"[..]),
            ("bin/script", b"#!/bin/sh\nexit\n"),
            ("share/lines", lines.as_bytes()),
            ("share/zeros", &[0; 400_000]),
            ("share/empty", b""),
        ] {
            fs::write(home.join("usr").join(path), bytes).unwrap();
            put(path, 0o644, NodeKind::file(bytes.len() as u64, FileInfo::Other));
        }
        put("lib64", 0o777, NodeKind::Symlink("lib".into()));
        rootfs
    }

    fn render(rootfs: &Rootfs, image: &str) -> String {
        let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/squashfs").join(image);
        let differences = compare_with_image(rootfs, &image, [].into_iter()).unwrap();
        differences.iter().map(|(path, how)| format!("{path} {how}\n")).collect()
    }

    #[test]
    fn zstd_and_lz4_images_are_compared() {
        let home = tempfile::tempdir().unwrap();
        let mut rootfs = rootfs(home.path());
        for image in ["zstd.squashfs", "lz4.squashfs"] {
            assert_eq!(render(&rootfs, image), "");
        }
        let other = "the same line again\n".repeat(19_999) + "the same line agaim\n";
        fs::write(rootfs.path.join("usr/share/lines"), other).unwrap();
        let mut put =
            |path: &str, mode, kind| rootfs.tree.insert(UsrPath::new(path).unwrap(), Node { mode, kind });
        put("share/empty", 0o644, NodeKind::file(1, FileInfo::Other));
        put("bin/script", 0o755, NodeKind::file(15, FileInfo::Other));
        put("lib64", 0o777, NodeKind::Symlink("lib32".into()));
        put("lib/os-release", 0o644, NodeKind::Directory);
        put("bin/more", 0o755, NodeKind::Directory);
        expect![[r#"
            bin/more is not in the image
            bin/script has mode 0755, in the image 0644
            lib/os-release has another file type than in the image
            lib64 links to lib32, in the image to lib
            share/empty has other bytes than in the image
            share/lines has other bytes than in the image
        "#]]
        .assert_eq(&render(&rootfs, "zstd.squashfs"));
    }

    #[test]
    fn broken_image_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let image = home.path().join("usr.squashfs");
        fs::write(&image, [b'x'; 200]).unwrap();
        let error = compare_with_image(&rootfs(home.path()), &image, [].into_iter()).unwrap_err();
        assert!(error.message.starts_with("cannot read ") && error.message.ends_with("usr.squashfs"));
        let cause = "usr.squashfs is broken: it does not start with the magic of squashfs, hsqs, but with \"xxxxxxxxxxxx\"";
        assert_eq!(error.causes, [cause]);
    }
}
