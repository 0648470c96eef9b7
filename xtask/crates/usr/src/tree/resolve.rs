//! One path resolution, component by component (`path_resolution(7)`).

use super::{NodeKind, UsrTree};
use crate::path::UsrPath;

/// The symlinks that Linux follows in one resolution (`path_resolution(7)`).
const MAX_LINKS: usize = 40;
/// The components of one resolution, including those of symlink targets: limits the cost for a malicious image.
const MAX_STEPS: usize = 4096;

/// A path with every symlink followed (`path_resolution(7)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The symlinks that were followed, in order; each must be listed for the path to work in a stage1.
    pub links: Vec<UsrPath>,
    /// The end of the path.
    pub end: ResolutionEnd,
}

/// The end of a resolved path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolutionEnd {
    /// A node other than a symlink.
    Node(UsrPath),
    /// The root of the image, `/usr` itself.
    UsrRoot,
    /// A node that does not exist; its path, with all symlinks before it followed.
    Missing(UsrPath),
    /// A path outside of `/usr`, by a symlink or `..`.
    OutsideUsr,
    /// More symlinks than Linux follows (`path_resolution(7)`: 40), or more components than any real path has.
    TooManySymlinks,
}

impl Resolution {
    /// The symlinks that were followed, then the node at the end, if there is one.
    pub fn paths(&self) -> impl Iterator<Item = &UsrPath> {
        self.links.iter().chain(self.end.node())
    }
}

impl ResolutionEnd {
    /// The node; `None` for any other end.
    pub fn node(&self) -> Option<&UsrPath> {
        match self {
            ResolutionEnd::Node(path) => Some(path),
            _ => None,
        }
    }
}

/// The current position of a resolution.
pub(super) enum Cursor {
    /// The root of the root filesystem, with `/usr` and symlinks into it.
    Rootfs,
    /// The root of the image.
    Usr,
    /// A node: a directory unless no components are left.
    At(UsrPath),
}

/// One path resolution in progress.
struct Resolver<'a> {
    tree: &'a UsrTree,
    links: Vec<UsrPath>,
    /// The remaining components, the next one last.
    todo: Vec<&'a str>,
    cursor: Cursor,
}

/// Resolves `path`, which starts at `start` unless it is absolute.
pub(super) fn resolve(tree: &UsrTree, start: Cursor, path: &str) -> Resolution {
    let mut resolver = Resolver { tree, links: Vec::new(), todo: Vec::new(), cursor: start };
    resolver.push_components(path);
    let end = resolver.walk_components();
    Resolution { links: resolver.links, end }
}

impl<'a> Resolver<'a> {
    fn push_components(&mut self, path: &'a str) {
        if path.starts_with('/') {
            self.cursor = Cursor::Rootfs;
        }
        self.todo.extend(path.rsplit('/').filter(|component| !matches!(*component, "" | ".")));
    }

    fn walk_components(&mut self) -> ResolutionEnd {
        let mut steps = 0;
        while let Some(component) = self.todo.pop() {
            steps += 1;
            if steps > MAX_STEPS {
                return ResolutionEnd::TooManySymlinks;
            }
            let next = match (&self.cursor, component) {
                (Cursor::Rootfs, "..") => continue,
                (Cursor::Rootfs, "usr") => {
                    self.cursor = Cursor::Usr;
                    continue;
                }
                // The symlinks of the root filesystem into /usr.
                (Cursor::Rootfs, "bin" | "lib" | "lib64" | "sbin") => UsrPath::new(component).ok(),
                (Cursor::Rootfs, _) => None,
                (Cursor::Usr, "..") => {
                    self.cursor = Cursor::Rootfs;
                    continue;
                }
                (Cursor::At(directory), "..") => {
                    self.cursor = directory.parent().map_or(Cursor::Usr, Cursor::At);
                    continue;
                }
                (Cursor::Usr, name) => UsrPath::new(name).ok(),
                (Cursor::At(directory), name) => Some(directory.join(name)),
            };
            let Some(next) = next else { return ResolutionEnd::OutsideUsr };
            if let Some(end) = self.step(next) {
                return end;
            }
        }
        match std::mem::replace(&mut self.cursor, Cursor::Usr) {
            Cursor::Rootfs => ResolutionEnd::OutsideUsr,
            Cursor::Usr => ResolutionEnd::UsrRoot,
            Cursor::At(path) => ResolutionEnd::Node(path),
        }
    }

    /// Moves to `next`; returns the target if the resolution ends there.
    fn step(&mut self, next: UsrPath) -> Option<ResolutionEnd> {
        match self.tree.get(next.as_str()).map(|node| &node.kind) {
            Some(NodeKind::Symlink(_)) if self.links.len() == MAX_LINKS => {
                Some(ResolutionEnd::TooManySymlinks)
            }
            Some(NodeKind::Symlink(target)) => {
                // A relative target is relative to the directory of the symlink, also if the path to the symlink
                // goes through a symlink of the root.
                self.cursor = next.parent().map_or(Cursor::Usr, Cursor::At);
                self.links.push(next);
                self.push_components(target);
                None
            }
            Some(NodeKind::Directory) => {
                self.cursor = Cursor::At(next);
                None
            }
            Some(_) if self.todo.is_empty() => {
                self.cursor = Cursor::At(next);
                None
            }
            // A file in place of a directory is treated as missing.
            Some(_) | None => Some(ResolutionEnd::Missing(self.join_remaining(next))),
        }
    }

    fn join_remaining(&mut self, next: UsrPath) -> UsrPath {
        let rest: Vec<&str> = self.todo.drain(..).rev().collect();
        let text = std::iter::once(next.as_str()).chain(rest).collect::<Vec<_>>().join("/");
        UsrPath::new(&text).unwrap_or(next)
    }
}
