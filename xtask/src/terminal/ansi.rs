//! Rendering of styles: ANSI "select graphic rendition" (ECMA-48 8.3.117), the eight basic colours only.

use crate::report::styled_text::{Style, StyledText};

const RESET: &str = "\x1b[0m";

/// The text with colours, or as it is.
pub(super) fn paint(text: &StyledText, colored: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for (style, piece) in text.pieces() {
        match sgr_sequence(style).filter(|_| colored) {
            Some(code) => {
                // A colour that is left on at the end of a line would also paint what a program prints there.
                let (line, end) = match piece.strip_suffix(b"\n") {
                    Some(line) => (line, &b"\n"[..]),
                    None => (&piece[..], &b""[..]),
                };
                [code.as_bytes(), line, RESET.as_bytes(), end].iter().for_each(|part| out.extend(*part));
            }
            None => out.extend(&*piece),
        }
    }
    out
}

fn sgr_sequence(style: Style) -> Option<&'static str> {
    match style {
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
    fn styled_pieces_are_painted() {
        let mut text = StyledText::styled(Style::Added, "+lib64/libpam.so.0");
        text.push_line(Style::Plain, " plain");
        text.push_verbatim(Style::Removed, "-bin/\u{10ffe9}\n");
        assert_eq!(
            paint(&text, true),
            b"\x1b[32m+lib64/libpam.so.0\x1b[0m plain\n\x1b[31m-bin/\xe9\x1b[0m\n"
        );
        assert_eq!(paint(&text, false), b"+lib64/libpam.so.0 plain\n-bin/\xe9\n");
    }
}
