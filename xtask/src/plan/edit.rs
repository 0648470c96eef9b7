//! The difference between two [`Stage1Sources`], as file edits and unified diffs.

use super::sources::Stage1Sources;
use crate::fault::{Fault, Result};

/// What has to be written to go from one state of the sources to another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EditPlan {
    /// One entry a changed file, coreos-common.mk first, then by path.
    pub edits: Vec<FileEdit>,
}

/// One file before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdit {
    /// The real path relative to the tree, `/`-separated.
    pub path: String,
    /// What the file must hold for the edit to be right.
    pub before: Vec<u8>,
    /// What it shall hold.
    pub after: Vec<u8>,
}

impl EditPlan {
    /// The files that differ. Both states have the same files: a bump makes and deletes none.
    pub fn between(before: &Stage1Sources, after: &Stage1Sources) -> EditPlan {
        let edits = before
            .files()
            .zip(after.files())
            .filter(|((_, old), (_, new))| old != new)
            .map(|((path, old), (_, new))| FileEdit {
                path: path.to_owned(),
                before: old.to_vec(),
                after: new.to_vec(),
            })
            .collect();
        EditPlan { edits }
    }

    /// Whether every file that changes may be written.
    ///
    /// # Errors
    /// Names the first that is a link to a place outside the tree.
    pub fn stays_inside(&self, before: &Stage1Sources) -> Result<()> {
        match self.edits.iter().find(|edit| before.outside.contains(&edit.path)) {
            None => Ok(()),
            Some(FileEdit { path, .. }) => {
                Err(Fault::failed(format!("{path} would change, and is a link to a place outside the tree"))
                    .hint(format!("put a file in the tree in place of the link: cp --remove-destination \"$(realpath {path})\" {path}")))
            }
        }
    }

    /// The way back.
    #[must_use]
    pub fn reversed(&self) -> EditPlan {
        let back = |edit: &FileEdit| FileEdit {
            path: edit.path.clone(),
            before: edit.after.clone(),
            after: edit.before.clone(),
        };
        EditPlan { edits: self.edits.iter().map(back).collect() }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }
}

impl FileEdit {
    /// A unified diff with three lines of context, with `a/` and `b/` before the path as git writes it.
    pub fn diff(&self) -> String {
        let (old, new) = (String::from_utf8_lossy(&self.before), String::from_utf8_lossy(&self.after));
        similar::TextDiff::from_lines(old.as_ref(), new.as_ref())
            .unified_diff()
            .context_radius(3)
            .header(&format!("a/{}", self.path), &format!("b/{}", self.path))
            .to_string()
    }
}
