//! Member headers of a cpio archive in the newc and crc formats (cpio(5)).
//!
//! Names are octets: archives that users append hold names in any encoding. A regular file with several names has one
//! header each with the same inode; its data follows one of them, by GNU cpio the last, by others the first.

use std::io::{self, Read};

/// Octets of a header: six of magic and 13 numbers of eight hex digits.
const HEADER_LEN: usize = 110;
/// The longest name that Linux knows (`PATH_MAX`); some writers pad names to a block.
const MAX_NAME: u32 = 8192;
const TRAILER: &[u8] = b"TRAILER!!!";

/// The header of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The name without trailing zero bytes.
    pub(super) name: Vec<u8>,
    pub(super) mode: u32,
    pub(super) links: u32,
    /// Device and inode: the same for each name of one file.
    pub(super) inode: (u32, u32, u32),
    /// Octets of data that follow, padded to four.
    pub(super) size: u32,
}

impl Header {
    /// Reads a header, with the padding after its name.
    pub(super) fn read(source: &mut impl Read) -> io::Result<Header> {
        let mut octets = [0; HEADER_LEN];
        source.read_exact(&mut octets[..6])?;
        if !matches!(&octets[..6], b"070701" | b"070702") {
            return Err(invalid_header("a member does not begin with 070701"));
        }
        source.read_exact(&mut octets[6..])?;
        let mut numbers = [0_u32; 13];
        for (number, digits) in numbers.iter_mut().zip(octets[6..].chunks(8)) {
            *number = parse_hex(digits)
                .ok_or_else(|| invalid_header("a member's header has a malformed number"))?;
        }
        let [inode, mode, _, _, links, _, size, major, minor, _, _, name_len, _] = numbers;
        if name_len == 0 || name_len > MAX_NAME {
            return Err(invalid_header(format!("a name in the archive has {name_len} bytes")));
        }
        let mut name = vec![0; name_len as usize];
        source.read_exact(&mut name)?;
        skip_padding(source, HEADER_LEN as u32 + name_len)?;
        let end = name.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        name.truncate(end);
        Ok(Header { name, mode, links, inode: (major, minor, inode), size })
    }

    /// Whether this is the member that ends an archive.
    pub(super) fn is_trailer(&self) -> bool {
        self.name == TRAILER
    }

    /// Whether the member is a regular file.
    pub(super) fn is_regular(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    /// The name for messages.
    pub(super) fn escaped_name(&self) -> String {
        String::from_utf8_lossy(&self.name).escape_debug().to_string()
    }
}

/// Skips the octets that pad this length to a multiple of four.
pub(super) fn skip_padding(source: &mut impl Read, length: u32) -> io::Result<()> {
    let mut octets = [0; 4];
    source.read_exact(&mut octets[..length.wrapping_neg() as usize % 4])
}

fn parse_hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
}

fn invalid_header(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn header(name: &[u8]) -> Vec<u8> {
        let numbers = [7, 0o100_644, 0, 0, 2, 0, 9, 8, 1, 0, 0, name.len() as u32 + 1, 0];
        let mut octets = b"070701".to_vec();
        octets.extend(numbers.iter().flat_map(|number: &u32| format!("{number:08X}").into_bytes()));
        octets.extend(name);
        octets.resize((HEADER_LEN + name.len() + 1).next_multiple_of(4), 0);
        octets
    }

    fn read(mut octets: &[u8]) -> io::Result<Header> {
        let header = Header::read(&mut octets)?;
        assert!(octets.is_empty());
        Ok(header)
    }

    #[test]
    fn header_with_any_name_is_read() {
        for name in [&b"usr.squashfs"[..], b"caf\xe9", b"x"] {
            let read = read(&header(name)).unwrap();
            assert_eq!((read.name.as_slice(), read.links, read.inode, read.size), (name, 2, (8, 1, 7), 9));
            assert!(read.is_regular() && !read.is_trailer());
        }
        assert!(read(&header(TRAILER)).unwrap().is_trailer());
    }

    #[test]
    fn malformed_header_is_an_error() {
        let good = header(b"name");
        for end in 0..good.len() {
            assert!(Header::read(&mut &good[..end]).is_err(), "{end}");
        }
        for (at, octet) in [(0, b'x'), (5, b'9'), (20, b'g'), (20, b'+'), (94, b'F')] {
            let mut bad = good.clone();
            bad[at] = octet;
            assert!(Header::read(&mut &bad[..]).is_err(), "{at}");
        }
    }
}
