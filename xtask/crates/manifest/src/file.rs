//! A manifest file and its lines, byte for byte.

use usr::lossless_text;

/// UTF-8 byte-order mark. After files were concatenated, a mark can be in the middle of a file.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// The lines of a manifest. [`ManifestFile::to_bytes`] returns unchanged lines as they were parsed: line ends (mixed
/// ones too), a missing final newline, blank lines, comments and bytes that are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    lines: Vec<Line>,
    /// The end of new lines: CRLF if most lines of the file have it, else LF.
    default_eol: LineEnd,
}

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The text verbatim, blanks included; bytes that are not UTF-8 as [`usr::lossless_text::from_bytes`] writes them.
    pub text: String,
    pub(crate) end: LineEnd,
}

/// The kinds of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// A path.
    Entry,
    /// `#` and what follows; rkt's own manifests have none.
    Comment,
    /// Nothing, or blanks only.
    Blank,
}

/// The ends of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    Lf,
    CrLf,
    /// The end of the file, without a newline.
    None,
}

impl LineEnd {
    fn bytes(self) -> &'static [u8] {
        match self {
            LineEnd::Lf => b"\n",
            LineEnd::CrLf => b"\r\n",
            LineEnd::None => b"",
        }
    }
}

impl Line {
    pub(crate) fn new(text: &str, end: LineEnd) -> Line {
        Line { text: text.to_owned(), end }
    }

    /// The kind.
    pub fn kind(&self) -> LineKind {
        let text = self.text.trim();
        match text.as_bytes().first() {
            None => LineKind::Blank,
            Some(b'#') => LineKind::Comment,
            Some(_) => LineKind::Entry,
        }
    }

    /// Whether the line ends in CRLF.
    pub fn ends_in_crlf(&self) -> bool {
        self.end == LineEnd::CrLf
    }

    /// Whether it is a path.
    pub fn is_entry(&self) -> bool {
        self.kind() == LineKind::Entry
    }
}

impl ManifestFile {
    /// Splits a file into lines; every file is valid.
    pub fn parse(bytes: &[u8]) -> ManifestFile {
        let lines = bytes.split_inclusive(|&byte| byte == b'\n').map(|line| {
            let (text, end) = match line {
                [text @ .., b'\r', b'\n'] => (text, LineEnd::CrLf),
                [text @ .., b'\n'] => (text, LineEnd::Lf),
                text => (text, LineEnd::None),
            };
            Line { text: lossless_text::from_bytes(text).into_owned(), end }
        });
        let lines: Vec<Line> = lines.collect();
        let count = |end| lines.iter().filter(|line| line.end == end).count();
        let crlf = count(LineEnd::CrLf) > count(LineEnd::Lf);
        ManifestFile { lines, default_eol: if crlf { LineEnd::CrLf } else { LineEnd::Lf } }
    }

    /// The content of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.lines.iter().map(|line| line.text.len() + 2).sum());
        for line in &self.lines {
            bytes.extend_from_slice(&lossless_text::to_bytes(&line.text));
            bytes.extend_from_slice(line.end.bytes());
        }
        bytes
    }

    /// Every line in order; line numbers are the indices plus one.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The paths with their indices, verbatim.
    pub fn entries(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.is_entry())
            .map(|(at, line)| (at, line.text.as_str()))
    }

    /// A file of these lines, each with its end.
    pub(crate) fn from_lines(lines: Vec<Line>, default_eol: LineEnd) -> ManifestFile {
        ManifestFile { lines, default_eol }
    }

    /// The end of new lines.
    pub(crate) fn default_eol(&self) -> LineEnd {
        self.default_eol
    }

    /// Whether the last line has no newline at its end.
    pub fn has_no_final_newline(&self) -> bool {
        self.lines.last().is_some_and(|line| line.end == LineEnd::None)
    }

    /// Removes the lines that are not kept.
    pub fn retain(&mut self, keep: impl FnMut(&Line) -> bool) {
        self.lines.retain(keep);
    }

    /// Replaces all lines, each with the line end that the file uses.
    pub fn set_lines<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        let end = self.default_eol;
        self.lines = texts.into_iter().map(|text| Line { text: text.to_owned(), end }).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsed_file_is_written_unchanged() {
        for bytes in [
            &b""[..],
            b"\n",
            b"bin/a\nbin/b\n",
            b"bin/a\r\nbin/b\r\n",
            b"bin/a\nbin/b\r\nbin/c",
            b"\n\n# note\n bin/a \n\r\n",
            b"caf\xe9\n\xff",
            b"a\rb\n\r\r\n",
        ] {
            assert_eq!(ManifestFile::parse(bytes).to_bytes(), bytes, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn entries_exclude_blank_lines_and_comments() {
        let text = ManifestFile::parse(b"# c\n\nbin/a\n \t\n #d\n/bin/ip\n");
        assert_eq!(text.entries().collect::<Vec<_>>(), [(2, "bin/a"), (5, "/bin/ip")]);
        assert_eq!(text.lines()[3].kind(), LineKind::Blank);
    }
}
