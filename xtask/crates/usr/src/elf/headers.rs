//! The headers of an ELF file, for both classes and both byte orders.

use elf::abi;
use elf::endian::AnyEndian;
use elf::file::{Class, ELF32_EHDR_TAILSIZE, ELF64_EHDR_TAILSIZE, FileHeader, parse_ident};
use elf::parse::{ParseAt, ParsingTable};
use elf::section::SectionHeaderTable;
use elf::segment::SegmentTable;

use super::MAGIC;
use super::partial_file::PartialFile;

/// One ELF file with a valid header and program headers.
pub(super) struct Headers<'a> {
    pub(super) file: &'a PartialFile,
    pub(super) header: FileHeader<AnyEndian>,
    pub(super) segments: SegmentTable<'a, AnyEndian>,
}

impl<'a> Headers<'a> {
    /// Reads and checks the header and the program headers.
    pub(super) fn read(file: &'a PartialFile) -> Result<Headers<'a>, String> {
        if file.read_bytes_at(0, MAGIC.len() as u64) != Some(MAGIC) {
            return Err("it does not start with the ELF magic".to_owned());
        }
        let read = |offset: usize, size: usize| {
            let bytes = file.read_bytes_at(offset as u64, size as u64);
            bytes.ok_or_else(|| format!("it ends after {} bytes, inside its ELF header", file.size()))
        };
        let ident = parse_ident(read(0, abi::EI_NIDENT)?).map_err(|error| error.to_string())?;
        let (_, class, ..) = ident;
        let rest = match class {
            Class::ELF32 => read(abi::EI_NIDENT, ELF32_EHDR_TAILSIZE)?,
            Class::ELF64 => read(abi::EI_NIDENT, ELF64_EHDR_TAILSIZE)?,
        };
        let header = FileHeader::parse_tail(ident, rest).map_err(|error| error.to_string())?;
        // The number is that of the file header, as in the loader, which knows no extended one (gABI `PN_XNUM`).
        let segments = read_table(file, &header, header.e_phoff, header.e_phnum, header.e_phentsize)
            .map_err(|error| format!("its program headers are invalid: {error}"))?;
        Ok(Headers { file, header, segments })
    }

    /// The section headers, which a file can have none of.
    pub(super) fn read_sections(&self) -> Result<SectionHeaderTable<'a, AnyEndian>, String> {
        let header = &self.header;
        read_table(self.file, header, header.e_shoff, header.e_shnum, header.e_shentsize)
    }
}

/// A table of headers; offset 0 is a file without it.
fn read_table<'a, T: ParseAt>(
    file: &'a PartialFile,
    header: &FileHeader<AnyEndian>,
    offset: u64,
    count: u16,
    entry_size: u16,
) -> Result<ParsingTable<'a, AnyEndian, T>, String> {
    let mut bytes: &[u8] = &[];
    if offset != 0 && count != 0 {
        let entry_size = T::validate_entsize(header.class, entry_size.into());
        let entry_size = entry_size.map_err(|error| error.to_string())? as u64;
        bytes = file
            .read_bytes_at(offset, u64::from(count) * entry_size)
            .ok_or_else(|| format!("{count} entries at {offset:#x} exceed the file"))?;
    }
    Ok(ParsingTable::new(header.endianness, header.class, bytes))
}
