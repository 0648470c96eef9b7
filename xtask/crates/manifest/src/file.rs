//! A manifest file and its lines, byte for byte.

use usr::lossless_text;

/// UTF-8 byte-order mark. After files were concatenated, a mark can be in the middle of a file.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// The lines of a manifest. [`ManifestFile::to_bytes`] returns unchanged lines as they were parsed: line ends (mixed
/// ones too), a missing final newline, blank lines, comments and bytes that are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    pub(crate) lines: Vec<Line>,
    /// The end of new lines: CRLF if most lines of the file have it, else LF.
    pub(crate) default_eol: &'static str,
}

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The text verbatim, blanks included; bytes that are not UTF-8 as [`usr::lossless_text::from_bytes`] writes them.
    pub text: String,
    /// The end: `\n`, `\r\n`, or nothing for a last line without a newline.
    pub(crate) end: &'static str,
}

impl Line {
    pub(crate) fn new(text: &str, end: &'static str) -> Line {
        Line { text: text.to_owned(), end }
    }

    /// Whether the line has nothing, or blanks only.
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Whether the line is a path: neither blank nor a comment, which starts with `#`; rkt's own manifests have none.
    pub fn is_entry(&self) -> bool {
        self.text.trim_start().starts_with(|first| first != '#')
    }

    /// Whether the line ends in CRLF.
    pub fn ends_in_crlf(&self) -> bool {
        self.end == "\r\n"
    }
}

impl ManifestFile {
    /// Splits a file into lines; every file is valid.
    pub fn parse(bytes: &[u8]) -> ManifestFile {
        let lines = bytes.split_inclusive(|&byte| byte == b'\n').map(|line| {
            let (text, end) = match line {
                [text @ .., b'\r', b'\n'] => (text, "\r\n"),
                [text @ .., b'\n'] => (text, "\n"),
                text => (text, ""),
            };
            Line { text: lossless_text::from_bytes(text).into_owned(), end }
        });
        let lines: Vec<Line> = lines.collect();
        let count = |end: &str| lines.iter().filter(|line| line.end == end).count();
        let default_eol = if count("\r\n") > count("\n") { "\r\n" } else { "\n" };
        ManifestFile { lines, default_eol }
    }

    /// The content of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.lines.iter().map(|line| line.text.len() + 2).sum());
        for line in &self.lines {
            bytes.extend_from_slice(&lossless_text::to_bytes(&line.text));
            bytes.extend_from_slice(line.end.as_bytes());
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

    /// Whether the last line has no newline at its end.
    pub fn has_no_final_newline(&self) -> bool {
        self.lines.last().is_some_and(|line| line.end.is_empty())
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
        assert!(text.lines()[3].is_blank());
    }
}
