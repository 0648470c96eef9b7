//! Lines that mean the right thing and are written the wrong way.

use std::collections::HashSet;

use super::file::{LineKind, ManifestFile};
use super::image_index::{ImageIndex, Room};
use super::library_name::LibraryName;
use usr::path::UsrPath;

/// What some editors put at the start of a file to say that it is UTF-8; two files in one have it in the middle.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

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
            LineKind::Comment => continue,
            _ if unmarked.is_some() => Some(without_mark(unmarked.unwrap_or_default(), index)),
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
    ((!line.trim().is_empty()).then_some(formed), why)
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

/// `libcrypt-2.21.so` is a file of `lib64`, or its one successor there is.
fn with_directory(name: &UsrPath, index: &ImageIndex<'_>) -> Option<(String, String)> {
    let library = LibraryName::parse(name.name());
    let alike = |path: &&UsrPath| {
        LibraryName::parse(path.name())
            .is_some_and(|other| library.as_ref().is_some_and(|l| l.shape.is_like(other.shape)))
    };
    let named: Vec<&UsrPath> =
        index.named(name.name()).into_iter().filter(|path| Room::of(path) != Room::Other).collect();
    let of_stem =
        || index.of_stem(library.as_ref().map_or("", |l| l.stem)).into_iter().filter(alike).collect();
    let found: Vec<&UsrPath> = if named.is_empty() { of_stem() } else { named };
    let files: Vec<&UsrPath> = found.iter().copied().filter(|path| index.is_file(path)).collect();
    match if found.len() > 1 { files } else { found }.as_slice() {
        [only] => Some((only.to_string(), "the path lacks its directory".to_owned())),
        _ => None,
    }
}
