//! The text form of a tree for the cache: one line per node.
//!
//! ```text
//! usr-tree 5
//! d755  0   lib64
//! l777  5   /libz.so.1   libz.so.1.2.8
//! f755  15  .2.8   92160   e   64l62   y   Slibz.so.1   Nlibc.so.6
//! sha256 HEX
//! ```
//!
//! Tabs separate fields: the kind and mode, and the path, which is the number of first bytes that it shares with the path
//! of the last line, and its rest. In a field a tab, a newline and a backslash are `\t`, `\n` and `\\`. The kinds are
//! `d` directory, `l` symlink, `f` file, `s` special. The info of a file that was read is `p` other, `b` malformed ELF,
//! `i` script, `t` text, `e` ELF with further fields (see [`super::serialize::elf`]). Lines are in byte order of the paths.
//! The last line is the SHA-256 of all lines before it: it detects a damaged file, not a forged one.

mod elf;

use std::borrow::Cow;
use std::fmt::Write;

use ring::digest::{SHA256, digest};

use super::{MAX_NODES, MAX_PATH_BYTES, Node, NodeKind, UsrTree};
use crate::file_info::FileInfo;
use crate::path::UsrPath;

/// The first line, with the version of the format. It also changes with what [`crate::file_info`] reads of a file: a
/// tree of an older version would have other findings.
const HEADER: &str = "usr-tree 5\n";
const CHECKSUM: &str = "sha256 ";
/// The length of the last line: the prefix, 64 digits, a newline.
const CHECKSUM_LENGTH: usize = CHECKSUM.len() + 64 + 1;

impl UsrTree {
    /// The tree as text.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(48 * self.nodes.len() + 256);
        text.push_str(HEADER);
        let mut last = "";
        for (path, node) in &self.nodes {
            push_node(&mut text, path.as_str(), last, node);
            last = path.as_str();
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
        let lines = body.bytes().filter(|byte| *byte == b'\n').count();
        let nodes = Vec::with_capacity(lines.min(MAX_NODES));
        let mut parser = NodeParser { nodes, path: String::new(), directory_length: None, path_bytes: 0 };
        let mut fields = Fields { rest: body, is_line_end: false };
        while fields.start_line() {
            parser
                .parse_node(&mut fields)
                .map_err(|why| format!("line {}: {why}", parser.nodes.len() + 2))?;
        }
        Ok(UsrTree { nodes: parser.nodes, ..UsrTree::default() })
    }
}

/// The nodes that were read so far, in order.
struct NodeParser {
    nodes: Vec<(UsrPath, Node)>,
    /// The path of the last node.
    path: String,
    /// The length of its directory; `None` for the root.
    directory_length: Option<usize>,
    path_bytes: usize,
}

impl NodeParser {
    fn parse_node(&mut self, fields: &mut Fields<'_>) -> Result<(), String> {
        if self.nodes.len() == MAX_NODES {
            return Err(format!("it has more than {MAX_NODES} nodes"));
        }
        let field = fields.next().and_then(|field| field.split_at_checked(1));
        let (letter, mode) = field.ok_or("the line is empty")?;
        let mode = number(mode, 8).and_then(|mode| u16::try_from(mode).ok());
        let mode = mode.filter(|mode| *mode <= 0o7777).ok_or("the mode is not an octal number up to 7777")?;
        self.parse_path(fields)?;
        let kind = match letter {
            "d" => NodeKind::Directory,
            "s" => NodeKind::Special,
            "l" => NodeKind::Symlink(fields.next_unescaped("the target")?.into_owned()),
            "f" => {
                let size =
                    fields.next().and_then(|size| number(size, 10)).ok_or("the size is not a number")?;
                parse_info(fields)?
                    .map_or_else(|| NodeKind::unread_file(size), |info| NodeKind::file(size, info))
            }
            other => return Err(format!("{other:?} is not a kind of node")),
        };
        if let Some(field) = fields.next() {
            return Err(format!("{field:?} is one field too many"));
        }
        self.nodes.push((UsrPath::from_normalized_unchecked(&self.path), Node { mode, kind }));
        Ok(())
    }

    /// Parses a path. It must be in normal form, sort after the last path, and have a directory node as its parent: the
    /// invariant of [`UsrTree`].
    fn parse_path(&mut self, fields: &mut Fields<'_>) -> Result<(), String> {
        let shared = fields.next().and_then(|shared| number(shared, 10)).map(|shared| shared as usize);
        let shared = shared.filter(|shared| self.path.is_char_boundary(*shared));
        let shared = shared.ok_or("the path has no part of the last one")?;
        let rest = fields.next_unescaped("the path")?;
        let slash_in_rest = rest.bytes().rposition(|byte| byte == b'/').map(|at| shared + at);
        let directory_length = match self.directory_length {
            Some(same) if same < shared && slash_in_rest.is_none() => Some(same),
            _ => slash_in_rest.or_else(|| self.path[..shared].rfind('/')),
        };
        // Whether this is the length of the last path, which is a directory, or of a directory above it.
        let is_above_last = |length: usize| match self.path.as_bytes().get(length) {
            Some(byte) => *byte == b'/',
            None => self.nodes.last().is_some_and(|(_, last)| last.kind == NodeKind::Directory),
        };
        let is_known = directory_length.is_none_or(|length| length <= shared && is_above_last(length));
        let is_sorted = self.path[shared..] < *rest;
        self.path.truncate(shared);
        self.path.push_str(&rest);
        let path = self.path.as_str();
        if !is_sorted {
            return Err(format!("{path:?} is out of order"));
        }
        let (directory, name) = directory_length.map_or(("", path), |at| (&path[..at], &path[at + 1..]));
        if matches!(name, "" | "." | "..") || path.starts_with('/') {
            return Err(format!("{path:?} is not a normalised path"));
        }
        if !is_known {
            let found = self.nodes.binary_search_by(|(known, _)| known.as_str().cmp(directory));
            if !found.is_ok_and(|found| self.nodes[found].1.kind == NodeKind::Directory) {
                return Err(format!("the directory of {path:?} is missing"));
            }
        }
        self.directory_length = directory_length;
        self.path_bytes += path.len();
        if self.path_bytes > MAX_PATH_BYTES {
            return Err(format!("the paths have more than {MAX_PATH_BYTES} bytes"));
        }
        Ok(())
    }
}

fn checksum_line(bytes: &[u8]) -> String {
    format!("{CHECKSUM}{}\n", hex::encode(digest(&SHA256, bytes)))
}

fn push_node(text: &mut String, path: &str, last: &str, node: &Node) {
    let letter = match &node.kind {
        NodeKind::Directory => 'd',
        NodeKind::Symlink(_) => 'l',
        NodeKind::File { .. } => 'f',
        NodeKind::Special => 's',
    };
    let shared = path.bytes().zip(last.bytes()).take_while(|(one, other)| one == other).count();
    let shared = (0..=shared).rev().find(|&at| path.is_char_boundary(at)).unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = write!(text, "{letter}{:o}\t{shared}", node.mode);
    push_field(text, "", &path[shared..]);
    match &node.kind {
        NodeKind::Symlink(target) => push_field(text, "", target),
        NodeKind::File { size, info } => {
            let _ = write!(text, "\t{size}");
            info.get().into_iter().for_each(|info| push_info(text, info));
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

/// Parses the content info of a file; `None` for a file that was not read.
fn parse_info(fields: &mut Fields<'_>) -> Result<Option<FileInfo>, String> {
    let Some(letter) = fields.next() else { return Ok(None) };
    let info = match letter {
        "p" => Ok(FileInfo::Other),
        "b" => Ok(FileInfo::MalformedElf(fields.next_unescaped("a value")?.into_owned())),
        "i" => Ok(FileInfo::Script(fields.next_unescaped("a value")?.into_owned())),
        "t" => Ok(FileInfo::Text(fields.next_unescaped("a value")?.into_owned())),
        "e" => elf::parse_elf_fields(fields).map(|info| FileInfo::Elf(Box::new(info))),
        other => Err(format!("{other:?} is not a kind of file info")),
    };
    info.map(Some)
}

/// The fields that are not yet read, line by line.
struct Fields<'a> {
    rest: &'a str,
    is_line_end: bool,
}

impl<'a> Fields<'a> {
    /// Starts the next line; `false` at the end of the text.
    fn start_line(&mut self) -> bool {
        self.is_line_end = false;
        !self.rest.is_empty()
    }

    /// The next field of the line, without unescaping.
    fn next(&mut self) -> Option<&'a str> {
        if self.is_line_end {
            return None;
        }
        let text = self.rest;
        // By bytes: most fields are shorter than what the search of str::split reads at once.
        let end = text.bytes().position(|byte| matches!(byte, b'\t' | b'\n')).unwrap_or(text.len());
        self.is_line_end = text.as_bytes().get(end) != Some(&b'\t');
        self.rest = text.get(end + 1..).unwrap_or_default();
        Some(&text[..end])
    }

    fn next_unescaped(&mut self, what: &str) -> Result<Cow<'a, str>, String> {
        unescape(self.next().ok_or_else(|| format!("{what} is missing"))?)
    }
}

/// Parses an unsigned number; `None` for anything but digits.
fn number(text: &str, radix: u32) -> Option<u64> {
    u64::from_str_radix(text, radix).ok().filter(|_| !text.starts_with('+'))
}

fn unescape(field: &str) -> Result<Cow<'_, str>, String> {
    if !field.contains('\\') {
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
