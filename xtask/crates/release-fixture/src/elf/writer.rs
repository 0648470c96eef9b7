//! The bytes of a stub, little-endian (System V gABI, chapters 4 and 5).

use std::ops::Range;

use elf::abi;

use super::ElfInfo;
use super::encoding::{add_string, nul_terminated, u16s, u32s};
use super::versions_and_notes::{dlopen_note, verdef, verneed};

/// Writes the file.
pub(super) fn encode_elf(info: &ElfInfo) -> Vec<u8> {
    let mut writer = Writer { info, file: Vec::new() };
    let count = 1 + [info.interp.is_some(), !info.dlopen_notes.is_empty(), info.has_dynamic_section]
        .map(u64::from)
        .iter()
        .sum::<u64>();
    // The headers are written last.
    writer.file.resize((writer.elf_header_size() + count * writer.program_header_size()) as usize, 0);
    let mut segments = vec![(abi::PT_LOAD, 0..0)];
    if let Some(loader) = &info.interp {
        segments.push((abi::PT_INTERP, writer.append(&nul_terminated(loader))));
    }
    if !info.dlopen_notes.is_empty() {
        segments.push((abi::PT_NOTE, writer.append(&dlopen_note(&info.dlopen_notes))));
    }
    writer.append(&loader_and_systemd_strings(info));
    if info.has_dynamic_section {
        segments.push((abi::PT_DYNAMIC, writer.append_dynamic()));
    }
    segments[0].1.end = writer.file.len() as u64;
    let headers = segments.iter().flat_map(|(kind, place)| writer.program_header(*kind, place));
    let headers: Vec<u8> = writer.elf_header(count).into_iter().chain(headers).collect();
    writer.file[..headers.len()].copy_from_slice(&headers);
    writer.file
}

/// The strings of glibc's loader and of systemd: the consecutive default directories, and the version as
/// `systemd --version` prints it.
fn loader_and_systemd_strings(info: &ElfInfo) -> Vec<u8> {
    let mut text: Vec<u8> = info.system_dirs.iter().flat_map(|directory| nul_terminated(directory)).collect();
    if let Some(version) = &info.systemd_version {
        text.extend(format!("\0systemd {version}\0systemd %s running in %ssystem mode.\0").bytes());
    }
    text
}

struct Writer<'a> {
    info: &'a ElfInfo,
    file: Vec<u8>,
}

impl Writer<'_> {
    fn elf_header_size(&self) -> u64 {
        if self.info.is_64 { 64 } else { 52 }
    }

    fn program_header_size(&self) -> u64 {
        if self.info.is_64 { 56 } else { 32 }
    }

    /// Addresses, offsets or sizes, in the width of the class.
    fn words(&self, values: &[u64]) -> Vec<u8> {
        let width = if self.info.is_64 { 8 } else { 4 };
        values.iter().flat_map(|value| value.to_le_bytes().into_iter().take(width)).collect()
    }

    /// Appends a part, aligned to 8 bytes, and returns its place.
    fn append(&mut self, bytes: &[u8]) -> Range<u64> {
        self.file.resize(self.file.len().next_multiple_of(8), 0);
        let start = self.file.len() as u64;
        self.file.extend(bytes);
        start..self.file.len() as u64
    }

    /// Appends the tables of versions, symbols and strings, then the dynamic section, and returns its place.
    fn append_dynamic(&mut self) -> Range<u64> {
        let ElfInfo { verdef: definitions, verneed: needs, .. } = self.info;
        let mut strings = vec![0];
        let mut entries = string_and_flag_entries(self.info, &mut strings);
        for (tag, number, bytes, count) in [
            (abi::DT_VERDEF, abi::DT_VERDEFNUM, verdef(definitions, &mut strings), definitions.len()),
            (abi::DT_VERNEED, abi::DT_VERNEEDNUM, verneed(needs, &mut strings), needs.len()),
        ] {
            if count > 0 {
                entries.extend([(tag, self.append(&bytes).start), (number, count as u64)]);
            }
        }
        let symbol_size = if self.info.is_64 { 24 } else { 16 };
        let symbols = self.append(&vec![0; symbol_size]);
        let names = self.append(&strings);
        entries.extend([
            (abi::DT_STRTAB, names.start),
            (abi::DT_STRSZ, names.end - names.start),
            (abi::DT_SYMTAB, symbols.start),
            (abi::DT_SYMENT, symbol_size as u64),
            (abi::DT_NULL, 0),
        ]);
        let words: Vec<u8> =
            entries.into_iter().flat_map(|(tag, value)| self.words(&[tag as u64, value])).collect();
        self.append(&words)
    }

    fn elf_header(&self, segment_count: u64) -> Vec<u8> {
        let class = if self.info.is_64 { abi::ELFCLASS64 } else { abi::ELFCLASS32 };
        let mut ident = [abi::ELFMAGIC, [class, abi::ELFDATA2LSB, 1, 0]].concat();
        ident.resize(16, 0);
        // A program without a loader is a fixed executable, anything else can be anywhere.
        let kind = if self.info.has_dynamic_section { abi::ET_DYN } else { abi::ET_EXEC };
        let sizes = [self.elf_header_size(), self.program_header_size(), segment_count, 0, 0, 0]
            .map(|size| size as u16);
        [
            ident,
            u16s(&[kind, self.info.machine]),
            u32s(&[1]),
            self.words(&[0, self.elf_header_size(), 0]),
            u32s(&[0]),
            u16s(&sizes),
        ]
        .concat()
    }

    fn program_header(&self, kind: u32, place: &Range<u64>) -> Vec<u8> {
        let align = match kind {
            abi::PT_LOAD => 4096,
            abi::PT_NOTE => 4,
            _ => 8,
        };
        let (at, size) = (place.start, place.end - place.start);
        let places = self.words(&[at, at, at, size, size]);
        // The flags are before the places in a 64-bit file, and after them in a 32-bit file.
        let (kind, flags, align) = (u32s(&[kind]), u32s(&[abi::PF_R]), self.words(&[align]));
        if self.info.is_64 {
            [kind, flags, places, align].concat()
        } else {
            [kind, places, flags, align].concat()
        }
    }
}

/// The entries of the dynamic section whose values are strings, and the flags.
fn string_and_flag_entries(info: &ElfInfo, strings: &mut Vec<u8>) -> Vec<(i64, u64)> {
    let mut entries = Vec::new();
    for position in 0..=info.needed.len() {
        for filter in info.filters.iter().filter(|filter| filter.position == position) {
            entries.push((filter.kind as i64, add_string(strings, &filter.name)));
        }
        let needed = info.needed.get(position);
        entries.extend(needed.map(|soname| (abi::DT_NEEDED, add_string(strings, soname))));
    }
    entries.extend(info.soname.iter().map(|soname| (abi::DT_SONAME, add_string(strings, soname))));
    let rpath = Some(&info.rpath).filter(|directories| !directories.is_empty());
    for (tag, directories) in [(abi::DT_RPATH, rpath), (abi::DT_RUNPATH, info.runpath.as_ref())] {
        entries.extend(directories.map(|directories| (tag, add_string(strings, &directories.join(":")))));
    }
    entries.extend(info.nodeflib.then_some((abi::DT_FLAGS_1, abi::DF_1_NODEFLIB as u64)));
    entries
}
