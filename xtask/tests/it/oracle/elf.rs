//! Comparison with `readelf` on the programs and libraries of this machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use usr::{
    ElfInfo, FileInfo, UsrPath,
    elf::{self, FilterKind},
    file_info,
};

use super::output;
use super::release::{Release, read_tree};

/// ELF files of this machine, a bounded number per directory.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in [
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib/systemd",
    ] {
        let Ok(entries) = fs::read_dir(directory) else { continue };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let is_elf = |path: &PathBuf| {
            let regular =
                fs::symlink_metadata(path).is_ok_and(|what| what.is_file() && what.len() < 256 << 20);
            regular && fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF"))
        };
        found.extend(paths.into_iter().filter(is_elf).take(120));
    }
    found
}

/// Bracketed values of the dynamic section entries with this tag.
fn tagged<'a>(dynamic: &'a str, tag: &str) -> Vec<&'a str> {
    let tag = format!("({tag})");
    let lines = dynamic.lines().filter(|line| line.contains(&tag));
    lines.filter_map(|line| line.split_once('[')?.1.rsplit_once(']').map(|(inner, _)| inner)).collect()
}

/// Version needs as `file: version`, and the names of version definitions, from `readelf -V`.
fn versions(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut needs, mut definitions, mut library, mut defines) =
        (BTreeSet::new(), BTreeSet::new(), "", false);
    for line in text.lines() {
        let word_after =
            |label: &str| line.split_once(label).and_then(|(_, rest)| rest.split_whitespace().next());
        if line.starts_with("Version ") {
            defines = line.starts_with("Version definition");
        } else if let Some(file) = word_after("File: ") {
            library = file;
        } else if let Some(name) = word_after("Name: ") {
            // The second name of a definition is its parent: "Parent 1:".
            if defines {
                definitions.insert(name.to_owned())
            } else {
                needs.insert(format!("{library}: {name}"))
            };
        }
    }
    (needs, definitions)
}

fn compare(path: &Path, info: &ElfInfo) -> Vec<String> {
    let name = path.to_str().unwrap();
    let dynamic = output("readelf", &["-W", "-d", "-l", name]);
    let (needs, definitions) = versions(&output("readelf", &["-W", "-V", name]));
    let mut wrong = Vec::new();
    let mut same = |what: &str, actual: Vec<String>, expected: Vec<String>| {
        if actual != expected {
            wrong.push(format!("{name}: {what}: {actual:?}, readelf says {expected:?}"));
        }
    };
    let expected = |tag: &str| tagged(&dynamic, tag).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let split = |tag: &str| {
        expected(tag)
            .iter()
            .flat_map(|list| list.split(':').map(str::to_owned).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    same("NEEDED", info.needed.clone(), expected("NEEDED"));
    let filters = |kind: FilterKind| {
        let filters = info.filters.iter().filter(|filter| filter.kind == kind);
        filters.map(|filter| filter.name.clone()).collect::<Vec<_>>()
    };
    same("FILTER", filters(FilterKind::Filter), expected("FILTER"));
    same("AUXILIARY", filters(FilterKind::Auxiliary), expected("AUXILIARY"));
    same("SONAME", info.soname.iter().cloned().collect(), expected("SONAME"));
    same("RPATH", info.rpath.clone(), split("RPATH"));
    same("RUNPATH", info.runpath.clone().unwrap_or_default(), split("RUNPATH"));
    let interpreter = dynamic.split_once("interpreter: ").and_then(|(_, rest)| rest.split(']').next());
    same(
        "interpreter",
        info.interp.iter().cloned().collect(),
        interpreter.map(str::to_owned).into_iter().collect(),
    );
    let actual: BTreeSet<String> =
        info.verneed.iter().map(|need| format!("{}: {}", need.library, need.version)).collect();
    same("version needs", actual.into_iter().collect(), needs.into_iter().collect());
    let actual: BTreeSet<String> = info.verdef.iter().cloned().collect();
    same("version definitions", actual.into_iter().collect(), definitions.into_iter().collect());
    wrong
}

#[test]
#[ignore = "needs readelf"]
fn elf_facts_match_readelf() {
    let files = files();
    assert!(files.len() > 100, "{}", files.len());
    let mut wrong = Vec::new();
    for path in &files {
        let bytes = fs::read(path).unwrap();
        // Images are read in parts; reading the whole file must give the same facts.
        let parts = match file_info::inspect(&UsrPath::new("x").unwrap(), &bytes) {
            // The constants of the loader are not in a header.
            FileInfo::Elf(info) => {
                Ok(ElfInfo { system_dirs: Vec::new(), searches_legacy_hwcaps: false, ..*info })
            }
            other => Err(format!("{other:?}")),
        };
        match elf::parse_headers(&bytes) {
            Ok(info) => {
                wrong.extend(compare(path, &info));
                assert_eq!(parts, Ok(info), "{}", path.display());
            }
            Err(why) => wrong.push(format!("{}: {why}", path.display())),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), files.len(), wrong.join("\n"));
    eprintln!("{} ELF files match readelf", files.len());
}

/// Sonames in the dlopen note section, extracted with objcopy and parsed by a separate reader.
fn dlopen_sonames(path: &Path, scratch: &Path) -> Vec<String> {
    let cut = scratch.join("note");
    output("objcopy", &["-O", "binary", "-j", ".note.dlopen", path.to_str().unwrap(), cut.to_str().unwrap()]);
    let bytes = fs::read(&cut).unwrap_or_default();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let padded = |length: usize| length.next_multiple_of(4);
    let (mut at, mut sonames) = (0, Vec::new());
    while at + 12 <= bytes.len() {
        let text = at + 12 + padded(word(at));
        let json: serde_json::Value = serde_json::from_slice(
            bytes[text..text + word(at + 4)].trim_ascii_end().split(|b| *b == 0).next().unwrap(),
        )
        .unwrap();
        for entry in json.as_array().unwrap() {
            sonames.extend(
                entry["soname"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()),
            );
        }
        at = text + padded(word(at + 4));
    }
    sonames
}

#[test]
#[ignore = "needs root, binutils and Debian releases"]
fn elf_facts_of_releases_match_readelf_and_objcopy() {
    let scratch = tempfile::tempdir().unwrap();
    for release in Release::all() {
        let tree = read_tree(&release.usr());
        let (mut wrong, mut files, mut with_notes) = (Vec::new(), 0, 0);
        for (path, _) in tree.iter() {
            let full = release.usr().join(path.as_str());
            match tree.read_file_info(path.as_str()) {
                Some(FileInfo::Elf(info)) => {
                    files += 1;
                    wrong.extend(compare(&full, info));
                    let actual: Vec<&String> =
                        info.dlopen_notes.iter().flat_map(|note| &note.sonames).collect();
                    let expected = dlopen_sonames(&full, scratch.path());
                    with_notes += usize::from(!expected.is_empty());
                    if actual != expected.iter().collect::<Vec<_>>() {
                        wrong.push(format!("{path}: dlopen: {actual:?}, the section holds {expected:?}"));
                    }
                }
                Some(FileInfo::MalformedElf(why)) => wrong.push(format!("{path}: {why}")),
                _ => {}
            }
        }
        assert!(wrong.is_empty(), "{}: {} of {files}:\n{}", release.name, wrong.len(), wrong.join("\n"));
        eprintln!("{}: {files} ELF files match readelf, {with_notes} with dlopen notes", release.name);
    }
}
