//! The tables of symbol versions (LSB core, "Symbol Versioning") and the note of libraries for dlopen(3).

use super::encoding::{Encoding, Strings, nul_terminated};
use super::{DlopenNote, ElfInfo, VersionNeed};

const VER_FLG_BASE: u16 = 1;
const VER_FLG_WEAK: u16 = 2;
/// systemd `docs/ELF_DLOPEN_METADATA.md`.
const NT_FDO_DLOPEN: u32 = 0x407c_0c0a;

impl Encoding {
    /// `Verdef`, each with its one `Verdaux`; the first is the base.
    pub(super) fn verdef(self, info: &ElfInfo, strings: &mut Strings) -> (Vec<u8>, u32) {
        let names = &info.verdef;
        let mut bytes = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let flags = if index == 0 { VER_FLG_BASE } else { 0 };
            let next = if index + 1 == names.len() { 0 } else { 28 };
            for half in [1, flags, index as u16 + 1, 1] {
                bytes.extend(self.u16(half));
            }
            for word in [sysv_hash(name), 20, next, strings.at(name) as u32, 0] {
                bytes.extend(self.u32(word));
            }
        }
        (bytes, names.len() as u32)
    }

    /// One `Verneed` per library, each followed by one `Vernaux` per version.
    pub(super) fn verneed(self, needs: &[VersionNeed], strings: &mut Strings) -> (Vec<u8>, u32) {
        let mut libraries: Vec<&str> = Vec::new();
        for need in needs {
            if !libraries.contains(&need.library.as_str()) {
                libraries.push(&need.library);
            }
        }
        let (mut bytes, mut index) = (Vec::new(), 2);
        for (nth, library) in libraries.iter().enumerate() {
            let versions: Vec<&VersionNeed> = needs.iter().filter(|need| need.library == *library).collect();
            let last = nth + 1 == libraries.len();
            let next = if last { 0 } else { 16 + 16 * versions.len() as u32 };
            bytes.extend([self.u16(1), self.u16(versions.len() as u16)].concat());
            for word in [strings.at(library) as u32, 16, next] {
                bytes.extend(self.u32(word));
            }
            for (nth, need) in versions.iter().enumerate() {
                bytes.extend(self.u32(sysv_hash(&need.version)));
                bytes.extend(self.u16(if need.weak { VER_FLG_WEAK } else { 0 }));
                bytes.extend(self.u16(index));
                bytes.extend(self.u32(strings.at(&need.version) as u32));
                bytes.extend(self.u32(if nth + 1 == versions.len() { 0 } else { 16 }));
                index += 1;
            }
        }
        (bytes, libraries.len() as u32)
    }

    /// One note with the JSON array of the entries as its description, padded to four bytes.
    pub(super) fn dlopen_note(self, notes: &[DlopenNote]) -> Vec<u8> {
        let entry = |note: &DlopenNote| {
            serde_json::json!({
                "soname": note.sonames,
                "feature": note.feature,
                "description": note.description,
                "priority": note.priority.id(),
            })
        };
        let text = serde_json::Value::from(notes.iter().map(entry).collect::<Vec<_>>()).to_string();
        let description = nul_terminated(&text);
        let mut bytes = Vec::new();
        for word in [4, description.len() as u32, NT_FDO_DLOPEN] {
            bytes.extend(self.u32(word));
        }
        bytes.extend(b"FDO\0");
        bytes.extend(description);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }
}

/// The hash of symbol and version names (gABI, "Hash Table").
fn sysv_hash(name: &str) -> u32 {
    name.bytes().fold(0u32, |hash, byte| {
        let next = (hash << 4).wrapping_add(u32::from(byte));
        let high = next & 0xf000_0000;
        (next ^ (high >> 24)) & !high
    })
}
