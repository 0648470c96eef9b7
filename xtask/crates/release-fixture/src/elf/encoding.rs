//! Encoding of numbers and strings by class and byte order (gABI, "Data Representation").

use std::collections::BTreeMap;

/// The class and byte order of a file.
#[derive(Clone, Copy)]
pub(super) struct Encoding {
    pub(super) is_64: bool,
    pub(super) big_endian: bool,
}

impl Encoding {
    pub(super) fn u16(self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub(super) fn u32(self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    /// An address, offset or size, in the width of the class.
    pub(super) fn word(self, value: u64) -> Vec<u8> {
        match (self.is_64, self.big_endian) {
            (true, false) => value.to_le_bytes().to_vec(),
            (true, true) => value.to_be_bytes().to_vec(),
            (false, _) => self.u32(value as u32).to_vec(),
        }
    }
}

/// Builder of `.dynstr` without duplicates.
#[derive(Default)]
pub(super) struct Strings {
    pub(super) bytes: Vec<u8>,
    known: BTreeMap<String, u64>,
}

impl Strings {
    pub(super) fn at(&mut self, text: &str) -> u64 {
        if self.bytes.is_empty() {
            self.bytes.push(0);
        }
        let next = self.bytes.len() as u64;
        let at = *self.known.entry(text.to_owned()).or_insert(next);
        if at == next {
            self.bytes.extend(nul_terminated(text));
        }
        at
    }
}

/// A NUL-terminated string.
pub(super) fn nul_terminated(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}
