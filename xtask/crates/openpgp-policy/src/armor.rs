//! ASCII armor (RFC 9580, 6.2), read strictly: complete blocks, with a check of the CRC-24 if present.

use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine as _};

/// One armored block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// `SIGNATURE`, `PUBLIC KEY BLOCK`, …
    pub(super) label: String,
    /// The octets inside.
    pub(super) bytes: Vec<u8>,
}

/// The content of an armored text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Armored {
    /// The blocks in order.
    pub(super) blocks: Vec<Block>,
    /// Whether the text has anything but blank lines outside of the blocks.
    pub(super) has_text_outside: bool,
}

/// Whether a file begins with the header of a packet (RFC 9580, 4.2) rather than with a text.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first & 0x80 != 0) && !bytes.starts_with(b"\xef\xbb\xbf")
}

/// The label of the first block, which text may precede; `None` if the bytes are not armor.
pub(super) fn first_label(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(if is_binary(bytes) { &[] } else { bytes });
    let mut lines = text.trim_start_matches(['\u{feff}', ' ', '\t']).split(['\r', '\n']);
    lines.find_map(|line| boundary_label(line, "BEGIN")).map(str::to_owned)
}

/// Reads every block. Line ends are LF, CRLF or CR; header lines may be in any encoding.
///
/// # Errors
/// The reason why the armor is malformed.
pub(super) fn parse(bytes: &[u8]) -> Result<Armored, String> {
    let text = String::from_utf8_lossy(bytes);
    let end = if text.contains('\n') { '\n' } else { '\r' };
    let mut lines = text.trim_start_matches('\u{feff}').split(end).map(str::trim_end).peekable();
    let mut armored = Armored { blocks: Vec::new(), has_text_outside: false };
    while let Some(line) = lines.next() {
        if let Some(label) = boundary_label(line, "BEGIN") {
            armored.blocks.push(Block { label: label.to_owned(), bytes: read_body(label, &mut lines)? });
        } else if !line.is_empty() {
            armored.has_text_outside = true;
        }
    }
    Ok(armored)
}

/// The label of a `-----BEGIN PGP label-----` or `-----END PGP label-----` line.
fn boundary_label<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.trim_end().strip_prefix("-----")?.strip_prefix(word)?.strip_prefix(" PGP ")?.strip_suffix("-----")
}

/// The octets of all blocks.
pub(super) fn concat_bytes(blocks: &[Block]) -> Vec<u8> {
    blocks.iter().map(|block| &block.bytes[..]).collect::<Vec<_>>().concat()
}

fn read_body<'a>(
    label: &str,
    lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
) -> Result<Vec<u8>, String> {
    // Header lines (`Version: GnuPG v2`, or an empty `Version:`) end at the first blank line; old writers leave both
    // out. Base64 has no colon.
    while lines.next_if(|line| line.contains(':')).is_some() {}
    lines.next_if(|line| line.is_empty());
    let (mut digits, mut checksum) = (String::new(), None);
    for line in lines {
        if let Some(end) = boundary_label(line, "END") {
            if end != label {
                return Err(format!("the armor begins as {label} and ends as {end}"));
            }
            let bytes = decode(&digits)?;
            return match checksum {
                Some(expected) if expected != crc24::hash_raw(&bytes) => {
                    Err("the armor's checksum does not match".to_owned())
                }
                _ => Ok(bytes),
            };
        }
        match line.strip_prefix('=') {
            Some(sum) if sum.len() == 4 && checksum.is_none() => {
                checksum = Some(decode(sum)?.iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet)));
            }
            _ if checksum.is_some() && !line.is_empty() => {
                return Err("text follows the armor's checksum".to_owned());
            }
            _ => digits.push_str(line),
        }
    }
    Err(format!("the armor has no line -----END PGP {label}-----"))
}

/// Base64 (RFC 4648, 4), padding required; the last digit may have unused bits.
fn decode(digits: &str) -> Result<Vec<u8>, String> {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&STANDARD, config).decode(digits).map_err(|error| match error {
        DecodeError::InvalidByte(_, byte) if byte != b'=' => {
            format!("{:?} is not a base64 digit", char::from(byte))
        }
        _ => "the armor's base64 is cut off".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HELLO: &str = "-----BEGIN PGP SIGNATURE-----\n\naGVsbG8=\n=R/WK\n-----END PGP SIGNATURE-----\n";

    #[test]
    fn blocks_are_read_without_headers_or_checksum() {
        let plain = "-----BEGIN PGP SIGNATURE-----\naGVsbG8=\n-----END PGP SIGNATURE-----";
        let headed = HELLO.replace("-----\n\na", "-----\r\nVersion: GnuPG v2\r\nComment: x\r\n\r\na");
        let two = format!("{HELLO}\n{HELLO}");
        for (text, blocks) in [(HELLO, 1), (plain, 1), (&headed, 1), (&two, 2)] {
            let armored = parse(text.as_bytes()).unwrap();
            assert_eq!(armored.blocks.len(), blocks, "{text}");
            assert!(!armored.has_text_outside, "{text}");
            assert!(armored.blocks.iter().all(|block| block.bytes == b"hello" && block.label == "SIGNATURE"));
        }
        assert_eq!(first_label(headed.as_bytes()).unwrap(), "SIGNATURE");
        assert_eq!(first_label(format!("text\n{HELLO}").as_bytes()).unwrap(), "SIGNATURE");
        assert_eq!(first_label(format!("\u{88}\n{HELLO}").as_bytes()), None);
        assert!(parse(format!("{HELLO}more").as_bytes()).unwrap().has_text_outside);
    }

    #[test]
    fn malformed_armor_is_an_error() {
        let table = [
            (HELLO.replace("R/WK", "R/WL"), "the armor's checksum does not match"),
            (
                HELLO.replace("END PGP SIG", "END PGP MSG"),
                "the armor begins as SIGNATURE and ends as MSGNATURE",
            ),
            (HELLO.replace("aGVsbG8=", "aGVsbG8"), "the armor's base64 is cut off"),
            (HELLO.replace("aGVsbG8=", "aGVs*G8="), "'*' is not a base64 digit"),
            (HELLO[..45].to_owned(), "the armor has no line -----END PGP SIGNATURE-----"),
        ];
        for (text, message) in table {
            assert_eq!(parse(text.as_bytes()).unwrap_err(), message, "{text}");
        }
    }
}
