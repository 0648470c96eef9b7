//! The tables of symbol versions (LSB core, "Symbol Versioning") and the note of libraries for dlopen(3).

use elf::abi;
use elf::hash::sysv_hash;

use super::encoding::{add_string, nul_terminated, u16s, u32s};
use super::{DlopenNote, VersionNeed};

/// systemd `docs/ELF_DLOPEN_METADATA.md`.
const NT_FDO_DLOPEN: u32 = 0x407c_0c0a;

/// `Verdef`, each with its one `Verdaux`; the first is the base.
pub(super) fn verdef(names: &[String], strings: &mut Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let flags = if index == 0 { abi::VER_FLG_BASE } else { 0 };
        let next = if index + 1 == names.len() { 0 } else { 28 };
        bytes.extend(u16s(&[1, flags, index as u16 + 1, 1]));
        bytes.extend(u32s(&[sysv_hash(name.as_bytes()), 20, next, add_string(strings, name) as u32, 0]));
    }
    bytes
}

/// `Verneed`, each with its one `Vernaux`.
pub(super) fn verneed(needs: &[VersionNeed], strings: &mut Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, need) in needs.iter().enumerate() {
        let next = if index + 1 == needs.len() { 0 } else { 32 };
        bytes.extend(u16s(&[1, 1]));
        bytes.extend(u32s(&[add_string(strings, &need.library) as u32, 16, next]));
        bytes.extend(u32s(&[sysv_hash(need.version.as_bytes())]));
        bytes.extend(u16s(&[if need.weak { abi::VER_FLG_WEAK } else { 0 }, index as u16 + 2]));
        bytes.extend(u32s(&[add_string(strings, &need.version) as u32, 0]));
    }
    bytes
}

/// One note with the JSON array of the entries as its description, padded to four bytes.
pub(super) fn dlopen_note(notes: &[DlopenNote]) -> Vec<u8> {
    let entry = |note: &DlopenNote| {
        serde_json::json!({
            "soname": note.sonames,
            "feature": note.feature,
            "description": note.description,
            "priority": note.priority.id(),
        })
    };
    let description = nul_terminated(&notes.iter().map(entry).collect::<serde_json::Value>().to_string());
    let mut bytes = u32s(&[4, description.len() as u32, NT_FDO_DLOPEN]);
    bytes.extend(b"FDO\0");
    bytes.extend(description);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
