//! The text form of a tree for the cache: one line per node.
//!
//! ```text
//! usr-tree 2
//! d   755  lib64
//! l   777  lib64/libz.so.1   libz.so.1.2.8
//! f   755  lib64/libz.so.1.2.8   92160   e   64l62   y   Slibz.so.1   Nlibc.so.6
//! sha256 HEX
//! ```
//!
//! Tabs separate fields; in a field a tab, a newline and a backslash are `\t`, `\n` and `\\`. The kinds are
//! `d` directory, `l` symlink, `f` file, `s` special. A file's info is `u` unread, `p` other, `b` malformed ELF,
//! `i` script, `t` text, `e` ELF with further fields (see [`super::serialize::elf`]). Lines are in byte order of the paths.
//! The last line is the SHA-256 of all lines before it: it detects a damaged file, not a forged one.

mod elf;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::OnceLock;

use ring::digest::{SHA256, digest};

use super::{MAX_NODES, Node, NodeKind, UsrTree};
use crate::file_info::FileInfo;
use crate::path::UsrPath;

/// The first line, with the version of the format.
const HEADER: &str = "usr-tree 2\n";
const CHECKSUM: &str = "sha256 ";
/// The length of the last line: the prefix, 64 digits, a newline.
const CHECKSUM_LENGTH: usize = CHECKSUM.len() + 64 + 1;

impl UsrTree {
    /// The tree as text.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(64 * self.nodes.len() + 256);
        text.push_str(HEADER);
        for (path, node) in &self.nodes {
            push_node(&mut text, path, node);
        }
        let checksum = checksum_line(text.as_bytes());
        text.push_str(&checksum);
        text
    }

    /// Parses the output of [`UsrTree::to_text`].
    ///
    /// # Errors
    /// The reason why the text is malformed, with the line number.
    pub fn from_text(bytes: &[u8]) -> Result<UsrTree, String> {
        let Some(rest) = bytes.strip_prefix(HEADER.as_bytes()) else {
            return Err(format!("it does not start with {:?}", HEADER.trim_end()));
        };
        let Some(length) = rest.len().checked_sub(CHECKSUM_LENGTH) else {
            return Err("it ends before its checksum".to_owned());
        };
        if checksum_line(&bytes[..HEADER.len() + length]).as_bytes() != &rest[length..] {
            return Err("its checksum does not match".to_owned());
        }
        let body = std::str::from_utf8(&rest[..length]).map_err(|error| error.to_string())?;
        let mut reader = NodeParser { nodes: Vec::with_capacity(body.len() / 48), directory: "" };
        for (index, line) in body.split_terminator('\n').enumerate() {
            let number = index + 2;
            if reader.nodes.len() == MAX_NODES {
                return Err(format!("line {number}: it has more than {MAX_NODES} nodes"));
            }
            reader.parse_node(line).map_err(|why| format!("line {number}: {why}"))?;
        }
        Ok(UsrTree { nodes: BTreeMap::from_iter(reader.nodes), ..UsrTree::default() })
    }
}

/// The nodes that were read so far, in order.
struct NodeParser<'a> {
    nodes: Vec<(UsrPath, Node)>,
    /// The directory of the last node: most nodes are in the same directory as the one before.
    directory: &'a str,
}

impl<'a> NodeParser<'a> {
    fn parse_node(&mut self, line: &'a str) -> Result<(), String> {
        let fields = &mut Fields(Some(line));
        let letter = fields.next().ok_or("the line is empty")?;
        let mode = fields.next().and_then(|mode| number(mode, 8)).and_then(|mode| u16::try_from(mode).ok());
        let mode = mode.filter(|mode| *mode <= 0o7777).ok_or("the mode is not an octal number up to 7777")?;
        let path = fields.next_unescaped("the path")?;
        let kind = match letter {
            "d" => NodeKind::Directory,
            "s" => NodeKind::Special,
            "l" => NodeKind::Symlink(fields.next_unescaped("the target")?.into_owned()),
            "f" => {
                let size =
                    fields.next().and_then(|size| number(size, 10)).ok_or("the size is not a number")?;
                NodeKind::File { size, info: parse_info(fields)?.map(OnceLock::from).unwrap_or_default() }
            }
            other => return Err(format!("{other:?} is not a kind of node")),
        };
        if let Some(field) = fields.next() {
            return Err(format!("{field:?} is one field too many"));
        }
        let path = self.parse_path(path)?;
        self.nodes.push((path, Node { mode, kind }));
        Ok(())
    }

    /// Parses a path. It must be in normal form, sort after the last path, and have a directory node as its parent: the
    /// invariant of [`UsrTree`].
    fn parse_path(&mut self, text: Cow<'a, str>) -> Result<UsrPath, String> {
        if self.nodes.last().is_some_and(|(last, _)| last.as_str() >= &*text) {
            return Err(format!("{text:?} is out of order"));
        }
        let parent = text.rsplit_once('/');
        if let Some((directory, name)) = parent
            && directory == self.directory
            && !matches!(name, "" | "." | "..")
        {
            return Ok(UsrPath::from_normalized_unchecked(text.into_owned()));
        }
        let path =
            UsrPath::from_normalized(&text).ok_or_else(|| format!("{text:?} is not a normalised path"))?;
        if let Some((directory, _)) = parent {
            let found = self.nodes.binary_search_by(|(known, _)| known.as_str().cmp(directory));
            if !found.is_ok_and(|found| self.nodes[found].1.kind == NodeKind::Directory) {
                return Err(format!("the directory of {text:?} is missing"));
            }
            let length = directory.len();
            if let Cow::Borrowed(text) = text {
                self.directory = &text[..length];
            }
        }
        Ok(path)
    }
}

fn checksum_line(bytes: &[u8]) -> String {
    format!("{CHECKSUM}{}\n", hex::encode(digest(&SHA256, bytes)))
}

fn push_node(text: &mut String, path: &UsrPath, node: &Node) {
    let letter = match &node.kind {
        NodeKind::Directory => 'd',
        NodeKind::Symlink(_) => 'l',
        NodeKind::File { .. } => 'f',
        NodeKind::Special => 's',
    };
    // Writing to a String cannot fail.
    let _ = write!(text, "{letter}\t{:o}", node.mode);
    push_field(text, "", path.as_str());
    match &node.kind {
        NodeKind::Symlink(target) => push_field(text, "", target),
        NodeKind::File { size, info } => {
            let _ = write!(text, "\t{size}");
            match info.get() {
                Some(info) => push_info(text, info),
                None => text.push_str("\tu"),
            }
        }
        NodeKind::Directory | NodeKind::Special => {}
    }
    text.push('\n');
}

fn push_info(text: &mut String, info: &FileInfo) {
    let (letter, value) = match info {
        FileInfo::Other => return text.push_str("\tp"),
        FileInfo::Elf(info) => {
            text.push_str("\te");
            return elf::push_elf_fields(text, info);
        }
        FileInfo::MalformedElf(why) => ("\tb", why),
        FileInfo::Script(interpreter) => ("\ti", interpreter),
        FileInfo::Text(content) => ("\tt", content),
    };
    text.push_str(letter);
    push_field(text, "", value);
}

/// Appends a tab, a tag, and an escaped value.
fn push_field(text: &mut String, tag: &str, value: &str) {
    text.push('\t');
    text.push_str(tag);
    if !value.contains(['\t', '\n', '\\']) {
        return text.push_str(value);
    }
    for c in value.chars() {
        match c {
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\\' => text.push_str("\\\\"),
            c => text.push(c),
        }
    }
}

/// The content info of a file; `None` for a file that was not read.
fn parse_info(fields: &mut Fields<'_>) -> Result<Option<FileInfo>, String> {
    let letter = fields.next().ok_or("the file info is missing")?;
    let info = match letter {
        "u" => return Ok(None),
        "p" => Ok(FileInfo::Other),
        "b" => Ok(FileInfo::MalformedElf(fields.next_unescaped("a value")?.into_owned())),
        "i" => Ok(FileInfo::Script(fields.next_unescaped("a value")?.into_owned())),
        "t" => Ok(FileInfo::Text(fields.next_unescaped("a value")?.into_owned())),
        "e" => elf::parse_elf_fields(fields).map(|info| FileInfo::Elf(Box::new(info))),
        other => Err(format!("{other:?} is not a kind of file info")),
    };
    info.map(Some)
}

/// The fields of a line that are not yet read.
struct Fields<'a>(Option<&'a str>);

impl<'a> Fields<'a> {
    /// The next field, without unescaping.
    fn next(&mut self) -> Option<&'a str> {
        let text = self.0?;
        // By bytes: most fields are shorter than what the search of str::split reads at once.
        let end = text.bytes().position(|byte| byte == b'\t');
        self.0 = end.map(|end| &text[end + 1..]);
        Some(end.map_or(text, |end| &text[..end]))
    }

    /// The next field, unescaped.
    fn next_unescaped(&mut self, what: &str) -> Result<Cow<'a, str>, String> {
        unescape(self.next().ok_or_else(|| format!("{what} is missing"))?)
    }
}

/// Parses an unsigned number; `None` for anything but digits.
fn number(text: &str, radix: u32) -> Option<u64> {
    u64::from_str_radix(text, radix).ok().filter(|_| !text.starts_with('+'))
}

fn unescape(field: &str) -> Result<Cow<'_, str>, String> {
    if field.bytes().all(|byte| byte != b'\\') {
        return Ok(Cow::Borrowed(field));
    }
    let (mut out, mut rest) = (String::new(), field.chars());
    while let Some(c) = rest.next() {
        out.push(match c {
            '\\' => match rest.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('\\') => '\\',
                _ => return Err("a backslash escapes nothing".to_owned()),
            },
            c => c,
        });
    }
    Ok(Cow::Owned(out))
}
