//! Parser of the dynamic section through the program headers, for both classes and both byte orders.

use object::elf::{self, FileHeader32, FileHeader64, Verdaux, Verdef, Vernaux, Verneed};
use object::endian::Endianness;
use object::pod::Pod;
use object::read::ReadRef;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use super::partial_file::PartialFile;
use super::{ElfInfo, Filtee, FilterKind, MAGIC, VersionNeed, dlopen_note};
use crate::lossless_text;

/// The bytes of names, and 16 for each, that are stored of one file. glibc's largest library needs 2 KiB of names, and
/// a thousand files may be in memory.
const NAME_BUDGET: usize = 1 << 16;
/// The entries of a dynamic section or of a version chain that are read.
const MAX_ENTRIES: usize = 1 << 16;
/// `PATH_MAX` of Linux: a longer name cannot be opened.
const MAX_NAME: usize = 4096;

/// See [`super::parse_headers`]. An error can also mean that a part of the file was not read: see
/// [`PartialFile::missed_windows`].
pub(super) fn parse(file: &PartialFile) -> Result<ElfInfo, String> {
    let size = file.len().unwrap_or_default();
    match file.read_bytes_at(0, size.min(5)) {
        Ok([magic @ .., class]) if magic == MAGIC && *class == elf::ELFCLASS32.0 => {
            ElfFile::<FileHeader32<Endianness>>::open(file)?.info()
        }
        Ok([magic @ .., class]) if magic == MAGIC && *class == elf::ELFCLASS64.0 => {
            ElfFile::<FileHeader64<Endianness>>::open(file)?.info()
        }
        Ok([magic @ .., class]) if magic == MAGIC => {
            Err(format!("ELF class {class} is neither 32-bit (1) nor 64-bit (2)"))
        }
        Ok(start) if start == MAGIC => Err(format!("it ends after {size} bytes")),
        _ => Err("it does not start with the ELF magic".into()),
    }
}

/// One ELF file with valid headers.
struct ElfFile<'a, E: FileHeader> {
    file: &'a PartialFile,
    header: &'a E,
    endian: E::Endian,
    segments: &'a [E::ProgramHeader],
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

impl<'a, E: FileHeader<Endian = Endianness>> ElfFile<'a, E> {
    fn open(file: &'a PartialFile) -> Result<Self, String> {
        let header = E::parse(file).map_err(|error| error.to_string())?;
        let endian = header.endian().map_err(|error| error.to_string())?;
        let segments = header.program_headers(endian, file).map_err(|error| error.to_string())?;
        Ok(ElfFile { file, header, endian, segments, name_bytes_left: NAME_BUDGET })
    }

    fn info(mut self) -> Result<ElfInfo, String> {
        let mut info = ElfInfo {
            is_64: self.header.is_class_64(),
            big_endian: self.header.is_big_endian(),
            machine: self.header.e_machine(self.endian).0,
            interp: self.interp()?,
            unloadable_reason: self.unloadable_reason(),
            ..ElfInfo::default()
        };
        if let Some(dynamic) = self.read_dynamic_entries()? {
            info.has_dynamic_section = true;
            self.fill_from_dynamic(&dynamic, &mut info)?;
        }
        info.dlopen_notes =
            dlopen_note::read_dlopen_notes(self.header, self.endian, self.segments, self.file);
        Ok(info)
    }

    /// The reason why the loader stops at a file of its own class and machine (glibc `open_verify`).
    fn unloadable_reason(&self) -> Option<String> {
        let kind = self.header.e_type(self.endian);
        let abi = self.header.e_ident().os_abi;
        if kind != elf::ET_DYN && kind != elf::ET_EXEC {
            Some(format!("its ELF type is {}, not a program or shared library", kind.0))
        } else if abi != elf::ELFOSABI_NONE && abi != elf::ELFOSABI_GNU {
            Some(format!("its ELF OS ABI is {}, not that of Linux", abi.0))
        } else {
            None
        }
    }

    fn interp(&mut self) -> Result<Option<String>, String> {
        let Some(segment) = self.segments.iter().find(|s| s.p_type(self.endian) == elf::PT_INTERP) else {
            return Ok(None);
        };
        let part = self.segment_range(segment).ok_or("PT_INTERP is outside of the file")?;
        self.read_string(part, 0, "PT_INTERP").map(Some)
    }

    /// The dynamic section: `None` without `PT_DYNAMIC`, and in files of debug data, where it has no bytes.
    fn read_dynamic_entries(&self) -> Result<Option<Dynamic>, String> {
        // Of several the loader uses the last.
        let Some(segment) = self.segments.iter().rfind(|s| s.p_type(self.endian) == elf::PT_DYNAMIC) else {
            return Ok(None);
        };
        let size: u64 = segment.p_filesz(self.endian).into();
        if size == 0 {
            return Ok(None);
        }
        let part = match self.range_at_vaddr(segment.p_vaddr(self.endian).into()) {
            Ok(part) => FileRange { size: part.size.min(size), ..part },
            Err(_) => self.segment_range(segment).ok_or("PT_DYNAMIC is outside of the file")?,
        };
        // One more than the limit, to detect a section that does not end.
        let count = (part.size / size_of::<E::Dyn>() as u64).min(MAX_ENTRIES as u64 + 1) as usize;
        let entries: &[E::Dyn] = self
            .file
            .read_slice_at(part.offset, count)
            .map_err(|()| "the dynamic section cannot be read".to_owned())?;
        let mut dynamic = Dynamic::default();
        for (seen, entry) in entries.iter().enumerate() {
            let value = entry.val(self.endian);
            match entry.tag(self.endian) {
                elf::DT_NULL => break,
                _ if seen == MAX_ENTRIES => return Err("the dynamic section does not end".into()),
                elf::DT_STRTAB => dynamic.strtab = value,
                elf::DT_STRSZ => dynamic.strsz = Some(value),
                elf::DT_NEEDED => dynamic.needed.push(value),
                elf::DT_FILTER => dynamic.filters.push((value, FilterKind::Filter, dynamic.needed.len())),
                elf::DT_AUXILIARY => {
                    dynamic.filters.push((value, FilterKind::Auxiliary, dynamic.needed.len()));
                }
                elf::DT_SONAME => dynamic.soname = Some(value),
                elf::DT_RPATH => dynamic.rpath = Some(value),
                elf::DT_RUNPATH => dynamic.runpath = Some(value),
                elf::DT_FLAGS_1 => dynamic.flags_1 = value,
                elf::DT_VERNEED => dynamic.verneed = Some(value),
                elf::DT_VERDEF => dynamic.verdef = Some(value),
                _ => {}
            }
        }
        Ok(Some(dynamic))
    }

    fn fill_from_dynamic(&mut self, dynamic: &Dynamic, info: &mut ElfInfo) -> Result<(), String> {
        info.nodeflib = dynamic.flags_1 & elf::DF_1_NODEFLIB.0 != 0;
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
            let need: &Verneed<Endianness> = self.record(table, at, "DT_VERNEED")?;
            let library =
                self.read_string(strings, need.vn_file.get(self.endian).into(), "a DT_VERNEED library")?;
            let mut aux_at = checked_offset(at, need.vn_aux.get(self.endian))?;
            loop {
                let aux: &Vernaux<Endianness> = self.record(table, aux_at, "DT_VERNEED")?;
                let version =
                    self.read_string(strings, aux.vna_name.get(self.endian).into(), "a needed version")?;
                let weak = aux.vna_flags.get(self.endian).0 & elf::VER_FLG_WEAK.0 != 0;
                // Each version has its own copy of the library's name.
                self.charge_budget(library.len())?;
                needs.push(VersionNeed { library: library.clone(), version, weak });
                match aux.vna_next.get(self.endian) {
                    0 => break,
                    next => aux_at = checked_offset(aux_at, next)?,
                }
            }
            match need.vn_next.get(self.endian) {
                0 => return Ok(needs),
                next => at = checked_offset(at, next)?,
            }
        }
    }

    /// Reads the chain of `Verdef` records; the first `Verdaux` of each is its name, the others are its parents.
    fn verdef(&mut self, table: FileRange, strings: FileRange) -> Result<Vec<String>, String> {
        let mut defs = Vec::new();
        let mut at = 0;
        loop {
            let def: &Verdef<Endianness> = self.record(table, at, "DT_VERDEF")?;
            let aux_at = checked_offset(at, def.vd_aux.get(self.endian))?;
            let aux: &Verdaux<Endianness> = self.record(table, aux_at, "DT_VERDEF")?;
            defs.push(self.read_string(
                strings,
                aux.vda_name.get(self.endian).into(),
                "a defined version",
            )?);
            match def.vd_next.get(self.endian) {
                0 => return Ok(defs),
                next => at = checked_offset(at, next)?,
            }
        }
    }

    /// The range of the file at a virtual address, to the end of its segment.
    fn range_at_vaddr(&self, address: u64) -> Result<FileRange, String> {
        let loaded = self.segments.iter().filter(|segment| segment.p_type(self.endian) == elf::PT_LOAD);
        let mut ranges = loaded.filter_map(|segment| {
            let inside = address.checked_sub(segment.p_vaddr(self.endian).into())?;
            let (offset, size) = segment.file_range(self.endian);
            let start = offset.checked_add(inside).filter(|_| inside < size)?;
            let end = offset.saturating_add(size).min(self.size());
            Some(FileRange { offset: start, size: end.checked_sub(start)? })
        });
        ranges
            .next()
            .ok_or_else(|| format!("points to {address:#x}, which is in no loaded segment of the file"))
    }

    /// The range of a segment; `None` if it exceeds the file.
    fn segment_range(&self, segment: &E::ProgramHeader) -> Option<FileRange> {
        let (offset, size) = segment.file_range(self.endian);
        offset.checked_add(size).filter(|end| *end <= self.size()).map(|_| FileRange { offset, size })
    }

    fn size(&self) -> u64 {
        self.file.len().unwrap_or_default()
    }

    /// A NUL-terminated string of `table`, charged to the budget.
    fn read_string(&mut self, table: FileRange, offset: u64, what: &str) -> Result<String, String> {
        let Some(left) = table.size.checked_sub(offset) else {
            return Err(format!("{what} names offset {offset:#x}, past its string table"));
        };
        let start = table.offset.saturating_add(offset);
        let window = start..start.saturating_add(left.min(MAX_NAME as u64));
        let Ok(bytes) = self.file.read_bytes_at_until(window, 0) else {
            return Err(format!("{what} names a string without an end at offset {offset:#x}"));
        };
        self.charge_budget(bytes.len() + 16)?;
        Ok(lossless_text::from_bytes(bytes).into_owned())
    }

    fn record<T: Pod>(&self, table: FileRange, at: usize, what: &str) -> Result<&'a T, String> {
        let end = (at as u64).checked_add(size_of::<T>() as u64).filter(|end| *end <= table.size);
        let offset = end.and_then(|_| table.offset.checked_add(at as u64));
        offset
            .and_then(|offset| self.file.read_at(offset).ok())
            .ok_or_else(|| format!("{what} runs out of its segment"))
    }

    fn charge_budget(&mut self, cost: usize) -> Result<(), String> {
        let left = self.name_bytes_left.checked_sub(cost);
        self.name_bytes_left =
            left.ok_or_else(|| format!("it has more than {NAME_BUDGET} bytes of names"))?;
        Ok(())
    }
}

fn checked_offset(at: usize, by: u32) -> Result<usize, String> {
    usize::try_from(by)
        .ok()
        .and_then(|by| at.checked_add(by))
        .ok_or_else(|| "a version chain overflows".to_owned())
}

fn search_path(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { text.split(':').map(str::to_owned).collect() }
}
