//! Whether a built root filesystem is what the manifests list, and no more, as the image has it.

use std::collections::{BTreeMap, BTreeSet};

use super::Subject;
use super::checks::{self, Checks};
use crate::context::Context;
use crate::smoketest::rootfs::compare;
use coreos_types::error::Result;
use manifest::suggestion::Suggestion;
use usr::path::UsrPath;
use usr::tree::{NodeKind, Target};

/// Checks it: what is listed and missing, what is there unlisted, links that lead nowhere, and every byte.
pub(super) fn check(context: &Context<'_>, subject: &Subject, checks: &mut Checks<'_>) -> Result<()> {
    let (board, flavor) = (subject.rootfs.board, &subject.flavor);
    let listed: BTreeMap<UsrPath, String> = checks::entries(context, board, flavor)
        .into_iter()
        .filter_map(|(line, file)| Some((UsrPath::new(&line).ok()?, file)))
        .collect();
    let mut bad = missing(subject, &listed);
    bad.extend(extra(subject, &listed));
    bad.extend(dangling(context, subject, &listed, checks));
    if let Some(squashfs) = subject.squashfs.as_ref().filter(|path| path.is_file()) {
        let differences = compare::with_image(&subject.rootfs, squashfs)?;
        bad.extend(differences.into_iter().map(|(path, how)| (path.to_string(), how)));
    }
    let what = format!("{board} {flavor}");
    if bad.is_empty() {
        checks.pass("rootfs", what, format!("{} paths, as listed and as in the image", listed.len()));
    }
    for (path, message) in bad {
        let file = listed.get(path.as_str()).cloned();
        checks.fail(
            "rootfs",
            path,
            file,
            format!("{message}\n{board} {flavor}, in {}", subject.rootfs.path.display()),
        );
    }
    Ok(())
}

fn missing(subject: &Subject, listed: &BTreeMap<UsrPath, String>) -> Vec<(String, String)> {
    let absent = listed.iter().filter(|(path, _)| subject.rootfs.tree.get(path.as_str()).is_none());
    absent
        .map(|(path, file)| {
            (
                path.to_string(),
                format!("{file} lists it, and the build left it out\nhint: make -C stage1 clean"),
            )
        })
        .collect()
}

/// What no manifest lists. The directories above a listed path come with it, and so may the content of a listed
/// directory (`unsquashfs -ef`).
fn extra(subject: &Subject, listed: &BTreeMap<UsrPath, String>) -> Vec<(String, String)> {
    let mut above: BTreeSet<UsrPath> = BTreeSet::new();
    for path in listed.keys() {
        let mut parent = path.parent();
        while let Some(directory) = parent.take().filter(|directory| !above.contains(directory)) {
            parent = directory.parent();
            above.insert(directory);
        }
    }
    let is_inside = |path: &UsrPath| {
        std::iter::successors(path.parent(), UsrPath::parent).any(|directory| listed.contains_key(&directory))
    };
    let tree = subject.rootfs.tree.iter();
    tree.filter(|(path, _)| !listed.contains_key(*path) && !above.contains(*path) && !is_inside(path))
        .map(|(path, _)| (path.to_string(), "it is there, and no manifest lists it".to_owned()))
        .collect()
}

/// Links whose end is not in the root filesystem. What leads out of `/usr` is the pod's business.
fn dangling(
    context: &Context<'_>,
    subject: &Subject,
    listed: &BTreeMap<UsrPath, String>,
    checks: &Checks<'_>,
) -> Vec<(String, String)> {
    let tree = &subject.rootfs.tree;
    let links = tree.iter().filter(|(_, node)| matches!(node.kind, NodeKind::Symlink(_)));
    links
        .filter_map(|(path, _)| {
            let lost = match tree.resolve(path).end {
                Target::Missing(lost) => lost.to_string(),
                Target::TooManySymlinks => "itself".to_owned(),
                _ => return None,
            };
            let home = || checks::home_of(context, subject.rootfs.board, &subject.flavor, &lost);
            let file = listed.get(path).cloned().unwrap_or_else(home);
            let message =
                format!("it leads to {lost}, which is not in the root filesystem: {file} lacks that line");
            Some((path.to_string(), format!("{message}\n{}", checks.hint(&Suggestion::Mend))))
        })
        .collect()
}
