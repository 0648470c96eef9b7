//! What a tone looks like: ANSI "select graphic rendition" (ECMA-48 8.3.117), the eight basic colours only.

use crate::report::styled_text::{Style, StyledText};

const RESET: &str = "\x1b[0m";

/// The text with colours, or as it is.
pub(super) fn paint(text: &StyledText, colored: bool) -> String {
    if !colored {
        return text.to_string();
    }
    let mut out = String::new();
    for (tone, piece) in text.pieces() {
        match code(tone) {
            Some(code) => {
                out.push_str(code);
                out.push_str(piece);
                out.push_str(RESET);
            }
            None => out.push_str(piece),
        }
    }
    out
}

fn code(tone: Style) -> Option<&'static str> {
    match tone {
        Style::Plain => None,
        Style::Strong => Some("\x1b[1m"),
        Style::Faint => Some("\x1b[2m"),
        Style::Removed => Some("\x1b[31m"),
        Style::Added => Some("\x1b[32m"),
        Style::Hunk => Some("\x1b[36m"),
        Style::Good => Some("\x1b[1;32m"),
        Style::Error => Some("\x1b[1;31m"),
        Style::Warning => Some("\x1b[1;33m"),
        Style::Advice => Some("\x1b[1;36m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pieces_that_mean_something_are_painted() {
        let mut text = StyledText::of(Style::Added, "+lib64/libpam.so.0");
        text.line(Style::Plain, " plain");
        assert_eq!(paint(&text, true), "\x1b[32m+lib64/libpam.so.0\x1b[0m plain\n");
        assert_eq!(paint(&text, false), "+lib64/libpam.so.0 plain\n");
    }
}
