//! Signature subpackets (RFC 9580, 5.2.3.7): framing, and the supported types.

use super::packet::FieldReader;

/// The subpacket types that the policy reads.
pub(super) mod kind {
    pub(in super::super) const CREATED: u8 = 2;
    pub(in super::super) const EXPIRES: u8 = 3;
    pub(in super::super) const KEY_EXPIRES: u8 = 9;
    pub(in super::super) const ISSUER: u8 = 16;
    pub(in super::super) const NOTATION: u8 = 20;
    pub(in super::super) const KEY_FLAGS: u8 = 27;
    pub(in super::super) const REVOCATION_REASON: u8 = 29;
    pub(in super::super) const EMBEDDED: u8 = 32;
    pub(in super::super) const ISSUER_FINGERPRINT: u8 = 33;
}

/// The types that must not occur twice with different contents.
const SINGULAR: [u8; 5] =
    [kind::CREATED, kind::EXPIRES, kind::KEY_EXPIRES, kind::KEY_FLAGS, kind::REVOCATION_REASON];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subpacket {
    /// The type without the critical bit.
    pub(super) kind: u8,
    /// Whether the signature is invalid for programs that do not know this type (RFC 9580, 5.2.3.7).
    pub(super) is_critical: bool,
    /// The content.
    pub(super) data: Vec<u8>,
}

impl Subpacket {
    /// A description of a critical subpacket that voids the signature: its type is not one of RFC 9580, or it is a
    /// notation, none of which is known here.
    pub(super) fn unknown_critical(&self) -> Option<String> {
        match self.kind {
            _ if !self.is_critical => None,
            kind::NOTATION => {
                let name = String::from_utf8_lossy(self.notation_name().unwrap_or_default());
                Some(format!("a critical notation {name:?}"))
            }
            2..=7 | 9 | 11 | 12 | 16 | 21..=35 | 39 => None,
            other => Some(format!("a critical subpacket of type {other}")),
        }
    }

    /// The name of a notation (RFC 9580, 5.2.3.24); `None` if it is cut off.
    fn notation_name(&self) -> Option<&[u8]> {
        let mut fields = FieldReader(&self.data);
        let (_flags, name_length, _value_length) = (fields.take(4)?, fields.length(2)?, fields.take(2)?);
        fields.take(name_length)
    }

    /// The octets as a number of four octets.
    pub(super) fn four_octet_number(&self) -> Option<u64> {
        let octets: [u8; 4] = self.data.as_slice().try_into().ok()?;
        Some(u64::from(u32::from_be_bytes(octets)))
    }
}

/// Parses a subpacket area; `None` if the lengths do not match it.
pub(super) fn parse(area: &[u8]) -> Option<Vec<Subpacket>> {
    let mut fields = FieldReader(area);
    let mut found = Vec::new();
    while !fields.0.is_empty() {
        let length = match fields.octet()? {
            octet @ 0..=191 => usize::from(octet),
            octet @ 192..=254 => ((usize::from(octet) - 192) << 8) + usize::from(fields.octet()?) + 192,
            255 => fields.length(4)?,
        };
        let (&kind, data) = fields.take(length)?.split_first()?;
        found.push(Subpacket { kind: kind & 0x7f, is_critical: kind & 0x80 != 0, data: data.to_vec() });
    }
    Some(found)
}

/// The type of a subpacket that occurs twice with different contents, or has the wrong length.
pub(super) fn find_invalid_type(area: &[Subpacket]) -> Option<u8> {
    let numbers = [kind::CREATED, kind::EXPIRES, kind::KEY_EXPIRES];
    let is_short =
        |packet: &&Subpacket| numbers.contains(&packet.kind) && packet.four_octet_number().is_none();
    if let Some(short) = area.iter().find(is_short) {
        return Some(short.kind);
    }
    SINGULAR.into_iter().find(|kind| {
        let mut values = area.iter().filter(|packet| packet.kind == *kind).map(|packet| &packet.data);
        let first = values.next();
        values.any(|value| Some(value) != first)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lengths_of_one_two_and_five_octets_are_read() {
        let long = [&[192, 9, 20][..], &[1; 200]].concat();
        let huge = [&[255, 0, 0, 0, 3, 0x82][..], &[9, 9]].concat();
        let found = parse(&[&[5, 2, 0, 0, 0, 7][..], &long, &huge].concat()).unwrap();
        let summary: Vec<_> =
            found.iter().map(|packet| (packet.kind, packet.is_critical, packet.data.len())).collect();
        assert_eq!(summary, [(2, false, 4), (20, false, 200), (2, true, 2)]);
        assert_eq!(found[0].four_octet_number(), Some(7));
        for malformed in [&[0][..], &[9, 2, 0], &[192], &[255, 0, 0]] {
            assert_eq!(parse(malformed), None, "{malformed:?}");
        }
    }

    #[test]
    fn conflicting_and_unknown_critical_are_detected() {
        let area = |bytes: &[u8]| parse(bytes).unwrap();
        assert_eq!(find_invalid_type(&area(&[5, 2, 0, 0, 0, 7, 5, 2, 0, 0, 0, 7])), None);
        assert_eq!(find_invalid_type(&area(&[5, 2, 0, 0, 0, 7, 5, 2, 0, 0, 0, 8])), Some(2));
        assert_eq!(find_invalid_type(&area(&[2, 9, 1])), Some(9));
        let notation = area(&[12, 0x94, 0x80, 0, 0, 0, 0, 2, 0, 1, b'a', b'b', b'c']);
        assert_eq!(notation[0].unknown_critical().unwrap(), "a critical notation \"ab\"");
        assert_eq!(area(&[2, 0xe5, 0])[0].unknown_critical().unwrap(), "a critical subpacket of type 101");
        assert_eq!(area(&[2, 0x65, 0])[0].unknown_critical(), None);
    }
}
