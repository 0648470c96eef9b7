//! Numbers and strings as they are written into a stub.

/// Adds a string to `.dynstr` and returns its offset.
pub(super) fn add_string(strings: &mut Vec<u8>, text: &str) -> u64 {
    let offset = strings.len() as u64;
    strings.extend(nul_terminated(text));
    offset
}

pub(super) fn nul_terminated(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

pub(super) fn u16s(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(super) fn u32s(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
