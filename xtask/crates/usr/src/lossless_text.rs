//! File names as text, without loss: a name on Linux is a sequence of bytes, almost always UTF-8.
//!
//! A byte outside of valid UTF-8 is encoded as one character of U+10FF80..U+10FFFF, a private-use range. To keep the
//! encoding unambiguous, the UTF-8 of such a character is itself encoded as non-UTF-8 bytes. Texts from manifests, images
//! and ELF files are all encoded this way, and so compare equal.

use std::borrow::Cow;

/// The character for the byte 0x00; encoded bytes are 0x80 and above.
const NON_UTF8: u32 = 0x10_FF00;

/// Encodes a name as text; borrowed if the bytes are UTF-8.
pub fn from_bytes(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if has_no_encoded_byte(text) => Cow::Borrowed(text),
        _ => Cow::Owned(encode(bytes)),
    }
}

/// Decodes a text of [`from_bytes`].
pub fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    if has_no_encoded_byte(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match non_utf8_byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// The text for programs that read UTF-8: non-UTF-8 bytes as `\xNN`, everything else unchanged.
pub fn escape_non_utf8(text: &str) -> Cow<'_, str> {
    escape_non_utf8_and(text, |_| false)
}

/// The text for terminals and pages: escapes non-UTF-8 bytes (`\xNN`) and characters that control a terminal or change
/// how text is displayed ([`is_unsafe`]). Line feeds and tabs are kept.
pub fn escape_for_terminal(text: &str) -> Cow<'_, str> {
    escape_non_utf8_and(text, is_unsafe)
}

/// The text as [`escape_for_terminal`] returns it, on one line: line feeds are escaped too.
pub fn escape_to_one_line(text: &str) -> Cow<'_, str> {
    escape_non_utf8_and(text, |c| c == '\n' || is_unsafe(c))
}

/// Whether text has characters that forge other text on a terminal; [`escape_for_terminal`] and [`escape_to_one_line`]
/// escape them.
pub fn has_unsafe_chars(text: &str) -> bool {
    text.contains(is_unsafe)
}

/// Whether a character can forge text: controls, the carriage return among them, separators of lines and paragraphs,
/// and what orders or hides other characters (Unicode Standard Annex 9, and UTR 36, section 2.5).
fn is_unsafe(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Escapes non-UTF-8 bytes and the characters for which `is_escaped` is true; borrowed if there are none.
fn escape_non_utf8_and(text: &str, is_escaped: fn(char) -> bool) -> Cow<'_, str> {
    if has_no_encoded_byte(text) && !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match non_utf8_byte(c) {
            Some(byte) => out.push_str(&format!("\\x{byte:02x}")),
            None if !is_escaped(c) => out.push(c),
            None => match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                c if c.is_ascii() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            },
        }
    }
    Cow::Owned(out)
}

fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 16);
    let push_bytes = |out: &mut String, bytes: &[u8]| {
        out.extend(bytes.iter().filter_map(|&byte| char::from_u32(NON_UTF8 + u32::from(byte))));
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match non_utf8_byte(c) {
                Some(_) => push_bytes(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => out.push(c),
            }
        }
        push_bytes(&mut out, chunk.invalid());
    }
    out
}

fn has_no_encoded_byte(text: &str) -> bool {
    text.is_ascii() || !text.chars().any(|c| non_utf8_byte(c).is_some())
}

fn non_utf8_byte(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).wrapping_sub(NON_UTF8)).ok().filter(|&byte| byte >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_round_trip() {
        for bytes in [
            &b"lib64/libz.so.1"[..],
            "caf\u{e9}".as_bytes(),
            b"caf\xe9",
            b"\xff\xfe\x80",
            "\u{10ff80}x".as_bytes(),
            b"\xf4\x8f",
            b"",
        ] {
            let text = from_bytes(bytes);
            assert_eq!(to_bytes(&text), bytes, "{text:?}");
        }
        assert_eq!(from_bytes(b"caf\xe9"), "caf\u{10ffe9}");
        assert_ne!(from_bytes(b"\x80"), from_bytes("\u{10ff80}".as_bytes()));
    }

    #[test]
    fn readable_text_has_no_controls() {
        let text = from_bytes(b"caf\xe9\tx\x1b[2J\r\n").into_owned();
        assert_eq!(escape_non_utf8(&text), "caf\\xe9\tx\u{1b}[2J\r\n");
        assert_eq!(escape_for_terminal(&text), "caf\\xe9\tx\\x1b[2J\\r\n");
        assert_eq!(escape_to_one_line(&text), "caf\\xe9\tx\\x1b[2J\\r\\n");
        assert_eq!(escape_for_terminal("caf\u{e9} \u{1f600}"), "caf\u{e9} \u{1f600}");
    }

    #[test]
    fn readable_text_has_no_bidi_or_line_separators() {
        assert_eq!(
            escape_for_terminal("a\u{202e}b\u{2066}c\u{2028}d\u{85}e\u{200b}f"),
            "a\\u{202e}b\\u{2066}c\\u{2028}d\\u{85}e\\u{200b}f"
        );
    }
}
