//! Replacements of listed paths that are not in the image under their name.

use std::collections::{BTreeMap, BTreeSet};

use super::image_index::{ImageIndex, PathClass};
use super::library_name::{LibraryName, NameKind};
use usr::path::UsrPath;
use usr::tree::{NodeKind, Target};

/// The replacement of a line, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The outcome.
    pub outcome: Outcome,
    /// The reason, which a reader can check in the image.
    pub reason: String,
}

/// The outcome for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The file was renamed.
    Renamed(UsrPath),
    /// The file was moved to another directory, under the same name.
    Moved(UsrPath),
    /// The line is redundant.
    Redundant,
    /// Several paths are possible replacements.
    Ambiguous(Vec<UsrPath>),
    /// No replacement; these paths have similar names.
    NotFound(Vec<UsrPath>),
}

/// The context that determines the replacement of a path.
#[derive(Debug)]
pub struct ReplacementContext<'a> {
    /// The image.
    pub index: &'a ImageIndex<'a>,
    /// The entries of the same manifest that are in the image.
    pub listed: &'a BTreeSet<UsrPath>,
    /// The entries of every manifest of the board that are in the image: a library has the same replacement in all.
    pub listed_in_image: &'a BTreeSet<UsrPath>,
    /// Moved directories.
    pub moved_directories: &'a MovedDirectories,
    /// Unresolved sonames of listed files, which select one of several candidates.
    pub unresolved_sonames: &'a BTreeSet<String>,
}

/// Directories that are not in the image, each with the only directory that has all of their listed files. One file is
/// not enough evidence for a moved directory.
#[derive(Debug, Default)]
pub struct MovedDirectories(BTreeMap<UsrPath, UsrPath>);

impl MovedDirectories {
    /// Compares the entries of a board's manifests with its image.
    pub fn find<'l>(lines: impl Iterator<Item = &'l str>, index: &ImageIndex<'_>) -> MovedDirectories {
        let mut names: BTreeMap<UsrPath, BTreeSet<String>> = BTreeMap::new();
        for path in
            lines.filter(|line| index.tree.get(line).is_none()).filter_map(|line| UsrPath::new(line).ok())
        {
            if let Some(directory) =
                path.parent().filter(|directory| index.tree.get(directory.as_str()).is_none())
            {
                names.entry(directory).or_default().insert(path.name().to_owned());
            }
        }
        let moved = |(from, names): (UsrPath, BTreeSet<String>)| {
            let candidates = index.get(names.first()?).into_iter().filter_map(UsrPath::parent);
            let mut candidates = candidates.filter(|to| {
                PathClass::from_path(to) == PathClass::from_path(&from)
                    && names.iter().all(|name| index.tree.get(to.join(name).as_str()).is_some())
            });
            let to = candidates.next().filter(|_| names.len() > 1)?;
            candidates.next().is_none().then_some((from, to))
        };
        MovedDirectories(names.into_iter().filter_map(moved).collect())
    }
}

/// Finds the replacement of `path`; `None` for a path that is in the image as listed.
pub fn find_replacement(path: &UsrPath, context: &ReplacementContext<'_>) -> Option<Replacement> {
    if let Some(node) = context.index.tree.get(path.as_str()) {
        return (path.parent().is_none() && node.kind == NodeKind::Directory)
            .then(|| top_level_directory(path, context));
    }
    let found = via_directory_symlink(path, context)
        .or_else(|| via_soname_symlink(path, context))
        .or_else(|| same_name_elsewhere(path, context))
        .or_else(|| same_stem(path, context))
        .or_else(|| linker_name_dropped(path, context));
    Some(found.unwrap_or_else(|| Replacement {
        outcome: Outcome::NotFound(context.index.similar_names(path).into_iter().cloned().collect()),
        reason: "the image has no file of this name and no certain replacement".to_owned(),
    }))
}

/// A line like `lib` that was a symlink and is a directory now: the line would add everything below.
fn top_level_directory(path: &UsrPath, context: &ReplacementContext<'_>) -> Replacement {
    let below = context.index.tree.below(path).filter(|(_, node)| node.kind != NodeKind::Directory).count();
    Replacement {
        outcome: Outcome::Redundant,
        reason: format!(
            "{path} is a directory in this image; listed, it would add all {below} files below it"
        ),
    }
}

/// A path through a directory symlink: unsquashfs matches only real paths.
fn via_directory_symlink(path: &UsrPath, context: &ReplacementContext<'_>) -> Option<Replacement> {
    // The last component is not followed: a symlink can be listed itself.
    let resolved = context.index.tree.resolve(&path.parent()?);
    let Target::Node(directory) = resolved.end else { return None };
    let real = directory.join(path.name());
    let link = resolved.links.first()?;
    if is_file_name(path) && context.index.is_directory(&real) {
        return None;
    }
    context.index.tree.get(real.as_str())?;
    let target = match context.index.tree.get(link.as_str()).map(|node| &node.kind) {
        Some(NodeKind::Symlink(target)) => target.as_str(),
        _ => directory.as_str(),
    };
    Some(unless_listed(real, &format!("{link} is a symlink to {target}"), context, Outcome::Moved))
}

/// `libz.so.1.2.8` where the manifest lists `libz.so.1`: the symlink itself points to the current real name.
fn via_soname_symlink(path: &UsrPath, context: &ReplacementContext<'_>) -> Option<Replacement> {
    let name = context.index.library_name(path.name()).filter(|name| name.kind.is_real_name())?;
    let soname = sonames_of(name.stem, &path.parent()?, context).find(|other| is_soname_for(other, &name))?;
    if context.index.is_file(soname) {
        return Some(Replacement {
            outcome: Outcome::Redundant,
            reason: format!("{soname} is the file itself in this image"),
        });
    }
    let real = context.index.tree.resolve(soname).end.node()?.clone();
    let reason = format!("{soname} points to {} in this image", real.name());
    Some(unless_listed(real, &reason, context, Outcome::Renamed))
}

fn is_soname_for(other: &UsrPath, name: &LibraryName<'_>) -> bool {
    LibraryName::parse(other.name()).is_some_and(|other| {
        other.stem == name.stem
            && matches!(other.kind, NameKind::Soname(version) if name.kind.belongs_to_soname(version))
    })
}

/// The same name in another directory of the same use.
fn same_name_elsewhere(path: &UsrPath, context: &ReplacementContext<'_>) -> Option<Replacement> {
    let mut candidates = context.index.get(path.name());
    // A directory is not a moved file: listed, it would add everything below it.
    let is_file = |other: &UsrPath| !is_file_name(path) || !context.index.is_directory(other);
    candidates.retain(|other| PathClass::from_path(other) == PathClass::from_path(path) && is_file(other));
    if candidates.iter().any(|other| is_same_below_top_directory(path, other)) {
        candidates.retain(|other| is_same_below_top_directory(path, other));
    } else {
        candidates.retain(|other| is_plausible_move(path, other, context));
    }
    let real = match candidates.as_slice() {
        [] => return None,
        [only] => *only,
        _ => {
            candidates.retain(|other| !context.index.is_directory(other));
            return Some(ambiguous(candidates.into_iter(), "the image has several files of this name"));
        }
    };
    let directory = real.parent().map_or_else(|| "/usr".to_owned(), |parent| parent.to_string());
    Some(unless_listed(real.clone(), &format!("it is in {directory} in this image"), context, Outcome::Moved))
}

/// Whether two paths differ in the first component only: `lib/systemd/x` and `lib64/systemd/x`.
fn is_same_below_top_directory(one: &UsrPath, other: &UsrPath) -> bool {
    let tail = |path: &UsrPath| path.as_str().split_once('/').map(|(_, tail)| tail.to_owned());
    tail(one) == tail(other)
}

/// Whether a file of the same name in another directory is the same file, moved. Programs move between program
/// directories, libraries into directories that the loader searches, and any file together with its directory. A file
/// elsewhere is a different file of the same name (`lib/klibc/bin/mount`).
fn is_plausible_move(old: &UsrPath, new: &UsrPath, context: &ReplacementContext<'_>) -> bool {
    let index = context.index;
    let (Some(from), Some(to)) = (old.parent(), new.parent()) else { return false };
    // Of two units of one name, one is for the system manager and one for users.
    if is_unit(old) {
        return false;
    }
    let is_shared_library = LibraryName::parse(old.name()).is_some()
        && ["lib", "ld"].iter().any(|start| old.name().starts_with(start));
    index.is_program_directory(&from) && index.is_program_directory(&to)
        || is_shared_library && index.is_library_directory(&to)
        || context.moved_directories.0.get(&from) == Some(&to)
        || is_moved_directory(&from, &to, index)
}

/// Whether the directory `to` replaces `from`: `from` is not in the image, and the names are equal except for a version
/// at the end.
fn is_moved_directory(from: &UsrPath, to: &UsrPath, index: &ImageIndex<'_>) -> bool {
    const GENERIC: [&str; 6] = ["bin", "sbin", "lib", "lib64", "libexec", "share"];
    let base = |path: &UsrPath| {
        let name = path.name();
        name.trim_end_matches(|c: char| c.is_ascii_digit() || "-._".contains(c)).to_owned()
    };
    !GENERIC.contains(&from.name())
        && !base(from).is_empty()
        && base(from) == base(to)
        && index.tree.get(from.as_str()).is_none()
}

fn is_unit(path: &UsrPath) -> bool {
    path.as_str().contains("/systemd/system/") || path.as_str().contains("/systemd/user/")
}

/// The only library of the same stem and kind of name that is not older; among several, the one that is a dependency.
fn same_stem(path: &UsrPath, context: &ReplacementContext<'_>) -> Option<Replacement> {
    let index = context.index;
    let name = index.library_name(path.name()).filter(|name| name.kind != NameKind::LinkerName)?;
    let all = libraries(name.stem, index);
    let can_replace = |other: &&&UsrPath| {
        index.library_name(other.name()).is_some_and(|other| other.kind.can_replace(name.kind))
            && index.is_library(other)
    };
    let newer: Vec<&UsrPath> = all.iter().filter(can_replace).copied().collect();
    let directory = path.parent();
    let mut candidates: Vec<&UsrPath> =
        newer.iter().copied().filter(|other| other.parent() == directory).collect();
    if candidates.is_empty() {
        let is_used_alike = |other: &UsrPath| {
            let (Some(to), Some(from)) = (other.parent(), &directory) else { return false };
            index.is_library_directory(&to) || is_same_below_top_directory(from, &to)
        };
        candidates = newer.into_iter().filter(|other| is_used_alike(other)).collect();
    }
    // A file that is its own soname (`libssl.so.1.1`) is one of several versions, whatever the form of the others' names.
    let is_own_soname = |other: &UsrPath| index.soname(other) == Some(other.name());
    if candidates.iter().any(|other| is_own_soname(other)) {
        let others = all.iter().copied().filter(|other| other.parent() == directory && is_own_soname(other));
        let is_newer = |other: &UsrPath| {
            index.library_name(other.name()).is_some_and(|other| other.kind.is_newer_than(name.kind))
        };
        candidates = candidates.into_iter().chain(others.filter(|other| is_newer(other))).collect();
        candidates.sort();
        candidates.dedup();
    }
    if candidates.is_empty() && name.kind.is_real_name() {
        return find_dropped_real_name(&name, all, context);
    }
    if let [only] = candidates.as_slice() {
        let reason = format!("the image's one {} of this kind is {}", name.stem, only.name());
        return Some(unless_listed((*only).clone(), &reason, context, Outcome::Renamed));
    }
    let needed: Vec<&&UsrPath> =
        candidates.iter().filter(|other| context.unresolved_sonames.contains(other.name())).collect();
    if let [only] = needed.as_slice() {
        let reason =
            format!("of the image's several {}, {} is the one that is needed", name.stem, only.name());
        return Some(unless_listed((**only).clone(), &reason, context, Outcome::Renamed));
    }
    let pointed_to: Vec<&&UsrPath> =
        candidates.iter().filter(|other| has_listed_soname(other, name.stem, context)).collect();
    if let [only] = pointed_to.as_slice() {
        let reason =
            format!("of the image's several {}, a listed symlink points to {}", name.stem, only.name());
        return Some(unless_listed((**only).clone(), &reason, context, Outcome::Renamed));
    }
    (!candidates.is_empty()).then(|| {
        ambiguous(candidates.into_iter(), "the image has several of this stem, and nothing decides which")
    })
}

/// The names of one library. Real ones have a tenth of that.
pub const MAX_LIBRARIES: usize = 100;

/// The libraries of a stem; none if there are more than a real library has, because no replacement is certain then.
fn libraries<'i>(stem: &str, index: &'i ImageIndex<'_>) -> &'i [&'i UsrPath] {
    Some(index.libraries_with_stem(stem)).filter(|all| all.len() <= MAX_LIBRARIES).unwrap_or_default()
}

/// Whether a listed soname of the stem points to a file.
fn has_listed_soname(file: &UsrPath, stem: &str, context: &ReplacementContext<'_>) -> bool {
    let Some(directory) = file.parent() else { return false };
    sonames_of(stem, &directory, context)
        .filter(|soname| *soname != file && context.index.is_symlink(soname))
        .any(|soname| context.index.tree.resolve(soname).end.node() == Some(file))
}

/// The listed versioned names of a stem in a directory.
fn sonames_of<'a>(
    stem: &str,
    directory: &UsrPath,
    context: &ReplacementContext<'a>,
) -> impl Iterator<Item = &'a UsrPath> {
    // The real name of glibc's loader has another stem than its soname.
    let file = if stem == "ld" { "ld-linux".to_owned() } else { format!("{stem}.so.") };
    let first = directory.join(&file);
    let listed = context.listed_in_image.range(first.clone()..);
    listed.take_while(move |path| path.as_str().starts_with(first.as_str()))
}

/// glibc 2.34 and later have no `libpthread-2.31.so` that `libpthread.so.0` points to.
fn find_dropped_real_name(
    name: &LibraryName<'_>,
    all: &[&UsrPath],
    context: &ReplacementContext<'_>,
) -> Option<Replacement> {
    // Without a version in the name, there is no separate soname.
    let is_plain = |other: &UsrPath| {
        LibraryName::parse(other.name()).is_some_and(|other| other.kind == NameKind::LinkerName)
    };
    let is_the_file = |other: &&&UsrPath| {
        context.listed_in_image.contains(**other)
            && context.index.is_file(other)
            && (is_plain(other) || is_soname_for(other, name))
    };
    let file = all.iter().find(is_the_file)?;
    Some(Replacement {
        outcome: Outcome::Redundant,
        reason: format!(
            "{file} is the file itself in this image; {} has no versioned name any more",
            name.stem
        ),
    })
}

fn linker_name_dropped(path: &UsrPath, context: &ReplacementContext<'_>) -> Option<Replacement> {
    let name = context.index.library_name(path.name()).filter(|name| name.kind == NameKind::LinkerName)?;
    let libraries = libraries(name.stem, context.index).iter().copied();
    let is_versioned = |other: &&UsrPath| !other.name().ends_with(".so") && context.index.is_library(other);
    let kept = libraries.into_iter().find(is_versioned)?;
    Some(Replacement {
        outcome: Outcome::Redundant,
        reason: format!("the image has no symlink of this name any more; programs load {}", kept.name()),
    })
}

/// A replacement that the manifest lists already makes the old line redundant.
fn unless_listed(
    real: UsrPath,
    reason: &str,
    context: &ReplacementContext<'_>,
    outcome: fn(UsrPath) -> Outcome,
) -> Replacement {
    if context.listed.contains(&real) {
        return Replacement {
            outcome: Outcome::Redundant,
            reason: format!("{reason}, which is listed already"),
        };
    }
    Replacement { outcome: outcome(real), reason: reason.to_owned() }
}

/// Whether a path has a name that only files have: in a directory of programs, or with an extension. Directories of
/// systemd and others have extensions too (`.d`, `.wants`).
pub fn is_file_name(path: &UsrPath) -> bool {
    const OF_DIRECTORIES: [&str; 4] = ["d", "wants", "requires", "upholds"];
    let extension = path.name().rsplit_once('.').map(|(_, extension)| extension);
    matches!(path.parent().as_ref().map(UsrPath::as_str), Some("bin" | "sbin"))
        || LibraryName::parse(path.name()).is_some()
        || extension.is_some_and(|it| {
            !OF_DIRECTORIES.contains(&it) && it.starts_with(|c: char| c.is_ascii_alphabetic())
        })
}

fn ambiguous<'a>(candidates: impl Iterator<Item = &'a UsrPath>, reason: &str) -> Replacement {
    let candidates: Vec<UsrPath> = candidates.cloned().collect();
    let outcome =
        if candidates.is_empty() { Outcome::NotFound(candidates) } else { Outcome::Ambiguous(candidates) };
    Replacement { outcome, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
