//! Packet framing (RFC 9580, 4.2): the start, type and end of each packet, without its content.
//!
//! Only the header is read by the pgp crate, so that every octet of a `.sig` is accounted for, and so that hashes are
//! computed over the octets as received, never over a packet that was parsed and serialized again.

use std::io::ErrorKind;

use pgp::packet::PacketHeader;
use pgp::types::{PacketLength, Tag};

/// One framed packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    /// The packet type.
    pub(super) tag: Tag,
    /// The packet's octets without the header.
    pub(super) body: &'a [u8],
}

/// The reason why octets are not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FramingError {
    /// The first octet is not a packet header, or the length is of a kind that this packet type must not have.
    NoHeader,
    /// The header is cut off, or its length is larger than the number of remaining octets.
    CutOff {
        /// The packet type in the header.
        tag: Tag,
    },
}

/// Splits octets into packets; `Err` ends the iteration.
pub(super) fn packets(bytes: &[u8]) -> impl Iterator<Item = Result<Packet<'_>, FramingError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let packet = (!rest.is_empty()).then(|| split_first_packet(&mut rest))?;
        if packet.is_err() {
            rest = &[];
        }
        Some(packet)
    })
}

fn split_first_packet<'a>(rest: &mut &'a [u8]) -> Result<Packet<'a>, FramingError> {
    let first = rest.first().copied().unwrap_or(0);
    let tag = Tag::from(if first & 0x40 == 0 { first >> 2 & 0x0f } else { first & 0x3f });
    let header = PacketHeader::try_from_reader(&mut *rest).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => FramingError::CutOff { tag },
        _ => FramingError::NoHeader,
    })?;
    let length = match header.packet_length() {
        _ if u8::from(tag) == 0 => return Err(FramingError::NoHeader),
        PacketLength::Fixed(length) => length as usize,
        // Partial and indeterminate lengths are for data packets only, whose content does not matter here.
        _ if matches!(tag, Tag::CompressedData | Tag::LiteralData) => rest.len(),
        _ => return Err(FramingError::NoHeader),
    };
    let body = rest.split_off(..length).ok_or(FramingError::CutOff { tag })?;
    Ok(Packet { tag, body })
}

/// Reader of the fields of a packet's body; methods return `None` at its end.
pub(super) struct FieldReader<'a>(pub(super) &'a [u8]);

impl<'a> FieldReader<'a> {
    /// The next `count` octets.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        self.0.split_off(..count)
    }

    /// The next `octets` octets as a number, most significant first; at most 8.
    pub(super) fn number(&mut self, octets: usize) -> Option<u64> {
        Some(self.take(octets)?.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet)))
    }

    /// The next `octets` octets as a length.
    pub(super) fn length(&mut self, octets: usize) -> Option<usize> {
        usize::try_from(self.number(octets)?).ok()
    }

    /// The next octet.
    pub(super) fn octet(&mut self) -> Option<u8> {
        self.0.split_off_first().copied()
    }

    /// The magnitude of a multiprecision integer (RFC 9580, 3.2).
    pub(super) fn mpi(&mut self) -> Option<&'a [u8]> {
        let bits = self.length(2)?;
        self.take(bits.div_ceil(8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_length_is_framed() {
        let long = |header: &[u8], length: usize| [header, &vec![7; length]].concat();
        let table = [
            (long(&[0x88, 3], 3), 2, 3),
            (long(&[0x89, 1, 4], 260), 2, 260),
            (long(&[0x8a, 0, 0, 1, 4], 260), 2, 260),
            (long(&[0xc2, 3], 3), 2, 3),
            (long(&[0xc2, 192, 8], 200), 2, 200),
            (long(&[0xc2, 255, 0, 0, 1, 4], 260), 2, 260),
            (long(&[0xa3], 9), 8, 9),
        ];
        for (bytes, tag, length) in table {
            let found: Vec<_> = packets(&bytes).collect();
            assert_eq!(found, [Ok(Packet { tag: Tag::from(tag), body: &vec![7; length] })]);
        }
    }

    #[test]
    fn malformed_packet_ends_the_iteration() {
        let table: [(&[u8], FramingError); 6] = [
            (b"<html>", FramingError::NoHeader),
            (&[0x88], FramingError::CutOff { tag: Tag::Signature }),
            (&[0x88, 9, 4], FramingError::CutOff { tag: Tag::Signature }),
            (&[0x8b, 4, 0], FramingError::NoHeader),
            (&[0xc2, 0xe1, 0], FramingError::NoHeader),
            (&[0xc0, 0], FramingError::NoHeader),
        ];
        for (bytes, error) in table {
            assert_eq!(packets(bytes).collect::<Vec<_>>(), [Err(error)]);
        }
    }
}
