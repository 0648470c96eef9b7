//! The files of an image: a tree of nodes, and how a path resolves in it.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::path::UsrPath;

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
    pub kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Its size in bytes.
        size: u64,
        /// What is known of its content.
        facts: Facts,
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
pub struct Resolved {
    /// The symlinks that were followed, in order; each must be listed for the path to work in a stage1.
    pub links: Vec<UsrPath>,
    /// Where they lead.
    pub end: End,
}

/// The end of a resolved path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A node that is no symlink.
    Node(UsrPath),
    /// The root of the image, `/usr` itself.
    Root,
    /// No such node; the path that is missing, with all links before it followed.
    Missing(UsrPath),
    /// A link or `..` leaves `/usr`.
    Outside,
    /// More links than Linux follows (`path_resolution(7)`: 40), or more components than any real path has.
    Loop,
}

impl End {
    /// The node, where there is one.
    pub fn node(&self) -> Option<&UsrPath> {
        match self {
            End::Node(path) => Some(path),
            _ => None,
        }
    }
}

/// Linux's limit of links followed in one resolution (`path_resolution(7)`).
const MAX_LINKS: usize = 40;
/// The components of one resolution, all links included: bounds what a hostile image can make it cost.
const MAX_STEPS: usize = 4096;

impl UsrTree {
    /// A tree without a node.
    pub fn new() -> UsrTree {
        UsrTree::default()
    }

    /// Puts a node in, with the directories above it where they are not there yet.
    pub fn insert(&mut self, path: UsrPath, node: Node) {
        let mut above = path.parent();
        while let Some(directory) = above {
            above = directory.parent();
            self.nodes.entry(directory).or_insert(Node { mode: 0o755, kind: Kind::Directory });
        }
        self.nodes.insert(path, node);
    }

    /// The node at exactly this path; links on the way are not followed.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// What is known of the content of the regular file at exactly this path.
    pub fn facts(&self, path: &str) -> Option<&Facts> {
        match &self.nodes.get(path)?.kind {
            Kind::File { facts, .. } => Some(facts),
            _ => None,
        }
    }

    /// Keeps what was read of a regular file; a path that is no regular file is left alone.
    pub fn set_facts(&mut self, path: &UsrPath, read: Facts) {
        if let Some(Node { kind: Kind::File { facts, .. }, .. }) = self.nodes.get_mut(path) {
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
    pub fn resolve(&self, path: &UsrPath) -> Resolved {
        Walk::new(self, Place::Usr).run(path.as_str())
    }

    /// Follows a path as a program of the built root filesystem names it: `/usr/x`, and `/lib/x` through the link
    /// that the root has into `/usr`. Unlike [`UsrPath::of_rootfs`] it goes up by `..` only where links have led.
    pub fn resolve_rootfs(&self, path: &str) -> Resolved {
        Walk::new(self, Place::Above).run(path)
    }

    /// Follows the target of a symlink, or any path that counts from `directory` (`None` is the root of the image).
    pub fn resolve_from(&self, directory: Option<&UsrPath>, path: &str) -> Resolved {
        Walk::new(self, directory.map_or(Place::Usr, |directory| Place::In(directory.clone()))).run(path)
    }
}

/// Where a walk has arrived.
enum Place {
    /// The root of the root filesystem, which holds `/usr` and links into it.
    Above,
    /// The root of the image.
    Usr,
    /// A node; a directory while there are components to go.
    In(UsrPath),
}

/// One path resolution under way.
struct Walk<'a> {
    tree: &'a UsrTree,
    links: Vec<UsrPath>,
    /// Components still to go, the next one last.
    todo: Vec<&'a str>,
    here: Place,
}

impl<'a> Walk<'a> {
    fn new(tree: &'a UsrTree, here: Place) -> Walk<'a> {
        Walk { tree, links: Vec::new(), todo: Vec::new(), here }
    }

    fn run<'p>(self, path: &'p str) -> Resolved
    where
        'a: 'p,
    {
        let mut walk: Walk<'p> = self;
        walk.push(path);
        let end = walk.walk();
        Resolved { links: walk.links, end }
    }

    fn push(&mut self, path: &'a str) {
        if path.starts_with('/') {
            self.here = Place::Above;
        }
        self.todo.extend(path.rsplit('/').filter(|component| !matches!(*component, "" | ".")));
    }

    fn walk(&mut self) -> End {
        let mut steps = 0;
        while let Some(component) = self.todo.pop() {
            steps += 1;
            if steps > MAX_STEPS {
                return End::Loop;
            }
            let next = match (&self.here, component) {
                (Place::Above, "..") => continue,
                (Place::Above, "usr") => {
                    self.here = Place::Usr;
                    continue;
                }
                // The links that the root filesystem has beside /usr.
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
            let Some(next) = next else { return End::Outside };
            if let Some(end) = self.step(next) {
                return end;
            }
        }
        match std::mem::replace(&mut self.here, Place::Usr) {
            Place::Above => End::Outside,
            Place::Usr => End::Root,
            Place::In(path) => End::Node(path),
        }
    }

    /// Goes to `next`, or says why the walk ends there.
    fn step(&mut self, next: UsrPath) -> Option<End> {
        match self.tree.nodes.get(&next).map(|node| &node.kind) {
            Some(Kind::Symlink(_)) if self.links.len() == MAX_LINKS => Some(End::Loop),
            Some(Kind::Symlink(target)) => {
                // A relative target counts from the directory of the link, also where the link itself was
                // reached through one of the root's links.
                self.here = next.parent().map_or(Place::Usr, Place::In);
                self.links.push(next);
                self.push(target);
                None
            }
            Some(Kind::Directory) => {
                self.here = Place::In(next);
                None
            }
            Some(_) if self.todo.is_empty() => {
                self.here = Place::In(next);
                None
            }
            // A file where a directory was expected is as good as missing.
            Some(_) | None => Some(End::Missing(self.missing(next))),
        }
    }

    fn missing(&mut self, next: UsrPath) -> UsrPath {
        let rest: Vec<&str> = self.todo.drain(..).rev().collect();
        let text = std::iter::once(next.as_str()).chain(rest).collect::<Vec<_>>().join("/");
        UsrPath::new(&text).unwrap_or(next)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tree(nodes: &[(&str, &str)]) -> UsrTree {
        let mut tree = UsrTree::new();
        for (path, target) in nodes {
            let kind = match *target {
                "" => Kind::File { size: 0, facts: Facts::Plain },
                "/" => Kind::Directory,
                target => Kind::Symlink(target.to_owned()),
            };
            tree.insert(UsrPath::new(path).unwrap(), Node { mode: 0o644, kind });
        }
        tree
    }

    fn told(resolved: &Resolved) -> String {
        let links: Vec<&str> = resolved.links.iter().map(UsrPath::as_str).collect();
        let end = match &resolved.end {
            End::Node(path) => path.to_string(),
            End::Missing(path) => format!("missing {path}"),
            other => format!("{other:?}"),
        };
        format!("[{}] {end}", links.join(" "))
    }

    #[test]
    fn a_path_is_walked_and_not_shortened_as_text() {
        let tree = tree(&[
            ("lib", "lib64"),
            ("lib64/libz.so.1", "libz.so.1.2"),
            ("lib64/libz.so.1.2", ""),
            ("lib64/x86_64-linux-gnu", "."),
            ("lib64/up", "../bin"),
            ("bin/a", ""),
            ("deep/one/two/b", ""),
            ("short", "deep/one/two"),
            ("abs", "/usr/short/../b2"),
            ("deep/one/b2", ""),
            ("over", "../lib64/libz.so.1"),
            ("root", "/lib/libz.so.1.2"),
            ("self", "/usr"),
            ("out", "/etc/passwd"),
            ("loop", "loop"),
            ("bin/dangling", "gone/x"),
        ]);
        for (path, expected) in [
            ("lib/libz.so.1", "[lib lib64/libz.so.1] lib64/libz.so.1.2"),
            ("lib/x86_64-linux-gnu/libz.so.1.2", "[lib lib64/x86_64-linux-gnu] lib64/libz.so.1.2"),
            ("lib/up/a", "[lib lib64/up] bin/a"),
            ("abs", "[abs short] deep/one/b2"),
            ("over", "[over lib64/libz.so.1] lib64/libz.so.1.2"),
            ("root", "[root lib] lib64/libz.so.1.2"),
            ("self/bin/a", "[self] bin/a"),
            ("self", "[self] Root"),
            ("out", "[out] Outside"),
            ("bin/dangling", "[bin/dangling] missing bin/gone/x"),
            ("bin/a/b", "[] missing bin/a/b"),
            ("none/x", "[] missing none/x"),
        ] {
            assert_eq!(told(&tree.resolve(&UsrPath::new(path).unwrap())), expected, "{path}");
        }
        assert_eq!(tree.resolve(&UsrPath::new("loop").unwrap()).end, End::Loop);
    }

    #[test]
    fn the_root_filesystem_has_links_beside_usr() {
        let tree = tree(&[("lib", "lib64"), ("lib64/ld.so", ""), ("lib64/x/y", "")]);
        for (path, expected) in [
            ("/lib64/ld.so", "[] lib64/ld.so"),
            ("/lib/ld.so", "[lib] lib64/ld.so"),
            ("//usr/./lib/x/../ld.so", "[lib] lib64/ld.so"),
            ("/usr/../lib64/ld.so", "[] lib64/ld.so"),
            ("/../usr/lib64/ld.so", "[] lib64/ld.so"),
            ("/etc/ld.so.cache", "[] Outside"),
            ("/", "[] Outside"),
            ("/usr/", "[] Root"),
        ] {
            assert_eq!(told(&tree.resolve_rootfs(path)), expected, "{path}");
        }
        let x = UsrPath::new("lib64/x").unwrap();
        assert_eq!(told(&tree.resolve_from(Some(&x), "../ld.so")), "[] lib64/ld.so");
        assert_eq!(told(&tree.resolve_from(None, "lib64/x/y")), "[] lib64/x/y");
    }
}
