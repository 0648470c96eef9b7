//! The dynamic section through the program headers, for both classes and both byte orders.

use object::elf::{self, FileHeader32, FileHeader64, Verdaux, Verdef, Vernaux, Verneed};
use object::endian::Endianness;
use object::pod;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use super::{ElfInfo, MAGIC, VersionNeed, dlopen};
use crate::name;

/// The bytes of names, and 16 for each, that are kept of one file. glibc's largest library needs 2 KiB of names.
const NAME_BUDGET: usize = 1 << 20;
/// The entries of a dynamic section or of a version chain that are looked at.
const MAX_ENTRIES: usize = 1 << 16;
/// `PATH_MAX` of Linux: a longer name cannot be opened.
const MAX_NAME: usize = 4096;

/// See [`super::parse`].
pub(super) fn parse(bytes: &[u8]) -> Result<ElfInfo, String> {
    if !bytes.starts_with(MAGIC) {
        return Err("it does not start with the ELF magic".into());
    }
    match bytes.get(4) {
        Some(&class) if class == elf::ELFCLASS32.0 => Image::<FileHeader32<Endianness>>::open(bytes)?.info(),
        Some(&class) if class == elf::ELFCLASS64.0 => Image::<FileHeader64<Endianness>>::open(bytes)?.info(),
        Some(class) => Err(format!("ELF class {class} is neither 32-bit (1) nor 64-bit (2)")),
        None => Err(format!("it ends after {} bytes", bytes.len())),
    }
}

/// One file whose headers are sound.
struct Image<'a, E: FileHeader> {
    bytes: &'a [u8],
    header: &'a E,
    endian: E::Endian,
    segments: &'a [E::ProgramHeader],
    budget: usize,
}

/// The entries of the dynamic section that matter here; of a tag given twice the last counts, as for the loader.
#[derive(Default)]
struct Dynamic {
    strtab: u64,
    strsz: Option<u64>,
    needed: Vec<u64>,
    soname: Option<u64>,
    rpath: Option<u64>,
    runpath: Option<u64>,
    flags_1: u64,
    verneed: Option<u64>,
    verdef: Option<u64>,
}

impl<'a, E: FileHeader<Endian = Endianness>> Image<'a, E> {
    fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let header = E::parse(bytes).map_err(|error| error.to_string())?;
        let endian = header.endian().map_err(|error| error.to_string())?;
        let segments = header.program_headers(endian, bytes).map_err(|error| error.to_string())?;
        Ok(Image { bytes, header, endian, segments, budget: NAME_BUDGET })
    }

    fn info(mut self) -> Result<ElfInfo, String> {
        let mut info = ElfInfo {
            is_64: self.header.is_class_64(),
            big_endian: self.header.is_big_endian(),
            machine: self.header.e_machine(self.endian).0,
            interp: self.interp()?,
            ..ElfInfo::default()
        };
        if let Some(dynamic) = self.dynamic()? {
            info.dynamic = true;
            self.read_dynamic(&dynamic, &mut info)?;
        }
        info.dlopen = dlopen::notes(self.header, self.endian, self.segments, self.bytes);
        Ok(info)
    }

    fn interp(&mut self) -> Result<Option<String>, String> {
        let Some(segment) = self.segments.iter().find(|s| s.p_type(self.endian) == elf::PT_INTERP) else {
            return Ok(None);
        };
        let data =
            segment.data(self.endian, self.bytes).map_err(|()| "PT_INTERP lies outside of the file")?;
        self.string(data, 0, "PT_INTERP").map(Some)
    }

    /// The dynamic section: `None` without `PT_DYNAMIC`, and in files of debug data, where it has no bytes.
    fn dynamic(&self) -> Result<Option<Dynamic>, String> {
        // Of several the loader takes the last.
        let Some(segment) = self.segments.iter().rfind(|s| s.p_type(self.endian) == elf::PT_DYNAMIC) else {
            return Ok(None);
        };
        let size: u64 = segment.p_filesz(self.endian).into();
        if size == 0 {
            return Ok(None);
        }
        let data = match self.at_address(segment.p_vaddr(self.endian).into()) {
            Ok(data) => &data[..data.len().min(usize::try_from(size).unwrap_or(usize::MAX))],
            Err(_) => {
                segment.data(self.endian, self.bytes).map_err(|()| "PT_DYNAMIC lies outside of the file")?
            }
        };
        let count = data.len() / size_of::<E::Dyn>();
        let (entries, _) = pod::slice_from_bytes::<E::Dyn>(data, count)
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

    fn read_dynamic(&mut self, dynamic: &Dynamic, info: &mut ElfInfo) -> Result<(), String> {
        info.no_default_dirs = dynamic.flags_1 & elf::DF_1_NODEFLIB.0 != 0;
        let named = [dynamic.soname, dynamic.rpath, dynamic.runpath, dynamic.verneed, dynamic.verdef];
        if dynamic.needed.is_empty() && named.iter().all(Option::is_none) {
            return Ok(());
        }
        let strings = self.at_address(dynamic.strtab).map_err(|why| format!("DT_STRTAB {why}"))?;
        let size = dynamic.strsz.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
        let strings = &strings[..strings.len().min(size)];

        for &offset in &dynamic.needed {
            info.needed.push(self.string(strings, offset, "DT_NEEDED")?);
        }
        if let Some(offset) = dynamic.soname {
            info.soname = Some(self.string(strings, offset, "DT_SONAME")?);
        }
        if let Some(offset) = dynamic.rpath {
            info.rpath = search_path(&self.string(strings, offset, "DT_RPATH")?);
        }
        if let Some(offset) = dynamic.runpath {
            info.runpath = search_path(&self.string(strings, offset, "DT_RUNPATH")?);
        }
        if let Some(address) = dynamic.verneed {
            let table = self.at_address(address).map_err(|why| format!("DT_VERNEED {why}"))?;
            info.version_needs = self.version_needs(table, strings)?;
        }
        if let Some(address) = dynamic.verdef {
            let table = self.at_address(address).map_err(|why| format!("DT_VERDEF {why}"))?;
            info.version_defs = self.version_defs(table, strings)?;
        }
        Ok(())
    }

    /// The chain of `Verneed` records; like the loader it goes by `vn_next`, not by `DT_VERNEEDNUM`.
    fn version_needs(&mut self, table: &'a [u8], strings: &'a [u8]) -> Result<Vec<VersionNeed>, String> {
        let mut needs = Vec::new();
        let mut at = 0;
        loop {
            let need: &Verneed<Endianness> = record(table, at, "DT_VERNEED")?;
            let library =
                self.string(strings, need.vn_file.get(self.endian).into(), "a DT_VERNEED library")?;
            let mut aux_at = step(at, need.vn_aux.get(self.endian))?;
            loop {
                let aux: &Vernaux<Endianness> = record(table, aux_at, "DT_VERNEED")?;
                let version =
                    self.string(strings, aux.vna_name.get(self.endian).into(), "a needed version")?;
                let weak = aux.vna_flags.get(self.endian).0 & elf::VER_FLG_WEAK.0 != 0;
                // The library's name is kept once more with each of its versions.
                self.spend(library.len())?;
                needs.push(VersionNeed { library: library.clone(), version, weak });
                match aux.vna_next.get(self.endian) {
                    0 => break,
                    next => aux_at = step(aux_at, next)?,
                }
            }
            match need.vn_next.get(self.endian) {
                0 => return Ok(needs),
                next => at = step(at, next)?,
            }
        }
    }

    /// The chain of `Verdef` records; the first `Verdaux` of each holds its name, the others its parents.
    fn version_defs(&mut self, table: &'a [u8], strings: &'a [u8]) -> Result<Vec<String>, String> {
        let mut defs = Vec::new();
        let mut at = 0;
        loop {
            let def: &Verdef<Endianness> = record(table, at, "DT_VERDEF")?;
            let aux_at = step(at, def.vd_aux.get(self.endian))?;
            let aux: &Verdaux<Endianness> = record(table, aux_at, "DT_VERDEF")?;
            defs.push(self.string(strings, aux.vda_name.get(self.endian).into(), "a defined version")?);
            match def.vd_next.get(self.endian) {
                0 => return Ok(defs),
                next => at = step(at, next)?,
            }
        }
    }

    /// The bytes of the file that stand at a virtual address, to the end of their segment.
    fn at_address(&self, address: u64) -> Result<&'a [u8], String> {
        self.segments
            .iter()
            .filter(|segment| segment.p_type(self.endian) == elf::PT_LOAD)
            .find_map(|segment| {
                let inside = address.checked_sub(segment.p_vaddr(self.endian).into())?;
                let (offset, size) = segment.file_range(self.endian);
                if inside >= size {
                    return None;
                }
                let start = usize::try_from(offset.checked_add(inside)?).ok()?;
                let end = usize::try_from(offset.saturating_add(size)).unwrap_or(usize::MAX);
                self.bytes.get(start..end.min(self.bytes.len()))
            })
            .ok_or_else(|| format!("points to {address:#x}, which no loaded segment of the file holds"))
    }

    /// A NUL-terminated string of `table`, paid for from the budget.
    fn string(&mut self, table: &[u8], offset: u64, what: &str) -> Result<String, String> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| table.get(offset..))
            .ok_or_else(|| format!("{what} names offset {offset:#x}, past its string table"))?;
        let window = &rest[..rest.len().min(MAX_NAME)];
        let Some(length) = window.iter().position(|&byte| byte == 0) else {
            return Err(format!("{what} names a string without an end at offset {offset:#x}"));
        };
        self.spend(length + 16)?;
        Ok(name::from_bytes(&window[..length]).into_owned())
    }

    fn spend(&mut self, cost: usize) -> Result<(), String> {
        let left = self.budget.checked_sub(cost);
        self.budget = left.ok_or_else(|| format!("it holds more than {NAME_BUDGET} bytes of names"))?;
        Ok(())
    }
}

fn record<'a, T: pod::Pod>(table: &'a [u8], at: usize, what: &str) -> Result<&'a T, String> {
    table
        .get(at..)
        .and_then(|rest| pod::from_bytes(rest).ok())
        .map(|(record, _)| record)
        .ok_or_else(|| format!("{what} runs out of its segment"))
}

fn step(at: usize, by: u32) -> Result<usize, String> {
    usize::try_from(by)
        .ok()
        .and_then(|by| at.checked_add(by))
        .ok_or_else(|| "a version chain overflows".to_owned())
}

fn search_path(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { text.split(':').map(str::to_owned).collect() }
}
