//! `.note.dlopen`: the libraries that a file declares to load with dlopen(3).

use elf::abi;
use elf::note::{Note, NoteIterator};

use super::headers::Headers;
use super::{DlopenNote, DlopenPriority};

/// The note's owner and type (systemd `docs/ELF_DLOPEN_METADATA.md`).
const OWNER: &str = "FDO";
const NOTE_TYPE: u64 = 0x407c_0c0a;

/// The notes of one file that are read; real files have fewer than ten.
const MAX_NOTES: usize = 256;
/// The bytes of JSON of one file that are read; libsystemd-shared of systemd 257 has 4 KiB.
const MAX_JSON: usize = 1 << 15;

/// Every entry, in the order of the file. The loader does not read these notes, so that a malformed one is skipped and
/// not an error of the file.
pub(super) fn read_dlopen_notes(elf: &Headers) -> Vec<DlopenNote> {
    let mut reader = NoteReader::default();
    for segment in elf.segments.iter().filter(|segment| segment.p_type == abi::PT_NOTE) {
        reader.add(elf, segment.p_offset, segment.p_filesz, segment.p_align);
    }
    if reader.json_read == 0
        && let Ok(sections) = elf.read_sections()
    {
        for section in sections.iter().filter(|section| section.sh_type == abi::SHT_NOTE) {
            reader.add(elf, section.sh_offset, section.sh_size, section.sh_addralign);
        }
    }
    reader.entries
}

#[derive(Default)]
struct NoteReader {
    entries: Vec<DlopenNote>,
    notes_seen: usize,
    json_read: usize,
}

impl NoteReader {
    /// Reads the notes of a segment or section.
    fn add(&mut self, elf: &Headers, offset: u64, size: u64, align: u64) {
        let align = match align {
            // Like binutils.
            0..=4 => 4,
            8 => 8,
            _ => return,
        };
        let Some(bytes) = elf.file.read_bytes_at(offset, size) else { return };
        for note in NoteIterator::new(elf.header.endianness, elf.header.class, align, bytes) {
            self.notes_seen += 1;
            if self.notes_seen > MAX_NOTES {
                return;
            }
            let Note::Unknown(note) = note else { continue };
            if note.n_type != NOTE_TYPE || !note.name_str().is_ok_and(|name| name == OWNER) {
                continue;
            }
            self.json_read = self.json_read.saturating_add(note.desc.len());
            if self.json_read > MAX_JSON {
                return;
            }
            self.entries.extend(parse_entries(note.desc));
        }
    }
}

/// The entries of one note: a JSON array of objects, padded with NUL bytes.
fn parse_entries(json: &[u8]) -> Vec<DlopenNote> {
    let end = json.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    // `parse` is compiled once, in serde_json; `from_slice` would be compiled in this crate.
    let parsed = std::str::from_utf8(&json[..end]).ok().and_then(|text| text.parse().ok());
    let Some(serde_json::Value::Array(objects)) = parsed else { return Vec::new() };
    objects.iter().filter_map(parse_entry).collect()
}

fn parse_entry(object: &serde_json::Value) -> Option<DlopenNote> {
    let text = |key: &str| object.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let names = object.get("soname")?.as_array()?.iter();
    let sonames: Vec<String> = names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
    let (feature, description, word) = (text("feature"), text("description"), text("priority"));
    let known = DlopenPriority::ALL.into_iter().find(|priority| priority.id() == word);
    // The specification's default.
    let priority = known.unwrap_or(DlopenPriority::Recommended);
    (!sonames.is_empty()).then_some(DlopenNote { sonames, feature, description, priority })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_malformed_ones_skipped() {
        let json = br#"[{"feature":"bpf","description":"Firewall","priority":"suggested","soname":["libbpf.so.1","libbpf.so.0"]},
            {"soname":["libz.so.1"]}, {"soname":[]}, {"feature":"x"}, 7]"#;
        let mut padded = json.to_vec();
        padded.extend([0, 0]);
        let read = parse_entries(&padded);
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].sonames, ["libbpf.so.1", "libbpf.so.0"]);
        assert_eq!((read[0].priority, read[0].feature.as_str()), (DlopenPriority::Suggested, "bpf"));
        assert_eq!(read[1].priority, DlopenPriority::Recommended);
        assert_eq!(parse_entries(b"{}"), []);
        assert_eq!(parse_entries(b"\0\0"), []);
    }
}
