//! Packet framing (RFC 9580, 4.2): the start, type and end of each packet, without its content.
//!
//! The framing is not that of the pgp crate, so that every octet of a `.sig` is accounted for, and so that hashes are
//! computed over the octets as received, never over a packet that was parsed and serialized again.

/// The packet types that this crate distinguishes (RFC 9580, 5).
pub(super) mod tag {
    pub(in super::super) const SIGNATURE: u8 = 2;
    pub(in super::super) const ONE_PASS_SIGNATURE: u8 = 4;
    pub(in super::super) const SECRET_KEY: u8 = 5;
    pub(in super::super) const PUBLIC_KEY: u8 = 6;
    pub(in super::super) const SECRET_SUBKEY: u8 = 7;
    pub(in super::super) const COMPRESSED: u8 = 8;
    pub(in super::super) const MARKER: u8 = 10;
    pub(in super::super) const LITERAL: u8 = 11;
    pub(in super::super) const TRUST: u8 = 12;
    pub(in super::super) const USER_ID: u8 = 13;
    pub(in super::super) const PUBLIC_SUBKEY: u8 = 14;
    pub(in super::super) const PADDING: u8 = 21;
}

/// One framed packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    /// The packet type.
    pub(super) tag: u8,
    /// The packet's octets without the header.
    pub(super) body: &'a [u8],
}

/// The reason why octets are not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FramingError {
    /// The first octet is not a packet header, or the length is of a kind that this packet type must not have.
    NoHeader,
    /// The length in the header is larger than the number of remaining octets.
    CutOff {
        /// The packet type in the header.
        tag: u8,
    },
}

/// Splits octets into packets; `Err` ends the iteration.
pub(super) fn packets(bytes: &[u8]) -> impl Iterator<Item = Result<Packet<'_>, FramingError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match split_first_packet(rest) {
            Ok((packet, after)) => {
                rest = after;
                Some(Ok(packet))
            }
            Err(error) => {
                rest = &[];
                Some(Err(error))
            }
        }
    })
}

fn split_first_packet(bytes: &[u8]) -> Result<(Packet<'_>, &[u8]), FramingError> {
    let (&header, rest) = bytes.split_first().ok_or(FramingError::NoHeader)?;
    if header & 0x80 == 0 {
        return Err(FramingError::NoHeader);
    }
    let is_new = header & 0x40 != 0;
    let tag = if is_new { header & 0x3f } else { header >> 2 & 0x0f };
    let (length, rest) = if is_new {
        new_length(tag, rest)?
    } else {
        match header & 3 {
            // Indeterminate length: the rest of the octets, for data packets only.
            3 if matches!(tag, tag::COMPRESSED | tag::LITERAL) => (rest.len(), rest),
            3 => return Err(FramingError::NoHeader),
            power => big_endian(tag, rest, 1 << power)?,
        }
    };
    if tag == 0 {
        return Err(FramingError::NoHeader);
    }
    let (body, rest) = rest.split_at_checked(length).ok_or(FramingError::CutOff { tag })?;
    Ok((Packet { tag, body }, rest))
}

fn new_length(tag: u8, bytes: &[u8]) -> Result<(usize, &[u8]), FramingError> {
    let (&octet, rest) = bytes.split_first().ok_or(FramingError::CutOff { tag })?;
    match octet {
        0..=191 => Ok((usize::from(octet), rest)),
        192..=223 => {
            let (&second, rest) = rest.split_first().ok_or(FramingError::CutOff { tag })?;
            Ok((((usize::from(octet) - 192) << 8) + usize::from(second) + 192, rest))
        }
        // Partial lengths are for data packets only, whose content does not matter here.
        224..=254 if matches!(tag, tag::COMPRESSED | tag::LITERAL) => Ok((rest.len(), rest)),
        224..=254 => Err(FramingError::NoHeader),
        255 => big_endian(tag, rest, 4),
    }
}

fn big_endian(tag: u8, bytes: &[u8], octets: usize) -> Result<(usize, &[u8]), FramingError> {
    let (length, rest) = bytes.split_at_checked(octets).ok_or(FramingError::CutOff { tag })?;
    Ok((length.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)), rest))
}

/// Reader of the fields of a packet's body; methods return `None` at its end.
pub(super) struct FieldReader<'a>(pub(super) &'a [u8]);

impl<'a> FieldReader<'a> {
    /// The next `count` octets.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next `octets` octets as a number, most significant first; at most 8.
    pub(super) fn number(&mut self, octets: usize) -> Option<u64> {
        Some(self.take(octets)?.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet)))
    }

    /// The next octet.
    pub(super) fn octet(&mut self) -> Option<u8> {
        let (&octet, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(octet)
    }

    /// The magnitude of a multiprecision integer (RFC 9580, 3.2).
    pub(super) fn mpi(&mut self) -> Option<&'a [u8]> {
        let bits = self.number(2)?;
        self.take(usize::try_from(bits.div_ceil(8)).ok()?)
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
            assert_eq!(found, [Ok(Packet { tag, body: &vec![7; length] })]);
        }
    }

    #[test]
    fn malformed_packet_ends_the_iteration() {
        let table: [(&[u8], FramingError); 6] = [
            (b"<html>", FramingError::NoHeader),
            (&[0x88], FramingError::CutOff { tag: 2 }),
            (&[0x88, 9, 4], FramingError::CutOff { tag: 2 }),
            (&[0x8b, 4, 0], FramingError::NoHeader),
            (&[0xc2, 0xe1, 0], FramingError::NoHeader),
            (&[0xc0, 0], FramingError::NoHeader),
        ];
        for (bytes, error) in table {
            assert_eq!(packets(bytes).collect::<Vec<_>>(), [Err(error)]);
        }
    }
}
