//! The bytes of a stub (System V gABI, chapters 4 and 5).

use super::encoding::{Encoding, Strings, nul_terminated};
use super::{ElfInfo, FilterKind};

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;

const SHT_PROGBITS: u32 = 1;
const SHT_STRTAB: u32 = 3;
const SHT_DYNAMIC: u32 = 6;
const SHT_NOTE: u32 = 7;
const SHT_DYNSYM: u32 = 11;
const SHT_GNU_VERDEF: u32 = 0x6fff_fffd;
const SHT_GNU_VERNEED: u32 = 0x6fff_fffe;

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

/// One section of the file.
struct Section {
    name: &'static str,
    kind: u32,
    /// The section that `sh_link` names.
    link: &'static str,
    /// `sh_info`: for versions the number of entries.
    info: u32,
    entry_size: u64,
    bytes: Vec<u8>,
    offset: u64,
}

/// Writes the file.
pub(super) fn write(info: &ElfInfo) -> Vec<u8> {
    let encoding = Encoding { is_64: info.is_64, big_endian: info.big_endian };
    let mut strings = Strings::default();
    let mut sections = contents(info, encoding, &mut strings);
    if info.dynamic {
        let entries = encoding.dynamic(info, &sections, &mut strings, |_| 0).len();
        sections.push(Section::new(".dynamic", SHT_DYNAMIC, encoding.zeros(entries)).linked(".dynstr", 0));
        sections.push(Section::new(".dynstr", SHT_STRTAB, strings.bytes.clone()));
    }
    let headers = encoding.header_size() + encoding.segment_size() * segments(&sections).count() as u64;
    let end = place(&mut sections, headers);
    if info.dynamic {
        // Every name is in the table by now; only the addresses were not known before.
        let dynamic = encoding.dynamic(info, &sections, &mut strings, |name| offset_of(&sections, name));
        if let Some(section) = sections.iter_mut().find(|section| section.kind == SHT_DYNAMIC) {
            section.bytes = dynamic;
        }
    }
    encoding.file(info, &sections, end)
}

/// Everything but the dynamic section and its strings.
fn contents(info: &ElfInfo, encoding: Encoding, strings: &mut Strings) -> Vec<Section> {
    let mut sections = Vec::new();
    if let Some(loader) = &info.interp {
        sections.push(Section::new(".interp", SHT_PROGBITS, nul_terminated(loader)));
    }
    if !info.dlopen.is_empty() {
        sections.push(Section::new(".note.dlopen", SHT_NOTE, encoding.dlopen_note(&info.dlopen)));
    }
    let text = texts(info);
    if !text.is_empty() {
        sections.push(Section::new(".rodata", SHT_PROGBITS, text));
    }
    if info.dynamic {
        let mut symbols = Section::new(".dynsym", SHT_DYNSYM, vec![0; encoding.symbol_size()]);
        symbols.entry_size = encoding.symbol_size() as u64;
        sections.push(symbols.linked(".dynstr", 1));
        if !info.verdef.is_empty() {
            let (bytes, count) = encoding.verdef(info, strings);
            sections.push(Section::new(".gnu.version_d", SHT_GNU_VERDEF, bytes).linked(".dynstr", count));
        }
        if !info.verneed.is_empty() {
            let (bytes, count) = encoding.verneed(&info.verneed, strings);
            sections.push(Section::new(".gnu.version_r", SHT_GNU_VERNEED, bytes).linked(".dynstr", count));
        }
    }
    sections
}

/// The strings of glibc's loader and of systemd: the consecutive default directories, and the version as
/// `systemd --version` prints it.
fn texts(info: &ElfInfo) -> Vec<u8> {
    let mut text: Vec<u8> = info.system_dirs.iter().flat_map(|directory| nul_terminated(directory)).collect();
    if !info.system_dirs.is_empty() && !info.legacy_hwcaps {
        text.push(0);
        text.extend(nul_terminated("glibc-hwcaps"));
    }
    if let Some(version) = &info.systemd_version {
        text.push(0);
        text.extend(nul_terminated(&format!("systemd {version}")));
        text.extend(nul_terminated("systemd %s running in %ssystem mode."));
    }
    text
}

/// Sets the offset of each section after the headers and returns the end of the last one.
fn place(sections: &mut [Section], headers: u64) -> u64 {
    sections.iter_mut().fold(headers, |at, section| {
        section.offset = at.next_multiple_of(8);
        section.offset + section.bytes.len() as u64
    })
}

fn offset_of(sections: &[Section], name: &str) -> u64 {
    sections.iter().find(|section| section.name == name).map_or(0, |section| section.offset)
}

/// The program headers: type, and the section each one covers; the first covers the file.
fn segments(sections: &[Section]) -> impl Iterator<Item = (u32, Option<&Section>)> {
    let of_section = |section: &Section| match section.name {
        ".interp" => Some(PT_INTERP),
        ".dynamic" => Some(PT_DYNAMIC),
        ".note.dlopen" => Some(PT_NOTE),
        _ => None,
    };
    let others = sections.iter().filter_map(move |section| Some((of_section(section)?, Some(section))));
    std::iter::once((PT_LOAD, None)).chain(others)
}

impl Section {
    fn new(name: &'static str, kind: u32, bytes: Vec<u8>) -> Section {
        Section { name, kind, link: "", info: 0, entry_size: 0, bytes, offset: 0 }
    }

    fn linked(mut self, link: &'static str, info: u32) -> Section {
        self.link = link;
        self.info = info;
        self
    }
}

impl Encoding {
    fn header_size(self) -> u64 {
        if self.is_64 { 64 } else { 52 }
    }

    fn segment_size(self) -> u64 {
        if self.is_64 { 56 } else { 32 }
    }

    fn section_size(self) -> u16 {
        if self.is_64 { 64 } else { 40 }
    }

    fn symbol_size(self) -> usize {
        if self.is_64 { 24 } else { 16 }
    }

    fn zeros(self, length: usize) -> Vec<u8> {
        vec![0; length]
    }

    /// The dynamic section; `address` returns the address of a section.
    fn dynamic(
        self,
        info: &ElfInfo,
        sections: &[Section],
        strings: &mut Strings,
        address: impl Fn(&str) -> u64,
    ) -> Vec<u8> {
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
        if info.nodeflib {
            entries.push((DT_FLAGS_1, DF_1_NODEFLIB));
        }
        for (name, at, number) in
            [(".gnu.version_d", DT_VERDEF, DT_VERDEFNUM), (".gnu.version_r", DT_VERNEED, DT_VERNEEDNUM)]
        {
            if let Some(section) = sections.iter().find(|section| section.name == name) {
                entries.extend([(at, address(name)), (number, u64::from(section.info))]);
            }
        }
        entries.extend([
            (DT_STRTAB, address(".dynstr")),
            (DT_STRSZ, strings.bytes.len() as u64),
            (DT_SYMTAB, address(".dynsym")),
            (DT_SYMENT, self.symbol_size() as u64),
            (0, 0),
        ]);
        entries.into_iter().flat_map(|(tag, value)| [self.word(tag), self.word(value)].concat()).collect()
    }

    fn file(self, info: &ElfInfo, sections: &[Section], end: u64) -> Vec<u8> {
        let mut names = vec![0];
        let name_at: Vec<u32> = sections
            .iter()
            .map(|section| section.name)
            .chain([".shstrtab"])
            .map(|name| {
                let at = names.len() as u32;
                names.extend(nul_terminated(name));
                at
            })
            .collect();
        let table = (end + names.len() as u64).next_multiple_of(8);
        let mut file = self.header(info, sections, table);
        for (kind, section) in segments(sections) {
            file.extend(self.segment(kind, section, end));
        }
        for section in sections {
            file.resize(section.offset as usize, 0);
            file.extend(&section.bytes);
        }
        file.extend(&names);
        file.resize(table as usize + usize::from(self.section_size()), 0);
        for (section, name) in sections.iter().zip(&name_at) {
            let link =
                sections.iter().position(|other| other.name == section.link).map_or(0, |at| at as u32 + 1);
            file.extend(self.section(*name, section, link));
        }
        let shstrtab = Section { offset: end, ..Section::new(".shstrtab", SHT_STRTAB, names) };
        file.extend(self.section(name_at[sections.len()], &shstrtab, 0));
        file
    }

    fn header(self, info: &ElfInfo, sections: &[Section], table: u64) -> Vec<u8> {
        let class = if self.is_64 { 2 } else { 1 };
        let order = if self.big_endian { 2 } else { 1 };
        let mut bytes = vec![0x7f, b'E', b'L', b'F', class, order, 1, 0];
        bytes.resize(16, 0);
        // A program without a loader is a fixed executable (ET_EXEC), anything else can be anywhere (ET_DYN).
        bytes.extend(self.u16(if info.dynamic { 3 } else { 2 }));
        bytes.extend(self.u16(info.machine));
        bytes.extend(self.u32(1));
        for word in [0, self.header_size(), table] {
            bytes.extend(self.word(word));
        }
        bytes.extend(self.u32(0));
        let (segment_count, section_count) = (segments(sections).count() as u16, sections.len() as u16 + 2);
        for half in [
            self.header_size() as u16,
            self.segment_size() as u16,
            segment_count,
            self.section_size(),
            section_count,
            section_count - 1,
        ] {
            bytes.extend(self.u16(half));
        }
        bytes
    }

    fn segment(self, kind: u32, section: Option<&Section>, end: u64) -> Vec<u8> {
        let (at, size) = section.map_or((0, end), |section| (section.offset, section.bytes.len() as u64));
        let align = if kind == PT_LOAD {
            4096
        } else if kind == PT_NOTE {
            4
        } else {
            8
        };
        let (flags, words) = (self.u32(4), [at, at, at, size, size].map(|word| self.word(word)));
        let mut bytes = self.u32(kind).to_vec();
        if self.is_64 {
            bytes.extend(flags);
        }
        bytes.extend(words.concat());
        if !self.is_64 {
            bytes.extend(flags);
        }
        bytes.extend(self.word(align));
        bytes
    }

    fn section(self, name: u32, section: &Section, link: u32) -> Vec<u8> {
        const SHF_ALLOC: u64 = 2;
        let loaded = section.name != ".shstrtab";
        let mut bytes = [self.u32(name), self.u32(section.kind)].concat();
        let address = if loaded { section.offset } else { 0 };
        for word in [if loaded { SHF_ALLOC } else { 0 }, address, section.offset, section.bytes.len() as u64]
        {
            bytes.extend(self.word(word));
        }
        bytes.extend([self.u32(link), self.u32(section.info)].concat());
        let entry_size =
            if section.kind == SHT_DYNAMIC { self.word(0).len() as u64 * 2 } else { section.entry_size };
        bytes.extend(
            [self.word(if section.kind == SHT_NOTE { 4 } else { 8 }), self.word(entry_size)].concat(),
        );
        bytes
    }
}
