//! The text form of a tree: one line a node, in byte order of the paths, and below a file what was read of it.
//!
//! ```text
//! dir	755	lib64
//! file	755	1032088	lib64/libz.so.1.2.8
//! 	elf	64	little	62	dynamic
//! 	soname	libz.so.1
//! 	needed	libc.so.6
//! link	777	lib64/libz.so.1	libz.so.1.2.8
//! ```
//!
//! Fields are parted by tabs; a backslash, tab or line end inside of one is written `\\`, `\t`, `\n` or `\r`. Modes
//! are octal, everything else is decimal. The same tree has one text form only.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::facts::Facts;
use super::path::UsrPath;
use super::tree::{Kind, Node, UsrTree};

mod facts;
#[cfg(test)]
mod tests;

/// A line that is not of the text form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Counted from 1.
    pub line: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: expected {}", self.line, self.expected)
    }
}

impl std::error::Error for BadLine {}

/// Writes a tree down, with the facts that were read.
pub fn print(tree: &UsrTree) -> String {
    let mut out = String::with_capacity(tree.len() * 64);
    for (path, node) in tree.iter() {
        let mode = format!("{:o}", node.mode);
        let path = escaped(path.as_str());
        match &node.kind {
            Kind::Directory => line(&mut out, &["dir", &mode, &path]),
            Kind::Special => line(&mut out, &["special", &mode, &path]),
            Kind::Symlink(target) => line(&mut out, &["link", &mode, &path, &escaped(target)]),
            Kind::File { size, facts } => {
                line(&mut out, &["file", &mode, &size.to_string(), &path]);
                facts::print(&mut out, facts);
            }
        }
    }
    out
}

/// Reads what [`print`] wrote.
///
/// # Errors
/// The first line that is none.
pub fn parse(text: &str) -> Result<UsrTree, BadLine> {
    let mut nodes: Vec<(UsrPath, Node)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let bad = |expected| BadLine { line: number + 1, expected };
        if let Some(fact) = line.strip_prefix('\t') {
            let Some((_, Node { kind: Kind::File { facts: known, .. }, .. })) = nodes.last_mut() else {
                return Err(bad("a file above its facts"));
            };
            facts::read(known, fact).ok_or_else(|| bad("a fact"))?;
        } else {
            nodes.push(node(line).ok_or_else(|| bad("a node"))?);
        }
    }
    tree_of(nodes)
}

fn node(line: &str) -> Option<(UsrPath, Node)> {
    let mut fields = line.split('\t');
    let word = fields.next()?;
    let mode = u16::from_str_radix(fields.next()?, 8).ok().filter(|mode| *mode <= 0o7777)?;
    let (path, kind) = match word {
        "dir" => (fields.next()?, Kind::Directory),
        "special" => (fields.next()?, Kind::Special),
        "link" => (fields.next()?, Kind::Symlink(unescaped(fields.next()?)?.into_owned())),
        "file" => {
            let size = fields.next()?.parse().ok()?;
            (fields.next()?, Kind::File { size, facts: Facts::Unread })
        }
        _ => return None,
    };
    let path = unescaped(path)?;
    let known = UsrPath::new(&path).ok().filter(|known| known.as_str() == path)?;
    fields.next().is_none().then_some((known, Node { mode, kind }))
}

/// Builds the tree at once, which is faster than node by node, and holds it to its invariant.
fn tree_of(nodes: Vec<(UsrPath, Node)>) -> Result<UsrTree, BadLine> {
    let count = nodes.len();
    let nodes: BTreeMap<UsrPath, Node> = nodes.into_iter().collect();
    let bad = |expected| BadLine { line: count, expected };
    if nodes.len() != count {
        return Err(bad("each path once"));
    }
    // Neighbours mostly share their directory: one search for a run of them.
    let mut last = "";
    for path in nodes.keys() {
        let parent = path.as_str().rfind('/').map_or("", |at| &path.as_str()[..at]);
        if parent != last {
            if !nodes.get(parent).is_some_and(|node| node.kind == Kind::Directory) && !parent.is_empty() {
                return Err(bad("every directory above a node"));
            }
            last = parent;
        }
    }
    Ok(UsrTree::of_nodes(nodes))
}

/// Writes one line; the fields are escaped already.
fn line(out: &mut String, fields: &[&str]) {
    for (number, field) in fields.iter().enumerate() {
        if number > 0 {
            out.push('\t');
        }
        out.push_str(field);
    }
    out.push('\n');
}

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\\', '\t', '\n', '\r']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            c => c,
        });
    }
    Some(Cow::Owned(out))
}
