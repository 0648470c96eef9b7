//! Text with semantic styles; the terminal maps each style to a colour.

use std::borrow::Cow;
use std::fmt;

use usr::lossless_text;

/// The meaning of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Style {
    /// Text.
    Plain,
    /// Emphasis: a file name, a heading.
    Strong,
    /// Secondary text: reasons, context, searched paths.
    Faint,
    /// A line that is removed.
    Removed,
    /// A line that is added.
    Added,
    /// `@@ -1,3 +1,4 @@`.
    Hunk,
    /// Success.
    Good,
    /// Severity error.
    Error,
    /// Severity warning.
    Warning,
    /// Severity advice, and hints.
    Advice,
}

/// Text in pieces, each with its [`Style`]. Control characters are escaped by
/// [`lossless_text::escape_for_terminal`], except in pieces that were added verbatim.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StyledText {
    pieces: Vec<(Style, String)>,
}

impl StyledText {
    /// No text.
    pub fn new() -> StyledText {
        StyledText::default()
    }

    /// Text of one style.
    pub fn styled(style: Style, text: impl Into<String>) -> StyledText {
        let mut styled = StyledText::new();
        styled.push(style, text);
        styled
    }

    /// Adds a piece.
    pub fn push(&mut self, style: Style, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.pieces.push((style, lossless_text::escape_for_terminal(&text).into_owned()));
        }
    }

    /// Adds a piece without escaping, for output that a program reads.
    pub fn push_verbatim(&mut self, style: Style, text: impl Into<String>) {
        self.pieces.push((style, text.into()));
    }

    /// Adds a piece and ends the line.
    pub fn push_line(&mut self, style: Style, text: impl Into<String>) {
        self.push(style, text);
        self.push(Style::Plain, "\n");
    }

    /// Adds other text.
    pub fn append(&mut self, other: StyledText) {
        self.pieces.extend(other.pieces);
    }

    /// The pieces in order, each as the bytes to print.
    pub fn pieces(&self) -> impl Iterator<Item = (Style, Cow<'_, [u8]>)> {
        self.pieces.iter().map(|(style, text)| (*style, lossless_text::to_bytes(text)))
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// The text alone.
impl fmt::Display for StyledText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|(_, text)| f.write_str(text))
    }
}

/// Wraps words to `width` columns and begins each line with `indent`; without a width all are on one line.
pub(crate) fn wrap(text: &str, width: Option<usize>, indent: &str) -> String {
    let width = width.unwrap_or(usize::MAX);
    let mut out = indent.to_owned();
    let mut column = indent.len();
    for (number, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if number > 0 && column + 1 + length > width {
            out.push('\n');
            out.push_str(indent);
            column = indent.len();
        } else if number > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_wrapped_on_a_terminal() {
        assert_eq!(wrap("aa bb cc dd", Some(8), "  "), "  aa bb\n  cc dd");
        assert_eq!(wrap("aa bb cc dd", None, "  "), "  aa bb cc dd");
        assert_eq!(wrap("", Some(8), "  "), "  ");
    }
}
