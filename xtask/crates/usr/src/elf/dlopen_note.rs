//! `.note.dlopen`: the libraries that a file declares to load with dlopen(3).

use object::endian::Endianness;
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader, SectionHeader};

use super::partial_file::PartialFile;
use super::{DlopenNote, DlopenPriority};

/// The note's owner and type (systemd `docs/ELF_DLOPEN_METADATA.md`).
const OWNER: &[u8] = b"FDO";
const NOTE_TYPE: u32 = 0x407c_0c0a;

/// The notes of one file that are read; real files have fewer than ten.
const MAX_NOTES: usize = 256;
/// The bytes of JSON of one file that are read; libsystemd-shared of systemd 257 has 4 KiB.
const MAX_JSON: usize = 1 << 15;

/// Every entry, in the order of the file. The loader does not read these notes, so that a malformed one is skipped and
/// not an error of the file.
pub(super) fn read_dlopen_notes<E: FileHeader<Endian = Endianness>>(
    header: &E,
    endian: Endianness,
    segments: &[E::ProgramHeader],
    file: &PartialFile,
) -> Vec<DlopenNote> {
    let mut reader = NoteReader::default();
    for segment in segments {
        if let Ok(Some(notes)) = segment.notes(endian, file) {
            reader.add::<E>(notes, endian);
        }
    }
    if reader.json_read == 0 {
        for section in header.section_headers(endian, file).unwrap_or_default() {
            if let Ok(Some(notes)) = section.notes(endian, file) {
                reader.add::<E>(notes, endian);
            }
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
    fn add<E: FileHeader<Endian = Endianness>>(
        &mut self,
        mut notes: NoteIterator<'_, E>,
        endian: Endianness,
    ) {
        while let Ok(Some(note)) = notes.next() {
            self.notes_seen += 1;
            if self.notes_seen > MAX_NOTES {
                return;
            }
            if note.name() != OWNER || note.n_type(endian).0 != NOTE_TYPE {
                continue;
            }
            self.json_read = self.json_read.saturating_add(note.desc().len());
            if self.json_read > MAX_JSON {
                return;
            }
            self.entries.extend(parse_entries(note.desc()));
        }
    }
}

/// The entries of one note: a JSON array of objects, padded with NUL bytes.
fn parse_entries(json: &[u8]) -> Vec<DlopenNote> {
    let end = json.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let Ok(serde_json::Value::Array(objects)) = serde_json::from_slice(&json[..end]) else {
        return Vec::new();
    };
    objects.iter().filter_map(parse_entry).collect()
}

fn parse_entry(object: &serde_json::Value) -> Option<DlopenNote> {
    let text = |key: &str| object.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let names = object.get("soname")?.as_array()?.iter();
    let sonames: Vec<String> = names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
    let priority = match object.get("priority").and_then(|value| value.as_str()) {
        Some("required") => DlopenPriority::Required,
        Some("suggested") => DlopenPriority::Suggested,
        // The specification's default.
        _ => DlopenPriority::Recommended,
    };
    let (feature, description) = (text("feature"), text("description"));
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
