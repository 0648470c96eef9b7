//! What a tone looks like: ANSI "select graphic rendition" (ECMA-48 8.3.117), the eight basic colours only.

use crate::report::styled_text::{Styled, Tone};

const RESET: &str = "\x1b[0m";

/// The text with colours, or as it is.
pub(super) fn paint(text: &Styled, colored: bool) -> String {
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

fn code(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Plain => None,
        Tone::Strong => Some("\x1b[1m"),
        Tone::Faint => Some("\x1b[2m"),
        Tone::Removed => Some("\x1b[31m"),
        Tone::Added => Some("\x1b[32m"),
        Tone::Hunk => Some("\x1b[36m"),
        Tone::Good => Some("\x1b[1;32m"),
        Tone::Error => Some("\x1b[1;31m"),
        Tone::Warning => Some("\x1b[1;33m"),
        Tone::Advice => Some("\x1b[1;36m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pieces_that_mean_something_are_painted() {
        let mut text = Styled::of(Tone::Added, "+lib64/libpam.so.0");
        text.line(Tone::Plain, " plain");
        assert_eq!(paint(&text, true), "\x1b[32m+lib64/libpam.so.0\x1b[0m plain\n");
        assert_eq!(paint(&text, false), "+lib64/libpam.so.0 plain\n");
    }
}
