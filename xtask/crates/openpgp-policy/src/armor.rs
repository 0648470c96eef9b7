//! ASCII armor (RFC 9580, 6.2), read strictly: whole blocks, checked CRC-24 where one stands.

/// One armored block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// `SIGNATURE`, `PUBLIC KEY BLOCK`, …
    pub(super) label: String,
    /// The octets inside.
    pub(super) bytes: Vec<u8>,
}

/// What an armored text holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Armored {
    /// Its blocks in order.
    pub(super) blocks: Vec<Block>,
    /// There is text outside the blocks.
    pub(super) has_stray_text: bool,
}

/// The label of the first block when the bytes are armor at all, blanks and a byte order mark in front allowed.
pub(super) fn label(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(256)]);
    let line = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).lines().next()?;
    Some(boundary(line, "BEGIN")?.to_owned())
}

/// Reads every block.
///
/// # Errors
/// A sentence that says which line is wrong and how.
pub(super) fn parse(bytes: &[u8]) -> Result<Armored, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| "the armor holds octets that are no text".to_owned())?;
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim_end).peekable();
    let mut armored = Armored { blocks: Vec::new(), has_stray_text: false };
    while let Some(line) = lines.next() {
        if let Some(label) = boundary(line, "BEGIN") {
            armored.blocks.push(Block { label: label.to_owned(), bytes: body(label, &mut lines)? });
        } else if !line.is_empty() {
            armored.has_stray_text = true;
        }
    }
    Ok(armored)
}

/// The label of a `-----BEGIN PGP label-----` or `-----END PGP label-----` line.
fn boundary<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.trim_end().strip_prefix("-----")?.strip_prefix(word)?.strip_prefix(" PGP ")?.strip_suffix("-----")
}

fn body<'a>(
    label: &str,
    lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
) -> Result<Vec<u8>, String> {
    // Header lines (`Version: GnuPG v2`) end at the first blank line; old writers leave both out.
    while lines.next_if(|line| line.contains(": ")).is_some() {}
    lines.next_if(|line| line.is_empty());
    let (mut digits, mut checksum) = (String::new(), None);
    for line in lines {
        if let Some(end) = boundary(line, "END") {
            if end != label {
                return Err(format!("the armor begins as {label} and ends as {end}"));
            }
            let bytes = base64(&digits)?;
            return match checksum {
                Some(expected) if expected != crc24(&bytes) => {
                    Err("the armor's checksum does not match".to_owned())
                }
                _ => Ok(bytes),
            };
        }
        match line.strip_prefix('=') {
            Some(sum) if sum.len() == 4 && checksum.is_none() => {
                let sum = base64(sum)?;
                checksum = Some(sum.iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet)));
            }
            _ if checksum.is_some() && !line.is_empty() => {
                return Err("text follows the armor's checksum".to_owned());
            }
            _ => digits.push_str(line),
        }
    }
    Err(format!("the armor has no line -----END PGP {label}-----"))
}

/// Base 64 (RFC 4648, 4) without blanks, padding required.
fn base64(digits: &str) -> Result<Vec<u8>, String> {
    let bare = digits.trim_end_matches('=');
    if !digits.len().is_multiple_of(4) || digits.len() - bare.len() > 2 {
        return Err("the armor's base 64 is cut off".to_owned());
    }
    let (mut bytes, mut bits, mut held) = (Vec::with_capacity(digits.len() / 4 * 3), 0_u32, 0);
    for digit in bare.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return Err(format!("{:?} is no base 64 digit", char::from(digit))),
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Ok(bytes)
}

/// CRC-24 with the generator and start value of RFC 9580, 6.1.
fn crc24(bytes: &[u8]) -> u32 {
    let mut crc = 0x00b7_04ce;
    for octet in bytes {
        crc ^= u32::from(*octet) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    crc & 0x00ff_ffff
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HELLO: &str = "-----BEGIN PGP SIGNATURE-----\n\naGVsbG8=\n=R/WK\n-----END PGP SIGNATURE-----\n";

    #[test]
    fn crc_is_that_of_the_standard() {
        // The check value of CRC-24/OPENPGP in the catalogue of parametrised CRCs.
        assert_eq!(crc24(b"123456789"), 0x0021_cf02);
    }

    #[test]
    fn reads_blocks_with_and_without_headers_and_checksum() {
        let plain = "-----BEGIN PGP SIGNATURE-----\naGVsbG8=\n-----END PGP SIGNATURE-----";
        let headed = HELLO.replace("-----\n\na", "-----\r\nVersion: GnuPG v2\r\nComment: x\r\n\r\na");
        let two = format!("{HELLO}\n{HELLO}");
        for (text, blocks) in [(HELLO, 1), (plain, 1), (&headed, 1), (&two, 2)] {
            let armored = parse(text.as_bytes()).unwrap();
            assert_eq!(armored.blocks.len(), blocks, "{text}");
            assert!(!armored.has_stray_text, "{text}");
            assert!(armored.blocks.iter().all(|block| block.bytes == b"hello" && block.label == "SIGNATURE"));
        }
        assert_eq!(label(headed.as_bytes()).unwrap(), "SIGNATURE");
        assert!(parse(format!("{HELLO}more").as_bytes()).unwrap().has_stray_text);
    }

    #[test]
    fn says_what_is_wrong() {
        let table = [
            (HELLO.replace("R/WK", "R/WL"), "the armor's checksum does not match"),
            (
                HELLO.replace("END PGP SIG", "END PGP MSG"),
                "the armor begins as SIGNATURE and ends as MSGNATURE",
            ),
            (HELLO.replace("aGVsbG8=", "aGVsbG8"), "the armor's base 64 is cut off"),
            (HELLO.replace("aGVsbG8=", "aGVs*G8="), "'*' is no base 64 digit"),
            (HELLO[..45].to_owned(), "the armor has no line -----END PGP SIGNATURE-----"),
        ];
        for (text, message) in table {
            assert_eq!(parse(text.as_bytes()).unwrap_err(), message, "{text}");
        }
    }
}
