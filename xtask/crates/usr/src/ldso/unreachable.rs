//! A library that is there and is not found: the way to it leads through a link that is not.

use super::{DynamicLoader, NotFound};
use crate::path::UsrPath;
use crate::tree::{Node, NodeKind, Target};

/// A file that bears the name that was looked for, outside of every directory that was searched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnreachableLibrary {
    /// Where it is.
    pub file: UsrPath,
    /// The way by which it would have been found, where one of those that were searched breaks off.
    pub way: Option<MissingSymlink>,
}

/// A directory of a search path that would lead to the file, were it not for one link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingSymlink {
    /// The directory, and whose search path it is in, as [`NotFound::searched`] has it.
    pub directory: String,
    /// The link that is not there.
    pub link: UsrPath,
}

impl DynamicLoader<'_> {
    /// The file of this tree that a missing name means; `None` where none bears the name.
    ///
    /// A directory that is searched and not there is taken for the way if what of it lies behind the gap is how the
    /// file's own directory ends: `lib/TRIPLET/systemd` leads to `lib64/systemd` if `TRIPLET` is a link to `.`.
    pub fn unreached(&self, missing: &NotFound) -> Option<UnreachableLibrary> {
        let is_file = |path: &UsrPath| match self.tree.resolve(path).end {
            Target::Node(end) => {
                matches!(self.tree.get(end.as_str()), Some(Node { kind: NodeKind::File { .. }, .. }))
            }
            _ => false,
        };
        let paths = self.tree.iter().map(|(path, _)| path);
        let files: Vec<&UsrPath> =
            paths.filter(|path| path.name() == missing.name && is_file(path)).collect();
        let broken = missing.searched.iter().find_map(|searched| {
            let directory = searched.split(" (").next().unwrap_or(searched);
            let Target::Missing(lost) = self.tree.resolve_rootfs(directory).end else { return None };
            let link = self.gap(&lost);
            let behind = lost.as_str().strip_prefix(link.as_str()).filter(|rest| !rest.is_empty())?;
            let file =
                files.iter().find(|file| file.as_str().ends_with(&format!("{behind}/{}", missing.name)))?;
            Some(((*file).clone(), MissingSymlink { directory: searched.clone(), link }))
        });
        match broken {
            Some((file, way)) => Some(UnreachableLibrary { file, way: Some(way) }),
            None => files.first().map(|&file| UnreachableLibrary { file: file.clone(), way: None }),
        }
    }

    /// The first component of a path that is not there.
    fn gap(&self, lost: &UsrPath) -> UsrPath {
        let is_absent = |path: &UsrPath| self.tree.get(path.as_str()).is_none();
        let above = std::iter::successors(lost.parent(), UsrPath::parent);
        above.take_while(is_absent).last().unwrap_or_else(|| lost.clone())
    }
}
