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
    end: LineEnd,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
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

    /// Inserts a line before the one at `index`, or after the last one, with the line end of the file. A file without
    /// a final newline stays without one.
    pub fn insert(&mut self, index: usize, text: &str) {
        let index = index.min(self.lines.len());
        let eol = self.default_eol;
        let mut end = eol;
        if index == self.lines.len()
            && let Some(last) = self.lines.last_mut()
            && last.end == LineEnd::None
        {
            last.end = eol;
            end = LineEnd::None;
        }
        self.lines.insert(index, Line { text: text.to_owned(), end });
    }

    /// Replaces the text of the line at `index`, not its end. An index past the last line changes nothing.
    pub fn replace(&mut self, index: usize, text: &str) {
        if let Some(line) = self.lines.get_mut(index) {
            text.clone_into(&mut line.text);
        }
    }

    /// Removes the line at `index`.
    pub fn remove(&mut self, index: usize) {
        if index < self.lines.len() {
            self.lines.remove(index);
        }
    }

    /// Whether the last line has no newline at its end.
    pub fn has_no_final_newline(&self) -> bool {
        self.lines.last().is_some_and(|line| line.end == LineEnd::None)
    }

    /// Ends the last line with a newline.
    pub fn add_final_newline(&mut self) {
        if let Some(last) = self.lines.last_mut().filter(|line| line.end == LineEnd::None) {
            last.end = self.default_eol;
        }
    }

    /// Ends every line that ends in CRLF with a line feed alone.
    pub fn convert_to_lf(&mut self) {
        self.default_eol = LineEnd::Lf;
        self.lines
            .iter_mut()
            .filter(|line| line.end == LineEnd::CrLf)
            .for_each(|line| line.end = LineEnd::Lf);
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
    fn edits_keep_line_ends() {
        for (before, after) in [
            (&b"a\nb\n"[..], &b"a\nX\nb\nZ\n"[..]),
            (b"a\r\nb\r\n", b"a\r\nX\r\nb\r\nZ\r\n"),
            (b"a\nb", b"a\nX\nb\nZ"),
            (b"a\r\nb", b"a\r\nX\r\nb\r\nZ"),
        ] {
            let mut text = ManifestFile::parse(before);
            text.insert(1, "X");
            text.insert(3, "Z");
            assert_eq!(text.to_bytes(), after);
            text.remove(3);
            text.remove(1);
            // The line that was the last is left as it is, with the newline that it got.
            let kept =
                [before.trim_ascii_end(), if before.contains(&b'\r') { b"\r\n" } else { b"\n" }].concat();
            assert_eq!(text.to_bytes(), kept);
        }
        let mut empty = ManifestFile::parse(b"");
        empty.insert(7, "x");
        assert_eq!(empty.to_bytes(), b"x\n");
        empty.replace(0, "y");
        empty.replace(1, "z");
        empty.remove(1);
        assert_eq!(empty.to_bytes(), b"y\n");
    }

    #[test]
    fn entries_exclude_blank_lines_and_comments() {
        let text = ManifestFile::parse(b"# c\n\nbin/a\n \t\n #d\n/bin/ip\n");
        assert_eq!(text.entries().collect::<Vec<_>>(), [(2, "bin/a"), (5, "/bin/ip")]);
        assert_eq!(text.lines()[3].kind(), LineKind::Blank);
    }
}
