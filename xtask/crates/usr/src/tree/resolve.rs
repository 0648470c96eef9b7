//! One path resolution, component by component (`path_resolution(7)`).

use super::{NodeKind, Resolution, Target, UsrTree};
use crate::path::UsrPath;

/// Linux's limit of links followed in one resolution (`path_resolution(7)`).
const MAX_LINKS: usize = 40;
/// The components of one resolution, all links included: bounds what a hostile image can make it cost.
const MAX_STEPS: usize = 4096;

/// Where a walk has arrived.
pub(super) enum Place {
    /// The root of the root filesystem, which holds `/usr` and links into it.
    Above,
    /// The root of the image.
    Usr,
    /// A node; a directory while there are components to go.
    In(UsrPath),
}

/// One path resolution under way.
pub(super) struct Walk<'a> {
    tree: &'a UsrTree,
    links: Vec<UsrPath>,
    /// Components still to go, the next one last.
    todo: Vec<&'a str>,
    here: Place,
}

impl<'a> Walk<'a> {
    pub(super) fn new(tree: &'a UsrTree, here: Place) -> Walk<'a> {
        Walk { tree, links: Vec::new(), todo: Vec::new(), here }
    }

    pub(super) fn run<'p>(self, path: &'p str) -> Resolution
    where
        'a: 'p,
    {
        let mut walk: Walk<'p> = self;
        walk.push(path);
        let end = walk.walk();
        Resolution { links: walk.links, end }
    }

    fn push(&mut self, path: &'a str) {
        if path.starts_with('/') {
            self.here = Place::Above;
        }
        self.todo.extend(path.rsplit('/').filter(|component| !matches!(*component, "" | ".")));
    }

    fn walk(&mut self) -> Target {
        let mut steps = 0;
        while let Some(component) = self.todo.pop() {
            steps += 1;
            if steps > MAX_STEPS {
                return Target::TooManySymlinks;
            }
            let next = match (&self.here, component) {
                (Place::Above, "..") => continue,
                (Place::Above, "usr") => {
                    self.here = Place::Usr;
                    continue;
                }
                // The links that the root filesystem has next to /usr.
                (Place::Above, "bin" | "lib" | "lib64" | "sbin") => UsrPath::new(component).ok(),
                (Place::Above, _) => None,
                (Place::Usr, "..") => {
                    self.here = Place::Above;
                    continue;
                }
                (Place::In(directory), "..") => {
                    self.here = directory.parent().map_or(Place::Usr, Place::In);
                    continue;
                }
                (Place::Usr, name) => UsrPath::new(name).ok(),
                (Place::In(directory), name) => Some(directory.join(name)),
            };
            let Some(next) = next else { return Target::OutsideUsr };
            if let Some(end) = self.step(next) {
                return end;
            }
        }
        match std::mem::replace(&mut self.here, Place::Usr) {
            Place::Above => Target::OutsideUsr,
            Place::Usr => Target::UsrRoot,
            Place::In(path) => Target::Node(path),
        }
    }

    /// Goes to `next`, or says why the walk ends there.
    fn step(&mut self, next: UsrPath) -> Option<Target> {
        match self.tree.nodes.get(&next).map(|node| &node.kind) {
            Some(NodeKind::Symlink(_)) if self.links.len() == MAX_LINKS => Some(Target::TooManySymlinks),
            Some(NodeKind::Symlink(target)) => {
                // A relative target counts from the directory of the link, also where the link itself was
                // reached through one of the root's links.
                self.here = next.parent().map_or(Place::Usr, Place::In);
                self.links.push(next);
                self.push(target);
                None
            }
            Some(NodeKind::Directory) => {
                self.here = Place::In(next);
                None
            }
            Some(_) if self.todo.is_empty() => {
                self.here = Place::In(next);
                None
            }
            // A file where a directory was expected is as good as missing.
            Some(_) | None => Some(Target::Missing(self.missing(next))),
        }
    }

    fn missing(&mut self, next: UsrPath) -> UsrPath {
        let rest: Vec<&str> = self.todo.drain(..).rev().collect();
        let text = std::iter::once(next.as_str()).chain(rest).collect::<Vec<_>>().join("/");
        UsrPath::new(&text).unwrap_or(next)
    }
}
