//! Text that knows what each piece of it means; what a meaning looks like is settled where it is printed.

use std::fmt;

use usr::lossless_text;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Style {
    /// Text.
    Plain,
    /// What a reader looks for first: a file name, a heading.
    Strong,
    /// What a reader may skip: reasons, context, paths that were searched.
    Faint,
    /// A line that goes.
    Removed,
    /// A line that comes.
    Added,
    /// `@@ -1,3 +1,4 @@`.
    Hunk,
    /// It went well.
    Good,
    /// Something of severity error.
    Error,
    /// Something of severity warning.
    Warning,
    /// Something of severity advice, and hints.
    Advice,
}

/// Text in pieces, each with its [`Style`], and nothing in it that only programs can read ([`name::readable`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StyledText {
    pieces: Vec<(Style, String)>,
}

impl StyledText {
    /// No text.
    pub fn new() -> StyledText {
        StyledText::default()
    }

    /// Text of one tone.
    pub fn of(tone: Style, text: impl Into<String>) -> StyledText {
        let mut styled = StyledText::new();
        styled.push(tone, text);
        styled
    }

    /// Adds a piece.
    pub fn push(&mut self, tone: Style, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.pieces.push((tone, lossless_text::readable(&text).into_owned()));
        }
    }

    /// Adds a piece and ends the line.
    pub fn line(&mut self, tone: Style, text: impl Into<String>) {
        self.push(tone, text);
        self.push(Style::Plain, "\n");
    }

    /// Adds other text as it is.
    pub fn append(&mut self, other: StyledText) {
        self.pieces.extend(other.pieces);
    }

    /// The pieces in order; none is empty.
    pub fn pieces(&self) -> impl Iterator<Item = (Style, &str)> {
        self.pieces.iter().map(|(tone, text)| (*tone, text.as_str()))
    }

    /// Whether there is no text.
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
