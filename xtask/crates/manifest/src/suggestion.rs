//! What mends a finding. The report says it as a command, in the way the run was called.

use std::collections::BTreeMap;

/// What a person does about a finding, or has done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suggestion {
    /// Let the manifests be mended.
    Mend,
    /// The same, where lines may go that vanished without successor.
    DropMissing,
    /// Put lines in and take lines out, where only a person can tell whether that is wanted.
    Edit(Vec<LineEdit>),
    /// Hide a file of a manifest directory, relative to the tree: the build passes over names that start with a dot.
    HideFile(String),
    /// No line of a manifest does it: take another release.
    OtherRelease,
    /// A link leads out of the tree, and what it leads to is never written: first put a copy in its place.
    Own {
        /// The file, or a folder above it, relative to the tree.
        link: String,
        /// What is left to do then.
        then: Box<Suggestion>,
    },
}

/// The lines to put into a manifest, and those to take out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineEdit {
    /// The manifest, relative to the tree.
    pub file: String,
    /// The new lines.
    pub add: Vec<String>,
    /// The lines that go, verbatim.
    pub remove: Vec<String>,
}

impl Suggestion {
    /// Lines to put into one manifest.
    pub fn add<T: ToString>(file: &str, lines: impl IntoIterator<Item = T>) -> Suggestion {
        let add = lines.into_iter().map(|line| line.to_string()).collect();
        Suggestion::Edit(vec![LineEdit { file: file.to_owned(), add, remove: Vec::new() }])
    }

    /// One line in the place of another.
    pub fn replace(file: &str, old: &str, new: &str) -> Suggestion {
        let (add, remove) = (vec![new.to_owned()], vec![old.to_owned()]);
        Suggestion::Edit(vec![LineEdit { file: file.to_owned(), add, remove }])
    }

    /// Lines to take out, each with its manifest.
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

    /// The same for a manifest that `link` leads out of the tree to.
    #[must_use]
    pub fn behind(self, link: &str) -> Suggestion {
        Suggestion::Own { link: link.to_owned(), then: Box::new(self) }
    }
}
