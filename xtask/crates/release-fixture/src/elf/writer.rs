//! The bytes of a stub (System V gABI, chapters 4 and 5).

use std::ops::Range;

use super::encoding::{Encoding, Strings, nul_terminated};
use super::{ElfInfo, FilterKind};

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;

const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_SYMENT: u64 = 11;
const DT_SONAME: u64 = 14;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const DT_AUXILIARY: u64 = 0x7fff_fffd;
const DT_FILTER: u64 = 0x7fff_ffff;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DT_VERDEF: u64 = 0x6fff_fffc;
const DT_VERDEFNUM: u64 = 0x6fff_fffd;
const DT_VERNEED: u64 = 0x6fff_fffe;
const DT_VERNEEDNUM: u64 = 0x6fff_ffff;

const DF_1_NODEFLIB: u64 = 0x800;

/// The type of a segment and its part of the file.
type Segment = (u32, Range<u64>);

/// Writes the file.
pub(super) fn write(info: &ElfInfo) -> Vec<u8> {
    let encoding = Encoding { is_64: info.is_64, big_endian: info.big_endian };
    let count =
        1 + [info.interp.is_some(), !info.dlopen.is_empty(), info.dynamic].map(u64::from).iter().sum::<u64>();
    // The headers are written last.
    let mut file = vec![0; (encoding.header_size() + count * encoding.segment_size()) as usize];
    let mut segments = vec![(PT_LOAD, 0..0)];
    if let Some(loader) = &info.interp {
        segments.push((PT_INTERP, append(&mut file, &nul_terminated(loader))));
    }
    if !info.dlopen.is_empty() {
        segments.push((PT_NOTE, append(&mut file, &encoding.dlopen_note(&info.dlopen))));
    }
    append(&mut file, &texts(info));
    if info.dynamic {
        segments.push((PT_DYNAMIC, encoding.append_dynamic(info, &mut file)));
    }
    segments[0].1.end = file.len() as u64;
    let headers =
        [encoding.header(info, count), segments.iter().flat_map(|one| encoding.segment(one)).collect()]
            .concat();
    file[..headers.len()].copy_from_slice(&headers);
    file
}

/// Appends a part, aligned to 8 bytes, and returns its place.
fn append(file: &mut Vec<u8>, bytes: &[u8]) -> Range<u64> {
    file.resize(file.len().next_multiple_of(8), 0);
    let start = file.len() as u64;
    file.extend(bytes);
    start..file.len() as u64
}

/// The strings of glibc's loader and of systemd: the consecutive default directories, and the version as
/// `systemd --version` prints it.
fn texts(info: &ElfInfo) -> Vec<u8> {
    let mut text: Vec<u8> = info.system_dirs.iter().flat_map(|directory| nul_terminated(directory)).collect();
    if let Some(version) = &info.systemd_version {
        text.push(0);
        text.extend(nul_terminated(&format!("systemd {version}")));
        text.extend(nul_terminated("systemd %s running in %ssystem mode."));
    }
    text
}

impl Encoding {
    fn header_size(self) -> u64 {
        if self.is_64 { 64 } else { 52 }
    }

    fn segment_size(self) -> u64 {
        if self.is_64 { 56 } else { 32 }
    }

    /// Appends the tables of versions, symbols and strings, then the dynamic section, and returns its place.
    fn append_dynamic(self, info: &ElfInfo, file: &mut Vec<u8>) -> Range<u64> {
        let mut strings = Strings::default();
        let mut entries = named_entries(info, &mut strings);
        let definitions = (DT_VERDEF, DT_VERDEFNUM, self.verdef(info, &mut strings));
        let needs = (DT_VERNEED, DT_VERNEEDNUM, self.verneed(&info.verneed, &mut strings));
        for (at, number, (bytes, count)) in [definitions, needs] {
            if count > 0 {
                entries.extend([(at, append(file, &bytes).start), (number, u64::from(count))]);
            }
        }
        let symbol_size = if self.is_64 { 24 } else { 16 };
        let symbols = append(file, &vec![0; symbol_size]);
        let names = append(file, &strings.bytes);
        entries.extend([
            (DT_STRTAB, names.start),
            (DT_STRSZ, names.end - names.start),
            (DT_SYMTAB, symbols.start),
            (DT_SYMENT, symbol_size as u64),
            (0, 0),
        ]);
        let words: Vec<u8> = entries
            .into_iter()
            .flat_map(|(tag, value)| [self.word(tag), self.word(value)].concat())
            .collect();
        append(file, &words)
    }

    fn header(self, info: &ElfInfo, segments: u64) -> Vec<u8> {
        let class = if self.is_64 { 2 } else { 1 };
        let order = if self.big_endian { 2 } else { 1 };
        let mut bytes = vec![0x7f, b'E', b'L', b'F', class, order, 1, 0];
        bytes.resize(16, 0);
        // A program without a loader is a fixed executable (ET_EXEC), anything else can be anywhere (ET_DYN).
        bytes.extend(self.u16(if info.dynamic { 3 } else { 2 }));
        bytes.extend(self.u16(info.machine));
        bytes.extend(self.u32(1));
        for word in [0, self.header_size(), 0] {
            bytes.extend(self.word(word));
        }
        bytes.extend(self.u32(0));
        for half in [self.header_size(), self.segment_size(), segments, 0, 0, 0] {
            bytes.extend(self.u16(half as u16));
        }
        bytes
    }

    fn segment(self, (kind, place): &Segment) -> Vec<u8> {
        let align = match *kind {
            PT_LOAD => 4096,
            PT_NOTE => 4,
            _ => 8,
        };
        let (at, size, flags) = (place.start, place.end - place.start, self.u32(4));
        let words = [at, at, at, size, size].map(|word| self.word(word)).concat();
        // The flags are before the words in a 64-bit file, and after them in a 32-bit file.
        let (before, after) = if self.is_64 { (&flags[..], &[][..]) } else { (&[][..], &flags[..]) };
        [&self.u32(*kind), before, &words, after, &self.word(align)].concat()
    }
}

/// The entries of the dynamic section whose values are strings, and the flags.
fn named_entries(info: &ElfInfo, strings: &mut Strings) -> Vec<(u64, u64)> {
    let mut entries: Vec<(u64, u64)> = Vec::new();
    for position in 0..=info.needed.len() {
        for filter in info.filters.iter().filter(|filter| filter.position == position) {
            let tag = if filter.kind == FilterKind::Filter { DT_FILTER } else { DT_AUXILIARY };
            entries.push((tag, strings.at(&filter.name)));
        }
        entries.extend(info.needed.get(position).map(|soname| (DT_NEEDED, strings.at(soname))));
    }
    entries.extend(info.soname.iter().map(|soname| (DT_SONAME, strings.at(soname))));
    let rpath = Some(&info.rpath).filter(|directories| !directories.is_empty());
    for (tag, directories) in [(DT_RPATH, rpath), (DT_RUNPATH, info.runpath.as_ref())] {
        entries.extend(directories.map(|directories| (tag, strings.at(&directories.join(":")))));
    }
    entries.extend(info.nodeflib.then_some((DT_FLAGS_1, DF_1_NODEFLIB)));
    entries
}
