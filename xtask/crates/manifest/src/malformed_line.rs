//! Lines that mean the right thing and are written the wrong way.

use std::collections::HashSet;

use super::file::{LineKind, ManifestFile};
use super::image_index::ImageIndex;
use super::library_name::LibraryName;
use usr::path::UsrPath;

/// What some editors put at the start of a file to say that it is UTF-8; two files in one have it in the middle.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// What is wrong with a comment.
const COMMENT: &str =
    "a manifest has no comments: the build takes every line for a path, and the image has none of this name";
/// What is wrong with CRLF.
pub const CRLF: &str = "lines end in CRLF: the build takes the carriage return for a part of the path";
/// What is wrong with a file without a final newline.
pub const NO_FINAL_NEWLINE: &str = "the file has no newline at its end: the build joins its last line with the first one of the next manifest";

/// Whether a file's name is one that editors, patch(1) and package managers give to copies.
pub fn is_leftover(file: &str) -> bool {
    const ENDS: [&str; 12] = [
        "~",
        "#",
        ".bak",
        ".backup",
        ".old",
        ".orig",
        ".rej",
        ".save",
        ".swp",
        ".tmp",
        ".dpkg-old",
        ".rpmsave",
    ];
    let name = file.rsplit('/').next().unwrap_or(file);
    ENDS.iter().any(|end| name.ends_with(end)) || name.starts_with('#')
}

/// Whether a path has a name that only files have: a program's directory, or an extension. Directories of systemd and
/// others have extensions too (`.d`, `.wants`).
pub fn is_file_name(path: &UsrPath) -> bool {
    const OF_DIRECTORIES: [&str; 4] = ["d", "wants", "requires", "upholds"];
    let extension = path.name().rsplit_once('.').map(|(_, extension)| extension);
    matches!(path.parent().as_ref().map(UsrPath::as_str), Some("bin" | "sbin"))
        || LibraryName::parse(path.name()).is_some()
        || extension.is_some_and(|it| {
            !OF_DIRECTORIES.contains(&it) && it.starts_with(|c: char| c.is_ascii_alphabetic())
        })
}

/// A line out of form, and how it is put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedLine {
    /// The line's index, counted from 0.
    pub index: usize,
    /// The line verbatim.
    pub line: String,
    /// What it should be; `None` where it says nothing and goes.
    pub becomes: Option<String>,
    /// What is wrong with it.
    pub because: String,
}

/// Every line out of form: behind a byte-order mark, blank, repeated, with a leading slash or a stray blank, without its directory.
pub fn strays(text: &ManifestFile, index: &ImageIndex<'_>) -> Vec<MalformedLine> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut strays = Vec::new();
    for (at, line) in text.lines().iter().enumerate() {
        let unmarked = line.text.strip_prefix(BYTE_ORDER_MARK);
        let because = match line.kind() {
            _ if unmarked.is_some() => Some(without_mark(unmarked.unwrap_or_default(), index)),
            LineKind::Comment => Some((None, COMMENT.to_owned())),
            LineKind::Blank => Some((None, "the line is blank".to_owned())),
            LineKind::Entry if !seen.insert(&line.text) => {
                Some((None, "the line is there already".to_owned()))
            }
            LineKind::Entry => formed(&line.text, index).map(|(path, why)| (Some(path), why)),
        };
        if let Some((becomes, because)) = because {
            strays.push(MalformedLine { index: at, line: line.text.clone(), becomes, because });
        }
    }
    strays
}

/// What a line says behind the mark that it starts with, put in form as well.
fn without_mark(line: &str, index: &ImageIndex<'_>) -> (Option<String>, String) {
    let why = "it starts with a byte-order mark (EF BB BF), which is no part of a path".to_owned();
    let formed = formed(line, index).map_or_else(|| line.to_owned(), |(path, _)| path);
    let says_nothing = line.trim().is_empty() || line.trim().starts_with('#');
    ((!says_nothing).then_some(formed), why)
}

/// How a path should be written, where that is not how it is.
fn formed(line: &str, index: &ImageIndex<'_>) -> Option<(String, String)> {
    if index.tree.get(line).is_some() {
        return None;
    }
    let path = UsrPath::from_rootfs_path(line.trim()).ok()?;
    if path.parent().is_none() {
        return with_directory(&path, index);
    }
    let why = if line.starts_with('/') {
        "paths are relative to /usr, without a leading slash"
    } else {
        "paths are written without blanks around them, `./`, `//` or a trailing slash"
    };
    (path.as_str() != line).then(|| (path.to_string(), why.to_owned()))
}

/// `libcrypt-2.21.so` is a file of `lib64`, or its one replacement there is: programs are in `bin` and `sbin`, libraries
/// in the directories that the loader searches.
fn with_directory(name: &UsrPath, index: &ImageIndex<'_>) -> Option<(String, String)> {
    let library = LibraryName::parse(name.name());
    let is_searched = |path: &&UsrPath| {
        path.parent().is_some_and(|directory| match library {
            Some(_) => index.is_library_directory(&directory),
            None => index.is_program_directory(&directory),
        })
    };
    let mut found = index.get(name.name());
    if let Some(library) = library.as_ref().filter(|_| found.is_empty()) {
        found = index.libraries_with_stem(library.stem);
        found.retain(|path| {
            LibraryName::parse(path.name()).is_some_and(|other| other.kind.can_replace(library.kind))
        });
    }
    found.retain(is_searched);
    let files: Vec<&UsrPath> = found.iter().copied().filter(|path| index.is_file(path)).collect();
    match if found.len() > 1 { files } else { found }.as_slice() {
        [only] => Some((only.to_string(), "the path lacks its directory".to_owned())),
        _ => None,
    }
}
