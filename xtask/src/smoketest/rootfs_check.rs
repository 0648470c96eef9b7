//! Compares a built root filesystem with manifests and image: missing, unlisted, dangling, differing files.

use std::collections::{BTreeMap, BTreeSet};

use super::RootfsUnderTest;
use super::check_log::{self, CheckLog};
use crate::smoketest::rootfs::compare;
use coreos_types::Result;
use manifest::suggestion::Suggestion;
use usr::{NodeKind, ResolutionEnd, UsrPath};

/// The manifest of each listed path.
type ManifestByPath = BTreeMap<UsrPath, String>;

struct Mismatch {
    path: String,
    message: String,
    hint: Option<String>,
}

impl Mismatch {
    fn new(path: &UsrPath, message: impl Into<String>) -> Mismatch {
        Mismatch { path: path.to_string(), message: message.into(), hint: None }
    }

    fn with_hint(self, hint: String) -> Mismatch {
        Mismatch { hint: Some(hint), ..self }
    }
}

/// Compares the files from the image; returns whether none differs.
pub(super) fn check(tested: &RootfsUnderTest, checks: &mut CheckLog<'_>) -> Result<bool> {
    let taken = tested.image_rootfs();
    let entries = checks.manifest_entries(tested).into_iter();
    let listed: ManifestByPath =
        entries.filter_map(|(line, file)| Some((UsrPath::new(&line).ok()?, file))).collect();
    let mut mismatches = find_missing(tested, &listed, checks);
    mismatches.extend(find_unlisted(tested, &listed));
    mismatches.extend(find_dangling_links(tested, &listed, checks));
    if let Some(squashfs) = &tested.squashfs {
        let differences = compare::compare_with_image(taken, squashfs, listed.keys())?;
        mismatches.extend(differences.iter().map(|(path, message)| Mismatch::new(path, message)));
    }
    if mismatches.is_empty() {
        let message = format!("{} paths, as listed and as in the image", listed.len());
        checks.pass("rootfs", &tested.name(), &message);
        return Ok(true);
    }
    let place = format!("{}, in {}", tested.name(), taken.path.display());
    let mut by_message: BTreeMap<(String, Option<String>), Vec<String>> = BTreeMap::new();
    for Mismatch { path, message, hint } in mismatches {
        by_message.entry((message, hint)).or_default().push(path);
    }
    for ((message, hint), paths) in by_message {
        let file = listed.get(paths[0].as_str()).cloned();
        let others = check_log::and_others(&paths[1..]);
        let hint = hint.map_or_else(String::new, |hint| format!("\n{hint}"));
        checks.fail("rootfs", &paths[0], file, &format!("{message}{others}\n{place}{hint}"));
    }
    Ok(false)
}

fn find_missing(tested: &RootfsUnderTest, listed: &ManifestByPath, checks: &CheckLog<'_>) -> Vec<Mismatch> {
    let tree = &tested.image_rootfs().tree;
    let absent = listed.iter().filter(|(path, _)| tree.get(path.as_str()).is_none());
    let hint = format!("hint: {}", checks.context.rerun_command(&[], &["no_build"]));
    let message = |file| format!("listed in {file}, and the root filesystem does not have it");
    absent.map(|(path, file)| Mismatch::new(path, message(file)).with_hint(hint.clone())).collect()
}

/// Paths that no manifest lists. The directories above a listed path are expected, and so is the content of a listed
/// directory (`unsquashfs -ef`).
fn find_unlisted(tested: &RootfsUnderTest, listed: &ManifestByPath) -> Vec<Mismatch> {
    let ancestors = |path: &UsrPath| std::iter::successors(path.parent(), UsrPath::parent);
    let above: BTreeSet<UsrPath> = listed.keys().flat_map(ancestors).collect();
    let is_expected = |path: &UsrPath| {
        listed.contains_key(path)
            || above.contains(path)
            || ancestors(path).any(|up| listed.contains_key(&up))
    };
    let paths = tested.image_rootfs().tree.iter().map(|(path, _)| path);
    let unlisted = paths.filter(|path| !is_expected(path));
    unlisted.map(|path| Mismatch::new(path, "it is there, and no manifest lists it")).collect()
}

/// Links with a target below `/usr` that is not in the root filesystem. Other targets are provided by the pod.
fn find_dangling_links(
    tested: &RootfsUnderTest,
    listed: &ManifestByPath,
    checks: &CheckLog<'_>,
) -> Vec<Mismatch> {
    let tree = &tested.rootfs.tree;
    let of_image = tree.iter().filter(|(path, _)| !tested.rootfs.build_files.contains(*path));
    of_image
        .filter(|(_, node)| matches!(node.kind, NodeKind::Symlink(_)))
        .filter_map(|(path, _)| {
            let target = match tree.resolve(path).end {
                ResolutionEnd::Missing(missing) => missing.to_string(),
                ResolutionEnd::TooManySymlinks => "itself".to_owned(),
                _ => return None,
            };
            let manifest = || checks.suggested_manifest(tested, &target);
            let file = listed.get(path).cloned().unwrap_or_else(manifest);
            let message =
                format!("dangling link: {target} is not in the root filesystem, and {file} does not list it");
            Some(Mismatch::new(path, message).with_hint(checks.hint_line(&Suggestion::RunFix)))
        })
        .collect()
}
