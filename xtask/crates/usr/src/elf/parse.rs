//! Parser of the dynamic section through the program headers, for both classes and both byte orders.

use elf::abi;
use elf::dynamic::{Dyn, DynamicTable};
use elf::endian::{AnyEndian, EndianParse};
use elf::file::Class;
use elf::parse::ParseAt;
use elf::segment::ProgramHeader;

use super::headers::Headers;
use super::partial_file::PartialFile;
use super::{ElfInfo, Filtee, FilterKind, VersionNeed, dlopen_note};
use crate::lossless_text;

const DT_FILTER: i64 = FilterKind::Filter as i64;
const DT_AUXILIARY: i64 = FilterKind::Auxiliary as i64;

/// The bytes of names, and 16 for each, that are stored of one file. glibc's largest library needs 2 KiB of names, and
/// a thousand files may be in memory.
const NAME_BUDGET: usize = 1 << 16;
/// The entries of a dynamic section that are read; [`NAME_BUDGET`] bounds the chains of versions.
const MAX_ENTRIES: usize = 1 << 16;
/// `PATH_MAX` of Linux: a longer name cannot be opened.
const MAX_NAME: usize = 4096;

/// See [`super::parse_headers`]. An error can also mean that a part of the file was not read: see
/// [`PartialFile::missed_windows`].
pub(super) fn parse(file: &PartialFile) -> Result<ElfInfo, String> {
    Parser { elf: Headers::read(file)?, name_bytes_left: NAME_BUDGET }.info()
}

/// Parser of one file with valid headers.
struct Parser<'a> {
    elf: Headers<'a>,
    name_bytes_left: usize,
}

/// A range of the file, from an offset to the end of its segment or table.
#[derive(Clone, Copy)]
struct FileRange {
    offset: u64,
    size: u64,
}

/// The entries of the dynamic section that are read; of duplicate tags the last is used, as in the loader.
#[derive(Default)]
struct Dynamic {
    strtab: u64,
    strsz: Option<u64>,
    needed: Vec<u64>,
    /// The name's offset, the kind, and the number of needed entries before it.
    filters: Vec<(u64, FilterKind, usize)>,
    soname: Option<u64>,
    rpath: Option<u64>,
    runpath: Option<u64>,
    flags_1: u64,
    verneed: Option<u64>,
    verdef: Option<u64>,
}

impl Parser<'_> {
    fn info(mut self) -> Result<ElfInfo, String> {
        let mut info = ElfInfo {
            is_64: self.elf.header.class == Class::ELF64,
            big_endian: self.elf.header.endianness == AnyEndian::Big,
            machine: self.elf.header.e_machine,
            interp: self.interp()?,
            unloadable_reason: self.unloadable_reason(),
            ..ElfInfo::default()
        };
        if let Some(dynamic) = self.read_dynamic_entries()? {
            info.has_dynamic_section = true;
            self.fill_from_dynamic(&dynamic, &mut info)?;
        }
        info.dlopen_notes = dlopen_note::read_dlopen_notes(&self.elf);
        Ok(info)
    }

    /// The reason why the loader stops at a file of its own class and machine (glibc `open_verify`).
    fn unloadable_reason(&self) -> Option<String> {
        let (kind, abi) = (self.elf.header.e_type, self.elf.header.osabi);
        if kind != abi::ET_DYN && kind != abi::ET_EXEC {
            Some(format!("its ELF type is {kind}, not a program or shared library"))
        } else if abi != abi::ELFOSABI_NONE && abi != abi::ELFOSABI_GNU {
            Some(format!("its ELF OS ABI is {abi}, not that of Linux"))
        } else {
            None
        }
    }

    fn interp(&mut self) -> Result<Option<String>, String> {
        let Some(segment) = self.elf.segments.iter().find(|segment| segment.p_type == abi::PT_INTERP) else {
            return Ok(None);
        };
        let part = self.segment_range(&segment).ok_or("PT_INTERP is outside of the file")?;
        self.read_string(part, 0, "PT_INTERP").map(Some)
    }

    /// The dynamic section: `None` without `PT_DYNAMIC`, and in files of debug data, where it has no bytes.
    fn read_dynamic_entries(&self) -> Result<Option<Dynamic>, String> {
        // Of several the loader uses the last.
        let dynamic = self.elf.segments.iter().filter(|segment| segment.p_type == abi::PT_DYNAMIC).last();
        let Some(segment) = dynamic.filter(|segment| segment.p_filesz != 0) else {
            return Ok(None);
        };
        let part = match self.range_at_vaddr(segment.p_vaddr) {
            Ok(part) => FileRange { size: part.size.min(segment.p_filesz), ..part },
            Err(_) => self.segment_range(&segment).ok_or("PT_DYNAMIC is outside of the file")?,
        };
        let (endian, class) = (self.elf.header.endianness, self.elf.header.class);
        // One more than the limit, to detect a section that does not end.
        let entry_size = Dyn::size_for(class) as u64;
        let count = (part.size / entry_size).min(MAX_ENTRIES as u64 + 1);
        let entries = self.elf.file.read_bytes_at(part.offset, count * entry_size);
        let entries = DynamicTable::new(endian, class, entries.ok_or("the dynamic section cannot be read")?);
        let mut dynamic = Dynamic::default();
        for (seen, entry) in entries.iter().enumerate() {
            let value = entry.d_val();
            match entry.d_tag {
                abi::DT_NULL => break,
                _ if seen == MAX_ENTRIES => return Err("the dynamic section does not end".into()),
                abi::DT_STRTAB => dynamic.strtab = value,
                abi::DT_STRSZ => dynamic.strsz = Some(value),
                abi::DT_NEEDED => dynamic.needed.push(value),
                DT_FILTER => dynamic.filters.push((value, FilterKind::Filter, dynamic.needed.len())),
                DT_AUXILIARY => {
                    dynamic.filters.push((value, FilterKind::Auxiliary, dynamic.needed.len()));
                }
                abi::DT_SONAME => dynamic.soname = Some(value),
                abi::DT_RPATH => dynamic.rpath = Some(value),
                abi::DT_RUNPATH => dynamic.runpath = Some(value),
                abi::DT_FLAGS_1 => dynamic.flags_1 = value,
                abi::DT_VERNEED => dynamic.verneed = Some(value),
                abi::DT_VERDEF => dynamic.verdef = Some(value),
                _ => {}
            }
        }
        Ok(Some(dynamic))
    }

    fn fill_from_dynamic(&mut self, dynamic: &Dynamic, info: &mut ElfInfo) -> Result<(), String> {
        info.nodeflib = dynamic.flags_1 & abi::DF_1_NODEFLIB as u64 != 0;
        let named = [dynamic.soname, dynamic.rpath, dynamic.runpath, dynamic.verneed, dynamic.verdef];
        if dynamic.needed.is_empty() && dynamic.filters.is_empty() && named.iter().all(Option::is_none) {
            return Ok(());
        }
        let strings = self.range_at_vaddr(dynamic.strtab).map_err(|why| format!("DT_STRTAB {why}"))?;
        let strings = FileRange { size: strings.size.min(dynamic.strsz.unwrap_or(u64::MAX)), ..strings };

        for &offset in &dynamic.needed {
            info.needed.push(self.read_string(strings, offset, "DT_NEEDED")?);
        }
        for &(offset, kind, position) in &dynamic.filters {
            let name = self.read_string(strings, offset, "DT_FILTER")?;
            info.filters.push(Filtee { name, kind, position });
        }
        info.soname =
            dynamic.soname.map(|offset| self.read_string(strings, offset, "DT_SONAME")).transpose()?;
        if let Some(offset) = dynamic.rpath {
            info.rpath = search_path(&self.read_string(strings, offset, "DT_RPATH")?);
        }
        if let Some(offset) = dynamic.runpath {
            info.runpath = Some(search_path(&self.read_string(strings, offset, "DT_RUNPATH")?));
        }
        if let Some(address) = dynamic.verneed {
            let table = self.range_at_vaddr(address).map_err(|why| format!("DT_VERNEED {why}"))?;
            info.verneed = self.verneed(table, strings)?;
        }
        if let Some(address) = dynamic.verdef {
            let table = self.range_at_vaddr(address).map_err(|why| format!("DT_VERDEF {why}"))?;
            info.verdef = self.verdef(table, strings)?;
        }
        Ok(())
    }

    /// Reads the chain of `Verneed` records; follows `vn_next`, not `DT_VERNEEDNUM`, like the loader.
    fn verneed(&mut self, table: FileRange, strings: FileRange) -> Result<Vec<VersionNeed>, String> {
        let mut needs = Vec::new();
        let mut at = 0;
        loop {
            let [_, file, aux, next_need] = self.record(table, at, "DT_VERNEED")?;
            let library = self.read_string(strings, file.into(), "a DT_VERNEED library")?;
            let mut aux_at = advance(at, aux);
            loop {
                let [_, flags_and_index, name, next] = self.record(table, aux_at, "DT_VERNEED")?;
                let version = self.read_string(strings, name.into(), "a needed version")?;
                // `vna_flags` is the first half in memory.
                let flags =
                    flags_and_index >> if self.elf.header.endianness == AnyEndian::Big { 16 } else { 0 };
                let weak = flags & u32::from(abi::VER_FLG_WEAK) != 0;
                // Each version has its own copy of the library's name.
                self.charge_budget(library.len())?;
                needs.push(VersionNeed { library: library.clone(), version, weak });
                if next == 0 {
                    break;
                }
                aux_at = advance(aux_at, next);
            }
            if next_need == 0 {
                return Ok(needs);
            }
            at = advance(at, next_need);
        }
    }

    /// Reads the chain of `Verdef` records; the first `Verdaux` of each is its name, the others are its parents.
    fn verdef(&mut self, table: FileRange, strings: FileRange) -> Result<Vec<String>, String> {
        let mut defs = Vec::new();
        let mut at = 0;
        loop {
            let [_, _, _, aux, next] = self.record(table, at, "DT_VERDEF")?;
            let [name, _] = self.record(table, advance(at, aux), "DT_VERDEF")?;
            defs.push(self.read_string(strings, name.into(), "a defined version")?);
            if next == 0 {
                return Ok(defs);
            }
            at = advance(at, next);
        }
    }

    /// The range of the file at a virtual address, to the end of its segment.
    fn range_at_vaddr(&self, address: u64) -> Result<FileRange, String> {
        let loaded = self.elf.segments.iter().filter(|segment| segment.p_type == abi::PT_LOAD);
        let mut ranges = loaded.filter_map(|segment| {
            let inside = address.checked_sub(segment.p_vaddr)?;
            let start = segment.p_offset.checked_add(inside).filter(|_| inside < segment.p_filesz)?;
            let end = segment.p_offset.saturating_add(segment.p_filesz).min(self.elf.file.size());
            Some(FileRange { offset: start, size: end.checked_sub(start)? })
        });
        ranges
            .next()
            .ok_or_else(|| format!("points to {address:#x}, which is in no loaded segment of the file"))
    }

    /// The range of a segment; `None` if it exceeds the file.
    fn segment_range(&self, segment: &ProgramHeader) -> Option<FileRange> {
        let range = FileRange { offset: segment.p_offset, size: segment.p_filesz };
        range.offset.checked_add(range.size).filter(|end| *end <= self.elf.file.size()).map(|_| range)
    }

    /// A NUL-terminated string of `table`, charged to the budget.
    fn read_string(&mut self, table: FileRange, offset: u64, what: &str) -> Result<String, String> {
        let Some(left) = table.size.checked_sub(offset) else {
            return Err(format!("{what} names offset {offset:#x}, past its string table"));
        };
        let start = table.offset.saturating_add(offset);
        let window = start..start.saturating_add(left.min(MAX_NAME as u64));
        let Some(bytes) = self.elf.file.read_string_at(window) else {
            return Err(format!("{what} names a string without an end at offset {offset:#x}"));
        };
        self.charge_budget(bytes.len() + 16)?;
        Ok(lossless_text::from_bytes(bytes).into_owned())
    }

    /// The 32-bit words of a record of symbol versions; two 16-bit fields are one word.
    fn record<const WORDS: usize>(
        &self,
        table: FileRange,
        at: u64,
        what: &str,
    ) -> Result<[u32; WORDS], String> {
        let size = 4 * WORDS as u64;
        let is_inside = at.checked_add(size).is_some_and(|end| end <= table.size);
        let offset = table.offset.checked_add(at).filter(|_| is_inside);
        let bytes = offset
            .and_then(|offset| self.elf.file.read_bytes_at(offset, size))
            .ok_or_else(|| format!("{what} runs out of its segment"))?;
        let (mut words, mut read) = ([0; WORDS], 0);
        for word in &mut words {
            let parsed = self.elf.header.endianness.parse_u32_at(&mut read, bytes);
            *word = parsed.map_err(|error| format!("{what}: {error}"))?;
        }
        Ok(words)
    }

    fn charge_budget(&mut self, cost: usize) -> Result<(), String> {
        let left = self.name_bytes_left.checked_sub(cost);
        self.name_bytes_left =
            left.ok_or_else(|| format!("it has more than {NAME_BUDGET} bytes of names"))?;
        Ok(())
    }
}

/// The position of the next record of a chain; past the end of any table if it overflows.
fn advance(at: u64, by: u32) -> u64 {
    at.saturating_add(by.into())
}

fn search_path(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { text.split(':').map(str::to_owned).collect() }
}
