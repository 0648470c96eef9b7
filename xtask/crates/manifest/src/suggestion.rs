//! Suggestions for findings. The report renders them as commands that repeat the options of the run.

use std::collections::BTreeMap;

/// What to do about a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suggestion {
    /// Run the fixes.
    Mend,
    /// Run the fixes, and remove missing entries without a replacement.
    DropMissing,
    /// Add and remove lines: only a person can decide whether that is wanted.
    Edit(Vec<LineEdit>),
    /// Hide a file of a manifest directory, relative to the tree: the build passes over names that start with a dot.
    HideFile(String),
    /// Use another release: no line of a manifest helps.
    OtherRelease,
    /// Replace a symlink to a place outside the tree, which is never written, by a copy first.
    Own {
        /// The symlink, the manifest or a directory above it, relative to the tree.
        link: String,
        /// What to do then.
        then: Box<Suggestion>,
    },
}

/// Lines to add to a manifest and to remove from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineEdit {
    /// The manifest, relative to the tree.
    pub file: String,
    /// The new lines.
    pub add: Vec<String>,
    /// The lines to remove, verbatim.
    pub remove: Vec<String>,
}

impl Suggestion {
    /// The addition of lines to one manifest.
    pub fn add<T: ToString>(file: &str, lines: impl IntoIterator<Item = T>) -> Suggestion {
        let add = lines.into_iter().map(|line| line.to_string()).collect();
        Suggestion::Edit(vec![LineEdit { file: file.to_owned(), add, remove: Vec::new() }])
    }

    /// The replacement of one line by another.
    pub fn replace(file: &str, old: &str, new: &str) -> Suggestion {
        let (add, remove) = (vec![new.to_owned()], vec![old.to_owned()]);
        Suggestion::Edit(vec![LineEdit { file: file.to_owned(), add, remove }])
    }

    /// The removal of lines, each with its manifest.
    pub fn remove<'l>(lines: impl IntoIterator<Item = (&'l str, &'l str)>) -> Suggestion {
        let mut by_file: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (file, line) in lines {
            let lines = by_file.entry(file).or_default();
            if !lines.iter().any(|known| known == line) {
                lines.push(line.to_owned());
            }
        }
        let edit =
            |(file, remove): (&str, Vec<String>)| LineEdit { file: file.to_owned(), add: Vec::new(), remove };
        Suggestion::Edit(by_file.into_iter().map(edit).collect())
    }

    /// The same for a manifest outside the tree, to which `link` points.
    #[must_use]
    pub fn behind(self, link: &str) -> Suggestion {
        Suggestion::Own { link: link.to_owned(), then: Box::new(self) }
    }
}
