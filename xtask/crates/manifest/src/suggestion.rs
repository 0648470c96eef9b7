//! Suggestions for findings. The report renders them as commands that repeat the options of the run.

use std::collections::{BTreeMap, HashSet};

/// A remedy for a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suggestion {
    /// Run the fixes.
    RunFix,
    /// Run the fixes, and remove missing entries without a replacement.
    RunFixDropMissing,
    /// Add and remove manifest lines: needs a manual decision.
    EditManifest(Vec<ManifestEdit>),
    /// Hide a file of a manifest directory; the path is relative to the tree. The build ignores names that start with
    /// a dot.
    HideFile(String),
    /// Remove ranges of lines, counted from 1, from a file that is not a manifest.
    RemoveLineRanges {
        /// The file, relative to the tree.
        file: String,
        /// First and last line of each range, in order.
        lines: Vec<(usize, usize)>,
    },
    /// Use another release: no change of a manifest resolves the finding.
    ChangeRelease,
    /// First replace a symlink that points outside the tree with a copy: files outside the tree are never written.
    CopySymlinkTarget {
        /// The symlink: the manifest or a directory above it, relative to the tree.
        link: String,
        /// The suggestion after the copy.
        then: Box<Suggestion>,
    },
}

/// Lines to add to a manifest and to remove from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestEdit {
    /// The manifest, relative to the tree.
    pub file: String,
    /// The new lines.
    pub add: Vec<String>,
    /// The lines to remove, verbatim.
    pub remove: Vec<String>,
}

impl Suggestion {
    /// Suggests adding lines to one manifest.
    pub fn add<T: ToString>(file: &str, lines: impl IntoIterator<Item = T>) -> Suggestion {
        Suggestion::edit(file, lines, None)
    }

    /// Suggests adding lines to one manifest, and removing one.
    pub fn edit<T: ToString>(
        file: &str,
        add: impl IntoIterator<Item = T>,
        remove: Option<&str>,
    ) -> Suggestion {
        let add = add.into_iter().map(|line| line.to_string()).collect();
        let remove = remove.into_iter().map(str::to_owned).collect();
        Suggestion::EditManifest(vec![ManifestEdit { file: file.to_owned(), add, remove }])
    }

    /// Suggests removing lines, given as (manifest, line).
    pub fn remove<'l>(lines: impl IntoIterator<Item = (&'l str, &'l str)>) -> Suggestion {
        let mut by_file: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut seen: HashSet<(&str, &str)> = HashSet::new();
        for (file, line) in lines.into_iter().filter(|line| seen.insert(*line)) {
            by_file.entry(file).or_default().push(line.to_owned());
        }
        let edit = |(file, remove): (&str, Vec<String>)| ManifestEdit {
            file: file.to_owned(),
            add: Vec::new(),
            remove,
        };
        Suggestion::EditManifest(by_file.into_iter().map(edit).collect())
    }

    /// The suggestion preceded by a copy of the file outside the tree to which `link` points.
    pub fn after_copying(self, link: &str) -> Suggestion {
        Suggestion::CopySymlinkTarget { link: link.to_owned(), then: Box::new(self) }
    }
}
