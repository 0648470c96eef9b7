//! Logical lines of a makefile, and the ends of comments and variable references.

/// A line with its continuations.
pub(super) struct LogicalLine {
    /// The number of the first physical line, from 1.
    pub(super) number: usize,
    /// The byte offset in the text.
    pub(super) start: usize,
    /// The bytes, with blanks in place of each backslash-newline, so that offsets are those of the text.
    pub(super) flat: Vec<u8>,
}

/// UTF-8 byte-order mark; make ignores it at the start of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Splits a text into logical lines. A newline after an odd number of backslashes joins two lines; a CR before a newline
/// is part of the line end.
pub(super) fn logical_lines(text: &[u8]) -> Vec<LogicalLine> {
    let mut lines: Vec<LogicalLine> = Vec::new();
    let mut joins = false;
    let mut start = 0;
    for (index, physical) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let mut flat = physical.to_vec();
        if index == 0 && flat.starts_with(BYTE_ORDER_MARK) {
            flat[..BYTE_ORDER_MARK.len()].fill(b' ');
        }
        // A blank to make, but not to is_ascii_whitespace().
        flat.iter_mut().filter(|byte| **byte == b'\x0b').for_each(|byte| *byte = b' ');
        let content =
            flat.len() - flat.iter().rev().take_while(|b| matches!(b, b'\n' | b'\r')).count().min(2);
        let ended = physical.ends_with(b"\n");
        let backslashes = flat[..content].iter().rev().take_while(|&&byte| byte == b'\\').count();
        let continued = ended && backslashes % 2 == 1;
        flat[content - usize::from(continued)..].fill(b' ');
        match lines.last_mut() {
            Some(open) if joins => open.flat.extend(flat),
            _ => lines.push(LogicalLine { number: index + 1, start, flat }),
        }
        joins = continued;
        start += physical.len();
    }
    lines
}

/// Words, separated by blanks.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// The start of the comment of a line, else the line's end. A `#` in a variable reference or after a backslash does not
/// start a comment.
pub(super) fn comment_start(flat: &[u8]) -> usize {
    let mut at = 0;
    while at < flat.len() {
        match flat[at] {
            b'#' => return at,
            b'\\' => at += 2,
            b'$' => at = reference_end(flat, at),
            _ => at += 1,
        }
    }
    flat.len()
}

/// The first position from `at` on, outside of variable references, with a rest that `is_end`.
pub(super) fn find_outside_references(
    text: &[u8],
    mut at: usize,
    is_end: impl Fn(&[u8]) -> bool,
) -> Option<usize> {
    while at < text.len() && !is_end(&text[at..]) {
        at = if text[at] == b'$' { reference_end(text, at) } else { at + 1 };
    }
    (at < text.len()).then_some(at)
}

/// Copies a text and calls `push` for each variable reference in place of the reference, with the copy so far.
pub(super) fn replace_references<E>(
    text: &str,
    mut push: impl FnMut(&str, &mut String) -> Result<(), E>,
) -> Result<String, E> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let end = reference_end(rest.as_bytes(), at);
        let end = (end..rest.len()).find(|end| rest.is_char_boundary(*end)).unwrap_or(rest.len());
        push(&rest[at..end], &mut out)?;
        rest = &rest[end..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The byte after the reference that starts with the `$` at `at`: `$(…)`, `${…}`, `$x`, `$$`.
pub(super) fn reference_end(text: &[u8], at: usize) -> usize {
    let (open, close) = match text.get(at + 1) {
        Some(b'(') => (b'(', b')'),
        Some(b'{') => (b'{', b'}'),
        Some(_) => return at + 2,
        None => return at + 1,
    };
    let mut depth = 0;
    for (offset, &byte) in text[at + 1..].iter().enumerate() {
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth -= 1;
            if depth == 0 {
                return at + 2 + offset;
            }
        }
    }
    text.len()
}
