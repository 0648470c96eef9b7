//! The reason why the loader misses a library that exists: the search path to it goes through a missing symlink.

use super::{DynamicLoader, NotFound};
use crate::path::UsrPath;
use crate::tree::ResolutionEnd;

/// A file with a missing name, outside of every searched directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnreachableLibrary {
    /// The file.
    pub file: UsrPath,
    /// The missing symlink through which a searched directory would contain it; `None` if no symlink would help.
    pub missing_symlink: Option<MissingSymlink>,
}

/// A directory of a search path that would be the file's, if one symlink existed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingSymlink {
    /// The directory with its search path, as in [`NotFound::searched`].
    pub directory: String,
    /// The missing symlink.
    pub link: UsrPath,
}

impl DynamicLoader<'_> {
    /// Finds the file of this tree with a missing name; `None` if no file has the name.
    ///
    /// A missing search directory explains the miss if its path below the first missing component is a suffix of the
    /// file's directory: `lib/TRIPLET/systemd` is `lib64/systemd` if `TRIPLET` is a symlink to `.`.
    pub fn find_unreachable(&self, missing: &NotFound) -> Option<UnreachableLibrary> {
        let is_file = |path: &&UsrPath| {
            let end = self.tree.resolve(path).end;
            end.node().and_then(|end| self.tree.get(end.as_str())).is_some_and(|node| node.kind.is_file())
        };
        let files: Vec<&UsrPath> = self.tree.with_name(&missing.name).into_iter().filter(is_file).collect();
        let broken = missing.searched.iter().find_map(|searched| {
            let directory = searched.split(" (").next().unwrap_or(searched);
            let ResolutionEnd::Missing(lost) = self.tree.resolve_rootfs(directory).end else { return None };
            let link = self.first_missing_component(&lost);
            let rest = lost.as_str().strip_prefix(link.as_str()).filter(|rest| !rest.is_empty())?;
            let file =
                files.iter().find(|file| file.as_str().ends_with(&format!("{rest}/{}", missing.name)))?;
            let missing_symlink = Some(MissingSymlink { directory: searched.clone(), link });
            Some(UnreachableLibrary { file: (*file).clone(), missing_symlink })
        });
        let other = || Some(UnreachableLibrary { file: (*files.first()?).clone(), missing_symlink: None });
        broken.or_else(other)
    }

    /// The path up to its first component that does not exist.
    fn first_missing_component(&self, lost: &UsrPath) -> UsrPath {
        let is_absent = |path: &UsrPath| self.tree.get(path.as_str()).is_none();
        let above = std::iter::successors(lost.parent(), UsrPath::parent);
        above.take_while(is_absent).last().unwrap_or_else(|| lost.clone())
    }
}
