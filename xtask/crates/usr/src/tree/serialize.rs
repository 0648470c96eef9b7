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
        let mut reader =
            Reader { fields: Fields::new(body), nodes: Vec::with_capacity(body.len() / 48), directory: "" };
        while reader.fields.next_line() {
            let line = reader.nodes.len() + 2;
            reader.node().map_err(|why| format!("line {line}: {why}"))?;
            if reader.nodes.len() > MAX_NODES {
                return Err(format!("line {line}: it has more than {MAX_NODES} nodes"));
            }
        }
        Ok(UsrTree { nodes: BTreeMap::from_iter(reader.nodes), ..UsrTree::default() })
    }
}

/// The nodes that were read so far, in order.
struct Reader<'a> {
    fields: Fields<'a>,
    nodes: Vec<(UsrPath, Node)>,
    /// The directory of the last node: most nodes are in the same directory as the one before.
    directory: &'a str,
}

impl<'a> Reader<'a> {
    fn node(&mut self) -> Result<(), String> {
        let fields = &mut self.fields;
        let letter = fields.next().ok_or("the line is empty")?;
        let mode = fields.next().and_then(|mode| number(mode, 8)).and_then(|mode| u16::try_from(mode).ok());
        let mode = mode.filter(|mode| *mode <= 0o7777).ok_or("the mode is not an octal number up to 7777")?;
        let path = fields.value("the path")?;
        let kind = match letter {
            "d" => NodeKind::Directory,
            "s" => NodeKind::Special,
            "l" => NodeKind::Symlink(fields.value("the target")?.into_owned()),
            "f" => {
                let size =
                    fields.next().and_then(|size| number(size, 10)).ok_or("the size is not a number")?;
                NodeKind::File { size, info: read_info(fields)?.map(OnceLock::from).unwrap_or_default() }
            }
            other => return Err(format!("{other:?} is not a kind of node")),
        };
        if let Some(field) = fields.next() {
            return Err(format!("{field:?} is one field too many"));
        }
        let path = self.path(path)?;
        self.nodes.push((path, Node { mode, kind }));
        Ok(())
    }

    /// Parses a path. It must be in normal form, sort after the last path, and have a directory node as its parent: the
    /// invariant of [`UsrTree`].
    fn path(&mut self, text: Cow<'a, str>) -> Result<UsrPath, String> {
        if self.nodes.last().is_some_and(|(last, _)| last.as_str() >= &*text) {
            return Err(format!("{text:?} is out of order"));
        }
        let bytes = text.as_bytes();
        let mut at = bytes.len();
        while at > 0 && bytes[at - 1] != b'/' {
            at -= 1;
        }
        if at > 0 && text[..at - 1] == *self.directory && !matches!(&bytes[at..], b"" | b"." | b"..") {
            return Ok(UsrPath::from_normalized_unchecked(text.into_owned()));
        }
        let path =
            UsrPath::from_normalized(&text).ok_or_else(|| format!("{text:?} is not a normalised path"))?;
        if at > 0 {
            let directory = &text[..at - 1];
            let found = self.nodes.binary_search_by(|(known, _)| known.as_str().cmp(directory));
            if !found.is_ok_and(|found| self.nodes[found].1.kind == NodeKind::Directory) {
                return Err(format!("the directory of {text:?} is missing"));
            }
            if let Cow::Borrowed(text) = text {
                self.directory = &text[..at - 1];
            }
        }
        Ok(path)
    }
}

fn checksum_line(bytes: &[u8]) -> String {
    let hex: String = digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{CHECKSUM}{hex}\n")
}

fn push_node(text: &mut String, path: &UsrPath, node: &Node) {
    let letter = match &node.kind {
        NodeKind::Directory => 'd',
        NodeKind::Symlink(_) => 'l',
        NodeKind::File { .. } => 'f',
        NodeKind::Special => 's',
    };
    text.push(letter);
    push_number(text, u64::from(node.mode), 8);
    push_field(text, "", path.as_str());
    match &node.kind {
        NodeKind::Symlink(target) => push_field(text, "", target),
        NodeKind::File { size, info } => {
            push_number(text, *size, 10);
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
    match info {
        FileInfo::Other => text.push_str("\tp"),
        FileInfo::MalformedElf(why) => {
            text.push_str("\tb");
            push_field(text, "", why);
        }
        FileInfo::Script(interpreter) => {
            text.push_str("\ti");
            push_field(text, "", interpreter);
        }
        FileInfo::Text(content) => {
            text.push_str("\tt");
            push_field(text, "", content);
        }
        FileInfo::Elf(info) => {
            text.push_str("\te");
            elf::push(text, info);
        }
    }
}

/// Appends a tab and a number in digits. `format!` is slower, and a tree has 40,000 numbers.
fn push_number(text: &mut String, mut number: u64, radix: u64) {
    text.push('\t');
    let start = text.len();
    loop {
        text.insert(start, char::from(b'0' + (number % radix) as u8));
        number /= radix;
        if number == 0 {
            return;
        }
    }
}

/// Appends a tab, a tag, and an escaped value.
fn push_field(text: &mut String, tag: &str, value: &str) {
    text.push('\t');
    text.push_str(tag);
    let bytes = value.as_bytes();
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        let escaped = match bytes[at] {
            b'\t' => "\\t",
            b'\n' => "\\n",
            b'\\' => "\\\\",
            _ => {
                at += 1;
                continue;
            }
        };
        text.push_str(&value[start..at]);
        text.push_str(escaped);
        at += 1;
        start = at;
    }
    text.push_str(&value[start..]);
}

/// The content info of a file; `None` for a file that was not read.
fn read_info(fields: &mut Fields<'_>) -> Result<Option<FileInfo>, String> {
    let letter = fields.next().ok_or("the file info is missing")?;
    let info = match letter {
        "u" => return Ok(None),
        "p" => Ok(FileInfo::Other),
        "b" => Ok(FileInfo::MalformedElf(fields.value("a value")?.into_owned())),
        "i" => Ok(FileInfo::Script(fields.value("a value")?.into_owned())),
        "t" => Ok(FileInfo::Text(fields.value("a value")?.into_owned())),
        "e" => elf::read(fields).map(|info| FileInfo::Elf(Box::new(info))),
        other => Err(format!("{other:?} is not a kind of file info")),
    };
    info.map(Some)
}

/// Reader of the fields, line by line. It reads each byte once, by plain indexing: a tree has 23,000 lines, and iterator
/// adapters cost ten times as much without optimisation.
struct Fields<'a> {
    text: &'a str,
    /// The ends of the fields of this line.
    ends: Vec<usize>,
    /// The next field of the line.
    field: usize,
    /// The start of the next field.
    at: usize,
    /// The start of the next line.
    next: usize,
    /// Whether this line has an escape sequence.
    escaped: bool,
}

impl<'a> Fields<'a> {
    fn new(text: &'a str) -> Fields<'a> {
        Fields { text, ends: Vec::new(), field: 0, at: 0, next: 0, escaped: false }
    }

    /// Goes to the next line; `false` at the end of the text.
    fn next_line(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        if self.next >= bytes.len() {
            return false;
        }
        (self.field, self.at, self.escaped) = (0, self.next, false);
        self.ends.clear();
        let mut at = self.next;
        while at < bytes.len() {
            match bytes[at] {
                b'\n' => break,
                b'\t' => self.ends.push(at),
                b'\\' => self.escaped = true,
                _ => {}
            }
            at += 1;
        }
        self.ends.push(at);
        self.next = at + 1;
        true
    }

    /// The next field of the line, without unescaping.
    fn next(&mut self) -> Option<&'a str> {
        let end = *self.ends.get(self.field)?;
        let start = self.at;
        self.field += 1;
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// The next field of the line, unescaped.
    fn value(&mut self, what: &str) -> Result<Cow<'a, str>, String> {
        let field = self.next().ok_or_else(|| format!("{what} is missing"))?;
        if self.escaped { unescape(field) } else { Ok(Cow::Borrowed(field)) }
    }
}

/// Parses an unsigned number; `None` for anything but digits.
fn number(text: &str, radix: u64) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return None;
    }
    let (mut value, mut at) = (0_u64, 0);
    while at < bytes.len() {
        let digit = u64::from(bytes[at].wrapping_sub(b'0'));
        if digit >= radix {
            return None;
        }
        value = value.checked_mul(radix)?.checked_add(digit)?;
        at += 1;
    }
    Some(value)
}

fn unescape(field: &str) -> Result<Cow<'_, str>, String> {
    let bytes = field.as_bytes();
    let (mut out, mut start, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        let plain = match bytes.get(at + 1) {
            Some(b't') => '\t',
            Some(b'n') => '\n',
            Some(b'\\') => '\\',
            _ => return Err("a backslash escapes nothing".to_owned()),
        };
        out.push_str(&field[start..at]);
        out.push(plain);
        at += 2;
        start = at;
    }
    if start == 0 {
        return Ok(Cow::Borrowed(field));
    }
    out.push_str(&field[start..]);
    Ok(Cow::Owned(out))
}
