//! The fields of an ELF file: first class, byte order and machine (`64l62`), then one letter and a value each.
//!
//! `y` dynamic, `x` no default directories, `h` legacy hwcaps, `U` the reason why the loader stops at it, `I`
//! interpreter, `S` soname, `N` needed, `F` a filter and `G` an auxiliary filter with its position, `R` rpath, `r` an
//! empty runpath, `P` runpath, `D` a defined version, `B` a built-in directory, `E` the path of a program that it
//! starts, `Z` the systemd version. `V` names a library, followed by its needed versions `v` or `w` (weak). `L` starts a
//! dlopen note with its priority (`r`, `c`, `s`) and feature; `T` is its description and `A` a soname of it.

use super::{Fields, number, push_field, unescape};
use crate::elf::{DlopenNote, DlopenPriority, ElfInfo, Filtee, FilterKind, VersionNeed};

pub(super) fn push_elf_fields(text: &mut String, info: &ElfInfo) {
    let (bits, order) = (if info.is_64 { 64 } else { 32 }, if info.big_endian { 'b' } else { 'l' });
    text.push_str(&format!("\t{bits}{order}{}", info.machine));
    for (flag, set) in [
        ("\ty", info.has_dynamic_section),
        ("\tx", info.nodeflib),
        ("\th", info.searches_legacy_hwcaps),
        ("\tr", info.runpath.as_ref().is_some_and(Vec::is_empty)),
    ] {
        text.push_str(if set { flag } else { "" });
    }
    for (tag, values) in [
        ("U", info.unloadable_reason.as_slice()),
        ("I", info.interp.as_slice()),
        ("S", info.soname.as_slice()),
        ("N", &info.needed),
        ("R", &info.rpath),
        ("P", info.runpath.as_deref().unwrap_or_default()),
        ("D", &info.verdef),
        ("B", &info.system_dirs),
        ("E", &info.exec_paths),
        ("Z", info.systemd_version.as_slice()),
    ] {
        values.iter().for_each(|value| push_field(text, tag, value));
    }
    for filter in &info.filters {
        let tag = if filter.kind == FilterKind::Filter { "F" } else { "G" };
        push_field(text, tag, &format!("{} {}", filter.position, filter.name));
    }
    let mut library = None;
    for need in &info.verneed {
        if library != Some(&need.library) {
            push_field(text, "V", &need.library);
            library = Some(&need.library);
        }
        push_field(text, if need.weak { "w" } else { "v" }, &need.version);
    }
    for note in &info.dlopen_notes {
        let tag = match note.priority {
            DlopenPriority::Required => "Lr",
            DlopenPriority::Recommended => "Lc",
            DlopenPriority::Suggested => "Ls",
        };
        push_field(text, tag, &note.feature);
        push_field(text, "T", &note.description);
        note.sonames.iter().for_each(|soname| push_field(text, "A", soname));
    }
}

pub(super) fn parse_elf_fields(fields: &mut Fields<'_>) -> Result<ElfInfo, String> {
    let mut info = parse_class_and_machine(fields.next().unwrap_or_default())
        .ok_or("class, byte order and machine are missing")?;
    let mut library = String::new();
    while let Some(field) = fields.next() {
        let tag = *field.as_bytes().first().ok_or("a field is empty")?;
        // A tag that is not ASCII is unknown; slicing after it could fail.
        let Some(rest) = field.get(1..) else { return Err(format!("{field:?} is not an ELF field")) };
        let value = unescape(rest)?.into_owned();
        match tag {
            b'y' => info.has_dynamic_section = true,
            b'x' => info.nodeflib = true,
            b'I' => info.interp = Some(value),
            b'S' => info.soname = Some(value),
            b'N' => info.needed.push(value),
            b'R' => info.rpath.push(value),
            b'P' => info.runpath.get_or_insert_default().push(value),
            b'r' => info.runpath = Some(Vec::new()),
            b'h' => info.searches_legacy_hwcaps = true,
            b'U' => info.unloadable_reason = Some(value),
            b'F' => info.filters.push(parse_filter(&value, FilterKind::Filter)?),
            b'G' => info.filters.push(parse_filter(&value, FilterKind::Auxiliary)?),
            b'D' => info.verdef.push(value),
            b'B' => info.system_dirs.push(value),
            b'E' => info.exec_paths.push(value),
            b'Z' => info.systemd_version = Some(value),
            b'V' => library = value,
            b'v' | b'w' => {
                let need = VersionNeed { library: library.clone(), version: value, weak: tag == b'w' };
                info.verneed.push(need);
            }
            b'L' => info.dlopen_notes.push(parse_note(&value)?),
            b'T' => last_note(&mut info)?.description = value,
            b'A' => last_note(&mut info)?.sonames.push(value),
            _ => return Err(format!("{field:?} is not an ELF field")),
        }
    }
    Ok(info)
}

fn parse_class_and_machine(field: &str) -> Option<ElfInfo> {
    let (class, machine) = field.split_at_checked(3)?;
    let (is_64, big_endian) = match class {
        "64l" => (true, false),
        "64b" => (true, true),
        "32l" => (false, false),
        "32b" => (false, true),
        _ => return None,
    };
    let machine = number(machine, 10).and_then(|machine| u16::try_from(machine).ok())?;
    Some(ElfInfo { is_64, big_endian, machine, ..ElfInfo::default() })
}

fn parse_filter(value: &str, kind: FilterKind) -> Result<Filtee, String> {
    let split = value.split_once(' ').and_then(|(position, name)| Some((number(position, 10)?, name)));
    let (position, name) = split.ok_or_else(|| format!("{value:?} starts with no position"))?;
    let position = usize::try_from(position).map_err(|error| error.to_string())?;
    Ok(Filtee { name: name.to_owned(), kind, position })
}

fn parse_note(value: &str) -> Result<DlopenNote, String> {
    let priority = match value.chars().next() {
        Some('r') => DlopenPriority::Required,
        Some('c') => DlopenPriority::Recommended,
        Some('s') => DlopenPriority::Suggested,
        _ => return Err(format!("{value:?} starts with no priority")),
    };
    let feature = value[1..].to_owned();
    Ok(DlopenNote { sonames: Vec::new(), feature, description: String::new(), priority })
}

fn last_note(info: &mut ElfInfo) -> Result<&mut DlopenNote, String> {
    info.dlopen_notes.last_mut().ok_or_else(|| "a part of a dlopen note comes before the note".to_owned())
}
