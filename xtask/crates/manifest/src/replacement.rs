//! Replacements of listed paths that are not in the image under their name.

use std::collections::{BTreeMap, BTreeSet};

use super::exactly_one;
use super::file::ManifestFile;
use super::image_index::{ImageIndex, MAX_SAME_NAME, directory_use, is_program_directory, looks_like_file};
use usr::{LibraryName, NameKind, NodeKind, UsrPath, library_name::strip_trailing_version};

/// What became of a listed path, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacementResult {
    /// The outcome.
    pub outcome: ReplacementOutcome,
    /// The reason, which a reader can check in the image.
    pub reason: String,
}

/// The outcome for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplacementOutcome {
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

impl ReplacementOutcome {
    /// The replacement, or the possible ones.
    pub fn candidates(&self) -> &[UsrPath] {
        match self {
            Self::Renamed(to) | Self::Moved(to) => std::slice::from_ref(to),
            Self::Redundant => &[],
            Self::Ambiguous(candidates) | Self::NotFound(candidates) => candidates,
        }
    }
}

/// The manifests and the image that determine the replacement of a path.
#[derive(Debug)]
pub struct ReplacementContext<'a> {
    index: &'a ImageIndex<'a>,
    /// The entries of the same manifest that are in the image.
    listed_in_manifest: BTreeSet<UsrPath>,
    /// The entries of every manifest of the board that are in the image: a library has the same replacement in all.
    listed_in_any_manifest: BTreeSet<UsrPath>,
    /// Directories that are not in the image, each with the only directory that has all of their listed files.
    moved_directories: BTreeMap<UsrPath, UsrPath>,
    /// Unresolved sonames of listed files, which select one of several candidates.
    unresolved_sonames: &'a BTreeSet<String>,
}

/// Whether an entry can have a replacement: a path that is not in the image, or a top directory.
pub fn may_need_replacement(line: &str, index: &ImageIndex<'_>) -> bool {
    index.tree.get(line).is_none() || !line.contains('/')
}

impl<'a> ReplacementContext<'a> {
    /// The context for the entries of the manifests of a board.
    pub fn new<'l>(
        lines: impl Iterator<Item = &'l str>,
        index: &'a ImageIndex<'a>,
        unresolved_sonames: &'a BTreeSet<String>,
    ) -> ReplacementContext<'a> {
        let paths = lines.filter_map(|line| UsrPath::new(line).ok());
        let (listed_in_any_manifest, missing): (BTreeSet<UsrPath>, BTreeSet<UsrPath>) =
            paths.partition(|path| index.tree.get(path.as_str()).is_some());
        let moved_directories = find_moved_directories(&missing, index);
        ReplacementContext {
            index,
            listed_in_manifest: BTreeSet::new(),
            listed_in_any_manifest,
            moved_directories,
            unresolved_sonames,
        }
    }

    /// Sets the manifest in which paths are replaced.
    pub fn set_manifest(&mut self, manifest: &ManifestFile) {
        let paths = manifest.entries().filter_map(|(_, line)| UsrPath::new(line).ok());
        self.listed_in_manifest = paths.filter(|path| self.index.tree.get(path.as_str()).is_some()).collect();
    }

    /// Records that a line was replaced.
    pub fn record_replacement(&mut self, path: &UsrPath, outcome: &ReplacementOutcome) {
        self.listed_in_manifest.remove(path);
        self.listed_in_manifest.extend(outcome.candidates().iter().cloned());
        self.listed_in_any_manifest.extend(outcome.candidates().iter().cloned());
    }

    /// Whether a library of this stem is an unresolved dependency.
    pub fn has_unresolved_soname(&self, stem: &str) -> bool {
        let start = format!("{stem}.so");
        let mut names = self.unresolved_sonames.range(start.clone()..);
        names.next().is_some_and(|name| name.starts_with(&start))
    }

    /// Finds the replacement of `path`; `None` for a path that is in the image as listed.
    pub fn find_replacement(&self, path: &UsrPath) -> Option<ReplacementResult> {
        if let Some(node) = self.index.tree.get(path.as_str()) {
            return (path.parent().is_none() && node.kind == NodeKind::Directory)
                .then(|| self.redundant_top_directory(path));
        }
        let found = self
            .via_directory_symlink(path)
            .or_else(|| self.via_soname_symlink(path))
            .or_else(|| self.same_name_elsewhere(path))
            .or_else(|| self.same_stem(path))
            .or_else(|| self.linker_name_dropped(path));
        Some(found.unwrap_or_else(|| ReplacementResult {
            outcome: ReplacementOutcome::NotFound(
                self.index.similar_names(path).into_iter().cloned().collect(),
            ),
            reason: "the image has no file of this name and no certain replacement".to_owned(),
        }))
    }

    /// A line like `lib` that was a symlink and is a directory now: the line would add everything below.
    fn redundant_top_directory(&self, path: &UsrPath) -> ReplacementResult {
        let below = self.index.tree.below(path).filter(|(_, node)| node.kind != NodeKind::Directory).count();
        redundant(format!(
            "{path} is a directory in this image; listed, it would add all {below} files below it"
        ))
    }

    /// A path through a directory symlink: unsquashfs matches only real paths.
    fn via_directory_symlink(&self, path: &UsrPath) -> Option<ReplacementResult> {
        // The last component is not followed: a symlink can be listed itself.
        let resolved = self.index.tree.resolve(&path.parent()?);
        let real = resolved.end.node()?.join(path.name());
        let link = resolved.links.first()?;
        if looks_like_file(path) && self.index.resolves_to_directory(&real) {
            return None;
        }
        self.index.tree.get(real.as_str())?;
        let NodeKind::Symlink(target) = &self.index.tree.get(link.as_str())?.kind else { return None };
        Some(self.redundant_if_listed(
            real,
            format!("{link} is a symlink to {target}"),
            ReplacementOutcome::Moved,
        ))
    }

    /// `libz.so.1.2.8` where the manifest lists `libz.so.1`: the symlink itself points to the current real name.
    fn via_soname_symlink(&self, path: &UsrPath) -> Option<ReplacementResult> {
        let name = self.index.library_name(path).filter(|name| name.kind.is_real_name())?;
        let mut sonames = self.listed_versioned_names(name.stem, &path.parent()?);
        let soname = sonames.find(|other| is_soname_for(other, &name))?;
        if self.index.is_file(soname) {
            return Some(redundant(format!("{soname} is the file itself in this image")));
        }
        let real = self.index.tree.resolve(soname).end.node()?.clone();
        let reason = format!("{soname} points to {} in this image", real.name());
        Some(self.redundant_if_listed(real, reason, ReplacementOutcome::Renamed))
    }

    /// The same name in another directory of the same use.
    fn same_name_elsewhere(&self, path: &UsrPath) -> Option<ReplacementResult> {
        let mut candidates = self.index.with_name_unless_too_many(path.name());
        // A directory is not a moved file: listed, it would add everything below it.
        let is_file = |other: &UsrPath| !looks_like_file(path) || !self.index.resolves_to_directory(other);
        candidates.retain(|other| directory_use(other) == directory_use(path) && is_file(other));
        let is_same_below_top = |other: &&UsrPath| below_top_directory(path) == below_top_directory(other);
        if candidates.iter().any(is_same_below_top) {
            candidates.retain(is_same_below_top);
        } else {
            candidates.retain(|other| self.is_plausible_move(path, other));
        }
        if candidates.len() > 1 {
            candidates.retain(|other| !self.index.resolves_to_directory(other));
            return Some(ambiguous_or_not_found(candidates, "the image has several files of this name"));
        }
        let real = candidates.pop()?;
        let directory = real.parent().map_or_else(|| "/usr".to_owned(), |parent| parent.to_string());
        Some(self.redundant_if_listed(
            real.clone(),
            format!("it is in {directory} in this image"),
            ReplacementOutcome::Moved,
        ))
    }

    /// Whether a file of the same name in another directory is the same file, moved. Programs move between program
    /// directories, libraries into directories that the loader searches, and any file together with its directory. A
    /// file elsewhere is a different file of the same name (`lib/klibc/bin/mount`).
    fn is_plausible_move(&self, old: &UsrPath, new: &UsrPath) -> bool {
        let index = self.index;
        let (Some(from), Some(to)) = (old.parent(), new.parent()) else { return false };
        // Of two units of one name, one is for the system manager and one for users.
        if ["/systemd/system/", "/systemd/user/"].iter().any(|scope| old.as_str().contains(scope)) {
            return false;
        }
        let is_shared_library = LibraryName::from_path(old).is_some()
            && ["lib", "ld"].iter().any(|start| old.name().starts_with(start));
        is_program_directory(&from) && is_program_directory(&to)
            || is_shared_library && index.is_loader_search_directory(&to)
            || self.moved_directories.get(&from) == Some(&to)
            || is_new_directory_version(&from, &to, index)
    }

    /// The only library of the same stem and kind of name that is not older; among several, the one that is a
    /// dependency.
    fn same_stem(&self, path: &UsrPath) -> Option<ReplacementResult> {
        let name = self.index.library_name(path).filter(|name| name.kind != NameKind::LinkerName)?;
        let stem = name.stem;
        let candidates = self.newer_libraries(path, &name);
        if candidates.is_empty() {
            return if name.kind.is_real_name() { self.real_name_dropped(&name) } else { None };
        }
        let the_only = |is_one: &dyn Fn(&UsrPath) -> bool| {
            exactly_one(candidates.iter().copied().filter(|candidate| is_one(candidate)))
        };
        let (real, reason) = if let Some(real) = the_only(&|_| true) {
            (real, format!("the image's one {stem} of this kind is {}", real.name()))
        } else if let Some(real) = the_only(&|other| self.unresolved_sonames.contains(other.name())) {
            (real, format!("of the image's several {stem}, {} is the one that is needed", real.name()))
        } else if let Some(real) = the_only(&|other| self.is_listed_soname_target(other, stem)) {
            (real, format!("of the image's several {stem}, a listed symlink points to {}", real.name()))
        } else {
            let reason = "the image has several of this stem, and nothing decides which";
            return Some(ambiguous_or_not_found(candidates, reason));
        };
        Some(self.redundant_if_listed(real.clone(), reason, ReplacementOutcome::Renamed))
    }

    /// The libraries of the same stem and kind of name that are not older than `name`, the name of `path`: those of its
    /// directory, else those of other directories of the same use.
    fn newer_libraries(&self, path: &UsrPath, name: &LibraryName<'_>) -> BTreeSet<&'a UsrPath> {
        let (index, directory) = (self.index, path.parent());
        let all = index.with_stem_unless_too_many(name.stem);
        let is_in_directory = |other: &&UsrPath| other.parent() == directory;
        let can_replace = |other: &&UsrPath| {
            index.library_name(other).is_some_and(|other| other.can_replace(name))
                && index.can_be_library(other)
        };
        let newer: Vec<&UsrPath> = all.iter().copied().filter(can_replace).collect();
        let mut candidates: BTreeSet<&UsrPath> = newer.iter().copied().filter(is_in_directory).collect();
        if candidates.is_empty() {
            let is_used_alike = |other: &&UsrPath| {
                let (Some(to), Some(from)) = (other.parent(), &directory) else { return false };
                index.is_loader_search_directory(&to) || below_top_directory(from) == below_top_directory(&to)
            };
            candidates = newer.into_iter().filter(is_used_alike).collect();
        }
        // A file that is its own soname (`libssl.so.1.1`) is one of several versions, whatever the form of the others'
        // names.
        let is_own_soname = |other: &UsrPath| index.soname(other) == Some(other.name());
        if candidates.iter().any(|other| is_own_soname(other)) {
            let others = all.iter().copied().filter(is_in_directory).filter(|other| is_own_soname(other));
            let is_newer =
                |other: &&UsrPath| index.library_name(other).is_some_and(|other| other.is_newer_than(name));
            candidates.extend(others.filter(is_newer));
        }
        candidates
    }

    fn is_listed_soname_target(&self, file: &UsrPath, stem: &str) -> bool {
        let Some(directory) = file.parent() else { return false };
        self.listed_versioned_names(stem, &directory)
            .filter(|soname| *soname != file && self.index.is_symlink(soname))
            .any(|soname| self.index.tree.resolve(soname).end.node() == Some(file))
    }

    fn listed_versioned_names<'s>(
        &'s self,
        stem: &str,
        directory: &UsrPath,
    ) -> impl Iterator<Item = &'s UsrPath> + use<'s, 'a> {
        // The real name of glibc's loader has another stem than its soname.
        let file = if stem == "ld" { "ld-linux".to_owned() } else { format!("{stem}.so.") };
        let first = directory.join(&file);
        let listed = self.listed_in_any_manifest.range(first.clone()..);
        listed.take_while(move |path| path.as_str().starts_with(first.as_str())).take(MAX_SAME_NAME)
    }

    /// glibc 2.34 and later have no `libpthread-2.31.so` that `libpthread.so.0` points to.
    fn real_name_dropped(&self, name: &LibraryName<'_>) -> Option<ReplacementResult> {
        let all = self.index.with_stem_unless_too_many(name.stem);
        let resolves_to =
            |path: &UsrPath, file: &UsrPath| self.index.tree.resolve(path).end.node() == Some(file);
        let is_the_file = |path: &&&UsrPath| {
            let Some(other) = LibraryName::from_path(**path) else { return false };
            // Without a version in the name, there is no separate soname.
            let is_plain = other.kind == NameKind::LinkerName;
            let is_only_newer = || other.is_newer_than(name) && all.iter().all(|one| resolves_to(one, path));
            self.listed_in_any_manifest.contains(**path)
                && self.index.is_file(path)
                && (is_plain || is_soname_for(path, name) || is_only_newer())
        };
        let (file, stem) = (all.iter().find(is_the_file)?, name.stem);
        Some(redundant(format!(
            "{file} is the file itself in this image; {stem} has no versioned name any more"
        )))
    }

    fn linker_name_dropped(&self, path: &UsrPath) -> Option<ReplacementResult> {
        let name = self.index.library_name(path).filter(|name| name.kind == NameKind::LinkerName)?;
        let is_versioned =
            |other: &&&UsrPath| !other.name().ends_with(".so") && self.index.can_be_library(other);
        let kept = self.index.with_stem_unless_too_many(name.stem).iter().find(is_versioned)?;
        let name = kept.name();
        Some(redundant(format!("the image has no symlink of this name any more; programs load {name}")))
    }

    /// A replacement that the manifest lists already makes the old line redundant.
    fn redundant_if_listed(
        &self,
        real: UsrPath,
        reason: String,
        outcome: fn(UsrPath) -> ReplacementOutcome,
    ) -> ReplacementResult {
        if self.listed_in_manifest.contains(&real) {
            return redundant(format!("{reason}, which is listed already"));
        }
        ReplacementResult { outcome: outcome(real), reason }
    }
}

/// The directories that are not in the image, each with the only directory that has all of their files among the missing
/// paths. One file is not enough evidence for a moved directory.
fn find_moved_directories(missing: &BTreeSet<UsrPath>, index: &ImageIndex<'_>) -> BTreeMap<UsrPath, UsrPath> {
    let mut names: BTreeMap<UsrPath, BTreeSet<&str>> = BTreeMap::new();
    for path in missing {
        if let Some(directory) = path.parent().filter(|above| index.tree.get(above.as_str()).is_none()) {
            names.entry(directory).or_default().insert(path.name());
        }
    }
    let moved = |(from, names): (UsrPath, BTreeSet<&str>)| {
        let mut paths = names.iter().map(|name| index.with_name_unless_too_many(name));
        let candidates = paths.find(|paths| !paths.is_empty())?.into_iter().filter_map(UsrPath::parent);
        let to = exactly_one(candidates.filter(|to| {
            directory_use(to) == directory_use(&from)
                && names.iter().all(|name| index.tree.get(to.join(name).as_str()).is_some())
        }))?;
        Some((from, to))
    };
    names.into_iter().filter(|(_, names)| names.len() > 1).filter_map(moved).collect()
}

fn is_soname_for(other: &UsrPath, name: &LibraryName<'_>) -> bool {
    LibraryName::from_path(other).is_some_and(|other| {
        other.stem == name.stem && other.kind == NameKind::Soname && name.belongs_to_soname(other.version)
    })
}

/// `systemd/x` of `lib/systemd/x` and `lib64/systemd/x`.
fn below_top_directory(path: &UsrPath) -> Option<&str> {
    path.as_str().split_once('/').map(|(_, below)| below)
}

/// Whether the directory `to` replaces `from`: `from` is not in the image, and the names are equal except for a version
/// at the end. Names that are only versions (`gcc/x86_64-cros-linux-gnu/4.9.3`) are compared within one directory.
fn is_new_directory_version(from: &UsrPath, to: &UsrPath, index: &ImageIndex<'_>) -> bool {
    const GENERIC: [&str; 6] = ["bin", "sbin", "lib", "lib64", "libexec", "share"];
    let (old, new) = (strip_trailing_version(from.name()), strip_trailing_version(to.name()));
    !GENERIC.contains(&from.name())
        && old == new
        && (!old.is_empty() || from.parent() == to.parent())
        && index.tree.get(from.as_str()).is_none()
}

fn redundant(reason: String) -> ReplacementResult {
    ReplacementResult { outcome: ReplacementOutcome::Redundant, reason }
}

fn ambiguous_or_not_found<'a>(
    candidates: impl IntoIterator<Item = &'a UsrPath>,
    reason: &str,
) -> ReplacementResult {
    let candidates: Vec<UsrPath> = candidates.into_iter().cloned().collect();
    let outcome = match candidates.is_empty() {
        true => ReplacementOutcome::NotFound(candidates),
        false => ReplacementOutcome::Ambiguous(candidates),
    };
    ReplacementResult { outcome, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
