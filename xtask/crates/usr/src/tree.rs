//! The files of an image: a tree of nodes, and how a path resolves in it.

mod resolve;
mod serialize;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::file_info::FileInfo;
use super::path::UsrPath;
use resolve::{Place, Walk};

/// Every node of an image, by its path relative to `/usr`. The root directory itself is no node.
///
/// Invariant: the parent of each node is a directory node, or the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsrTree {
    nodes: BTreeMap<UsrPath, Node>,
}

/// One inode of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Permission bits with setuid, setgid and sticky (`st_mode & 0o7777`).
    pub mode: u16,
    /// What it is.
    pub kind: NodeKind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File {
        /// Its size in bytes.
        size: u64,
        /// What is known of its content.
        facts: FileInfo,
    },
    /// A directory.
    Directory,
    /// A symbolic link and its target, verbatim.
    Symlink(String),
    /// A device, socket or pipe.
    Special,
}

/// Where a path leads when every symlink on the way is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The symlinks that were followed, in order; each must be listed for the path to work in a stage1.
    pub links: Vec<UsrPath>,
    /// Where they lead.
    pub end: Target,
}

/// The end of a resolved path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A node that is no symlink.
    Node(UsrPath),
    /// The root of the image, `/usr` itself.
    UsrRoot,
    /// No such node; the path that is missing, with all links before it followed.
    Missing(UsrPath),
    /// A link or `..` leaves `/usr`.
    OutsideUsr,
    /// More links than Linux follows (`path_resolution(7)`: 40), or more components than any real path has.
    TooManySymlinks,
}

impl Target {
    /// The node, where there is one.
    pub fn node(&self) -> Option<&UsrPath> {
        match self {
            Target::Node(path) => Some(path),
            _ => None,
        }
    }
}

impl UsrTree {
    /// A tree without a node.
    pub fn new() -> UsrTree {
        UsrTree::default()
    }

    /// Puts a node in, with the directories above it where they are not there yet.
    pub fn insert(&mut self, path: UsrPath, node: Node) {
        let mut above = path.parent();
        // What is above a node that is there, is there as well.
        while let Some(directory) = above.take_if(|directory| !self.nodes.contains_key(directory)) {
            above = directory.parent();
            self.nodes.insert(directory, Node { mode: 0o755, kind: NodeKind::Directory });
        }
        self.nodes.insert(path, node);
    }

    /// The node at exactly this path; links on the way are not followed.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// What is known of the content of the regular file at exactly this path.
    pub fn facts(&self, path: &str) -> Option<&FileInfo> {
        match &self.nodes.get(path)?.kind {
            NodeKind::File { facts, .. } => Some(facts),
            _ => None,
        }
    }

    /// Keeps what was read of a regular file; a path that is no regular file is left alone.
    pub fn set_file_info(&mut self, path: &UsrPath, read: FileInfo) {
        if let Some(Node { kind: NodeKind::File { facts, .. }, .. }) = self.nodes.get_mut(path) {
            *facts = read;
        }
    }

    /// Every node, in byte order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&UsrPath, &Node)> {
        self.nodes.iter()
    }

    /// Every node below a directory, in byte order.
    pub fn below<'a>(&'a self, directory: &'a UsrPath) -> impl Iterator<Item = (&'a UsrPath, &'a Node)> {
        // '0' follows '/' in ASCII: the range is exactly what starts with "directory/".
        let (first, past) = (format!("{directory}/"), format!("{directory}0"));
        self.nodes.range::<str, _>((
            std::ops::Bound::Excluded(first.as_str()),
            std::ops::Bound::Excluded(past.as_str()),
        ))
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Follows a path as the kernel does, component by component (`path_resolution(7)`).
    pub fn resolve(&self, path: &UsrPath) -> Resolution {
        Walk::new(self, Place::Usr).run(path.as_str())
    }

    /// Follows a path as a program of the built root filesystem names it: `/usr/x`, and `/lib/x` through the link
    /// that the root has into `/usr`. Unlike [`UsrPath::from_rootfs_path`] it goes up by `..` only where links have led.
    pub fn resolve_rootfs(&self, path: &str) -> Resolution {
        Walk::new(self, Place::Above).run(path)
    }
}
