//! What became of a listed path that is not in the image under its name.

use std::collections::BTreeSet;

use super::image_index::{ImageIndex, Room};
use super::library_name::{LibraryName, NameKind};
use usr::path::UsrPath;
use usr::tree::{NodeKind, Target};

/// What to do with a line, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// What became of it.
    pub fate: Outcome,
    /// Why, so that a reader can check it in the image.
    pub because: String,
}

/// What became of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has another name now.
    Renamed(UsrPath),
    /// It is in another directory now, under the same name.
    Moved(UsrPath),
    /// The line has become pointless.
    Pointless,
    /// Several could have come of it, and nothing tells which.
    Several(Vec<UsrPath>),
    /// Nothing came of it; these have names that come near.
    Gone(Vec<UsrPath>),
}

/// What is known beside the path itself.
#[derive(Debug)]
pub struct ReplacementContext<'a> {
    /// The image.
    pub index: &'a ImageIndex<'a>,
    /// The paths of the same manifest, as far as they are in the image.
    pub listed: &'a BTreeSet<UsrPath>,
    /// Sonames that listed files need and do not find: they decide among several candidates.
    pub wanted: &'a BTreeSet<String>,
}

/// What became of `path`, or `None` where it is in the image as listed.
pub fn successor(path: &UsrPath, around: &ReplacementContext<'_>) -> Option<Replacement> {
    if let Some(node) = around.index.tree.get(path.as_str()) {
        return (path.parent().is_none() && node.kind == NodeKind::Directory)
            .then(|| swallowing(path, around));
    }
    let found = through_links(path, around)
        .or_else(|| behind_listed_name(path, around))
        .or_else(|| moved(path, around))
        .or_else(|| same_stem(path, around))
        .or_else(|| dev_link_gone(path, around));
    Some(found.unwrap_or_else(|| Replacement {
        fate: Outcome::Gone(around.index.akin(path.name()).into_iter().cloned().collect()),
        because:
            "the image has no file of this name, and none whose name tells that it took its place".to_owned(),
    }))
}

/// A line like `lib` named a link once; where it is a directory now, it would take in all of it.
fn swallowing(path: &UsrPath, around: &ReplacementContext<'_>) -> Replacement {
    let below = around.index.tree.below(path).filter(|(_, node)| node.kind != NodeKind::Directory).count();
    Replacement {
        fate: Outcome::Pointless,
        because: format!(
            "{path} is a directory in this image; listed, it would take in all {below} files below it"
        ),
    }
}

/// A directory on the way is a link: unsquashfs knows the file by its real path only.
fn through_links(path: &UsrPath, around: &ReplacementContext<'_>) -> Option<Replacement> {
    // The last component must not be followed, it may be a link that is listed for itself.
    let resolved = around.index.tree.resolve(&path.parent()?);
    let Target::Node(directory) = resolved.end else { return None };
    let there = directory.join(path.name());
    let link = resolved.links.first()?;
    around.index.tree.get(there.as_str())?;
    Some(arrived(there, &format!("{link} is a link to {directory}"), around, Outcome::Moved))
}

/// `libz.so.1.2.8` where the manifest lists `libz.so.1`: the link itself tells what is behind it now.
fn behind_listed_name(path: &UsrPath, around: &ReplacementContext<'_>) -> Option<Replacement> {
    let name = LibraryName::parse(path.name()).filter(|name| name.shape.is_real())?;
    let mut doors: Vec<&UsrPath> = around
        .listed
        .iter()
        .filter(|other| other.parent() == path.parent() && is_door(other, &name))
        .collect();
    // `libfoo.so.1.2` belongs to `libfoo.so.1` before it belongs to any other soname of the stem.
    doors.sort_by_key(|door| !path.name().starts_with(&format!("{}.", door.name())));
    let door = doors.into_iter().next()?;
    if around.index.is_file(door) {
        return Some(Replacement {
            fate: Outcome::Pointless,
            because: format!("{door} is the file itself in this image"),
        });
    }
    let real = around.index.tree.resolve(door).end.node()?.clone();
    Some(arrived(
        real.clone(),
        &format!("{door} leads to {} in this image", real.name()),
        around,
        Outcome::Renamed,
    ))
}

fn is_door(other: &UsrPath, name: &LibraryName<'_>) -> bool {
    LibraryName::parse(other.name())
        .is_some_and(|other| other.stem == name.stem && matches!(other.shape, NameKind::Soname(_)))
}

/// The same name in another directory that the image uses now.
fn moved(path: &UsrPath, around: &ReplacementContext<'_>) -> Option<Replacement> {
    let tail = |of: &UsrPath| of.as_str().split_once('/').map(|(_, tail)| tail.to_owned());
    let named = around.index.named(path.name());
    let same_tail: Vec<&&UsrPath> =
        named.iter().filter(|other| Room::of(other) == Room::of(path) && tail(other) == tail(path)).collect();
    let there = match (same_tail.as_slice(), named.as_slice()) {
        ([only], _) => only,
        ([], [only]) if !is_unit(path) && Room::of(path) != Room::Other => only,
        ([], []) => return None,
        _ => return Some(open(named.iter().copied(), "the image has several files of this name")),
    };
    let directory = there.parent().map_or_else(|| "/usr".to_owned(), |parent| parent.to_string());
    Some(arrived((*there).clone(), &format!("it is in {directory} in this image"), around, Outcome::Moved))
}

/// A unit of the same name elsewhere is another unit (`system/` and `user/` hold the same names).
fn is_unit(path: &UsrPath) -> bool {
    path.as_str().contains("/systemd/system/") || path.as_str().contains("/systemd/user/")
}

/// The one library of the same stem and shape; among several, the one that is needed.
fn same_stem(path: &UsrPath, around: &ReplacementContext<'_>) -> Option<Replacement> {
    let name = LibraryName::parse(path.name()).filter(|name| name.shape != NameKind::Dev)?;
    let follows =
        |other: &&&UsrPath| LibraryName::parse(other.name()).is_some_and(|o| o.shape.follows(name.shape));
    let all = around.index.of_stem(name.stem);
    let mut candidates: Vec<&&UsrPath> =
        all.iter().filter(follows).filter(|o| o.parent() == path.parent()).collect();
    if candidates.is_empty() {
        candidates = all.iter().filter(follows).collect();
    }
    if candidates.is_empty() && name.shape.is_real() {
        return stem_without_real_file(&name, &all, around);
    }
    let needed: Vec<&&&UsrPath> =
        candidates.iter().filter(|other| around.wanted.contains(other.name())).collect();
    match (candidates.as_slice(), needed.as_slice()) {
        ([only], _) => {
            let reason = format!("the image's one {} of this kind is {}", name.stem, only.name());
            Some(arrived((**only).clone(), &reason, around, Outcome::Renamed))
        }
        (_, [only]) => {
            let reason =
                format!("of the image's several {}, {} is the one that is needed", name.stem, only.name());
            Some(arrived((***only).clone(), &reason, around, Outcome::Renamed))
        }
        ([], _) => None,
        _ => Some(open(
            candidates.into_iter().copied(),
            "the image has several of this stem, and nothing tells which is meant",
        )),
    }
}

/// glibc 2.34 and later have no `libpthread-2.31.so` behind `libpthread.so.0`.
fn stem_without_real_file(
    name: &LibraryName<'_>,
    all: &[&UsrPath],
    around: &ReplacementContext<'_>,
) -> Option<Replacement> {
    let file = all.iter().find(|other| around.listed.contains(**other) && around.index.is_file(other))?;
    Some(Replacement {
        fate: Outcome::Pointless,
        because: format!(
            "{file} is the file itself in this image; {} has no versioned name any more",
            name.stem
        ),
    })
}

fn dev_link_gone(path: &UsrPath, around: &ReplacementContext<'_>) -> Option<Replacement> {
    let name = LibraryName::parse(path.name()).filter(|name| name.shape == NameKind::Dev)?;
    let kept = around.index.of_stem(name.stem).into_iter().find(|other| !other.name().ends_with(".so"))?;
    Some(Replacement {
        fate: Outcome::Pointless,
        because: format!("the image has no link of this name any more; programs load {}", kept.name()),
    })
}

/// A successor that the manifest lists already makes the old line pointless.
fn arrived(
    there: UsrPath,
    reason: &str,
    around: &ReplacementContext<'_>,
    fate: fn(UsrPath) -> Outcome,
) -> Replacement {
    if around.listed.contains(&there) {
        return Replacement {
            fate: Outcome::Pointless,
            because: format!("{reason}, which is listed already"),
        };
    }
    Replacement { fate: fate(there), because: reason.to_owned() }
}

fn open<'a>(candidates: impl Iterator<Item = &'a UsrPath>, because: &str) -> Replacement {
    Replacement { fate: Outcome::Several(candidates.cloned().collect()), because: because.to_owned() }
}
