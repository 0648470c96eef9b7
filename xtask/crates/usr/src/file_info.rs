//! The content info of a file: what the rules need of its content, without its bytes.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::elf::{self, ElfInfo};
use super::known_execs::known_execs;
use super::lossless_text;
use super::path::UsrPath;
use coreos_types::{Error, Result};

/// Reads files of an image for a [`UsrTree`](super::tree::UsrTree), once each.
pub trait FileInfoReader: Send + Sync {
    /// The content infos of these regular files, in any order.
    ///
    /// # Errors
    /// The data of a file is malformed, or cannot be read.
    fn read_infos(&self, paths: &[UsrPath]) -> Result<Vec<(UsrPath, FileInfo)>>;
}

/// The content info of one regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileInfo {
    /// An ELF file.
    Elf(Box<ElfInfo>),
    /// A script: the text after `#!` on its first line, as the kernel reads it (execve(2)), without leading and trailing
    /// blanks. A carriage return is kept: for the kernel it is a part of the interpreter's name or argument.
    Script(String),
    /// A text that checks read: os-release and similar files, units.
    Text(String),
    /// Any other file.
    Other,
    /// A file with the ELF magic that cannot be parsed; the parser's error.
    MalformedElf(String),
}

impl FileInfo {
    /// The approximate bytes of memory for its text and names.
    pub fn memory(&self) -> usize {
        match self {
            FileInfo::Elf(info) => info.memory(),
            FileInfo::Script(text) | FileInfo::Text(text) | FileInfo::MalformedElf(text) => text.len(),
            FileInfo::Other => 0,
        }
    }
}

/// The maximum length of a [`FileInfo::Text`], in bytes.
const MAX_TEXT: usize = 64 << 10;

/// The bytes that are read of every file: more than `MAX_TEXT`, so that longer texts are detected, and usually all headers.
const HEAD_LEN: u64 = 128 << 10;

/// The paths of programs that are stored of one file, and their length (`PATH_MAX`).
const MAX_EXEC_PATHS: usize = 16;
const MAX_PATH: usize = 4096;

/// The directories of one loader. glibc has two to four.
const MAX_SYSTEM_DIRS: usize = 64;

/// The size of a file that is searched for strings; real loaders and systemds have a tenth of it.
const MAX_SEARCHED: u64 = 32 << 20;

/// The memory for the content infos of all files of a tree. Those of a whole Debian release take 0.7 MiB.
const MAX_MEMORY: usize = 16 << 20;

/// The bytes of all files of a tree that are read for it: of each file 128 KiB, of an ELF file a little more, of a loader
/// all. For a whole Debian release that is 36 MiB.
pub const MAX_READ: u64 = 512 << 20;

/// What may still be read of the files of one tree. Threads share it.
#[derive(Debug)]
pub struct ReadBudget {
    memory_left: AtomicUsize,
    bytes_left: AtomicU64,
}

impl ReadBudget {
    /// The limits for one tree; `max_read` is [`MAX_READ`], except in tests.
    pub fn new(max_read: u64) -> ReadBudget {
        ReadBudget { memory_left: AtomicUsize::new(MAX_MEMORY), bytes_left: AtomicU64::new(max_read) }
    }

    /// As [`inspect_parts`].
    ///
    /// # Errors
    /// Those of `fetch`, and Failed (2) above a limit.
    pub fn inspect_parts(
        &self,
        path: &UsrPath,
        size: u64,
        mut fetch: impl FnMut(Range<u64>) -> Result<Vec<u8>>,
    ) -> Result<FileInfo> {
        let too_large = |what: &str| Error::failed(format!("the files of this usr are too large: {what}"));
        let (order, count) = (Ordering::Relaxed, |part: &Range<u64>| part.end - part.start);
        let info = inspect_parts(path, size, |part| {
            let is_within = |left: u64| left.checked_sub(count(&part));
            if self.bytes_left.fetch_update(order, order, is_within).is_err() {
                return Err(too_large("headers and loaders have more than 512 MiB"));
            }
            fetch(part)
        })?;
        let memory = info.memory();
        if self.memory_left.fetch_update(order, order, |left| left.checked_sub(memory)).is_err() {
            return Err(too_large("names in ELF files, units and similar texts have more than 16 MiB"));
        }
        Ok(info)
    }
}

/// The content info of the file at `path` with the content `bytes`.
pub fn inspect(path: &UsrPath, bytes: &[u8]) -> FileInfo {
    let part = |range: Range<u64>| {
        let inside = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        Ok::<_, Infallible>(bytes[inside(range.start)..inside(range.end)].to_vec())
    };
    let Ok(info) = inspect_parts(path, bytes.len() as u64, part);
    info
}

/// The content info of a file of `size` bytes, of which `fetch` returns parts: the start, and of an ELF
/// file the parts that the loader reads.
pub fn inspect_parts<E>(
    path: &UsrPath,
    size: u64,
    mut fetch: impl FnMut(Range<u64>) -> std::result::Result<Vec<u8>, E>,
) -> std::result::Result<FileInfo, E> {
    let start = fetch(0..size.min(HEAD_LEN))?;
    if !start.starts_with(elf::MAGIC) {
        return Ok(inspect_non_elf(path, &start));
    }
    match elf::parse_parts(size, start, &mut fetch)? {
        Ok(mut info) => {
            if needs_string_scan(path, &info) && size <= MAX_SEARCHED {
                scan_strings(path, &fetch(0..size)?, &mut info);
            }
            Ok(FileInfo::Elf(Box::new(info)))
        }
        Err(why) => Ok(FileInfo::MalformedElf(why)),
    }
}

/// The content info of a file that is not ELF, from its first bytes.
fn inspect_non_elf(path: &UsrPath, bytes: &[u8]) -> FileInfo {
    if let Some(interpreter) = shebang_text(bytes) {
        return FileInfo::Script(interpreter);
    }
    if is_read_as_text(path) && bytes.len() <= MAX_TEXT {
        return FileInfo::Text(lossless_text::from_bytes(bytes).into_owned());
    }
    FileInfo::Other
}

/// Whether the file at this path is read as a text: os-release and similar files, and units with their drop-ins.
fn is_read_as_text(path: &UsrPath) -> bool {
    match path.as_str() {
        "share/coreos/release" | "share/flatcar/release" => true,
        // lib/os-release can be a symlink to a file of a longer name (`os-release.d/os-release-coreos`).
        _ if path.name().starts_with("os-release") => true,
        // A unit can be a symlink to a file outside of the directories of units.
        _ if [".service", ".socket"].iter().any(|end| path.name().ends_with(end)) => true,
        text => {
            let inside = |scope: &str| text.split_once(scope).is_some_and(|(above, _)| !above.is_empty());
            inside("/systemd/system/") || inside("/systemd/user/")
        }
    }
}

/// The bytes of the first line that Linux reads (execve(2), `BINPRM_BUF_SIZE`).
const MAX_SHEBANG: usize = 256;

fn shebang_text(bytes: &[u8]) -> Option<String> {
    let rest = bytes.strip_prefix(b"#!")?;
    let rest = &rest[..rest.len().min(MAX_SHEBANG)];
    let line = rest.split(|&byte| matches!(byte, b'\n' | 0)).next()?;
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = line.iter().position(|byte| !is_blank(byte))?;
    let end = line.iter().rposition(|byte| !is_blank(byte))?;
    Some(lossless_text::from_bytes(&line[start..=end]).into_owned())
}

/// Whether the file's strings are searched: a loader, systemd, and programs that start others.
fn needs_string_scan(path: &UsrPath, info: &ElfInfo) -> bool {
    is_loader(path, info) || is_systemd_program(path.as_str()) || known_execs(path).next().is_some()
}

fn scan_strings(path: &UsrPath, bytes: &[u8], info: &mut ElfInfo) {
    if is_loader(path, info) {
        info.system_dirs = find_system_dirs(bytes);
        info.searches_legacy_hwcaps = has_legacy_hwcaps(bytes);
    }
    if is_systemd_program(path.as_str()) {
        info.systemd_version = find_systemd_version(bytes);
    }
    info.exec_paths = find_exec_paths(path, bytes);
}

fn is_loader(path: &UsrPath, info: &ElfInfo) -> bool {
    info.interp.is_none()
        && (is_loader_name(path.name()) || info.soname.as_deref().is_some_and(is_loader_name))
}

/// Whether a dynamic loader has this file name or soname: `ld-linux-x86-64.so.2`, `ld-2.31.so`, `ld64.so.2`.
pub fn is_loader_name(name: &str) -> bool {
    ["ld-", "ld.so", "ld64.so"].iter().any(|start| name.starts_with(start))
}

/// Whether the path is the systemd program, process 1, in any library directory. Its libraries have the version in their
/// names, and take long to search.
pub fn is_systemd_program(path: &str) -> bool {
    path.starts_with("lib") && path.ends_with("/systemd/systemd")
}

/// The directories built into glibc's loader (`elf/dl-load.c`, `system_dirs`): consecutive NUL-terminated
/// absolute paths, each with a trailing slash. The result is the longest such run of library directories.
fn find_system_dirs(bytes: &[u8]) -> Vec<String> {
    let (mut best, mut run) = (Vec::new(), Vec::new());
    for text in strings(bytes) {
        match library_directory(text) {
            Some(directory) if run.len() < MAX_SYSTEM_DIRS => run.push(directory),
            Some(_) => {}
            None => run.clear(),
        }
        if run.len() > best.len() {
            best.clone_from(&run);
        }
    }
    best.into_iter().map(str::to_owned).collect()
}

/// The NUL-terminated strings of a file.
fn strings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    bytes.split_inclusive(|byte| *byte == 0).filter_map(|text| text.strip_suffix(&[0]))
}

/// Whether a loader is of glibc before 2.37, which searches `tls` and `x86_64` below each directory. A loader since 2.33
/// has the string `glibc-hwcaps`, and up to 2.36 its `--help` has a heading for the other subdirectories.
fn has_legacy_hwcaps(bytes: &[u8]) -> bool {
    position(bytes, b"glibc-hwcaps").is_none() || position(bytes, b"Legacy HWCAP subdirectories").is_some()
}

fn position(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// The text, if it is a library directory with a trailing slash.
fn library_directory(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() < 256)?;
    let inner = text.strip_prefix('/')?.strip_suffix('/')?;
    let is_library = inner.rsplit('/').take(2).any(|component| component.starts_with("lib"));
    (is_library && !inner.contains(char::is_whitespace)).then_some(text)
}

/// The absolute paths in a program's strings that end with the name of a program that it is known to start.
fn find_exec_paths(path: &UsrPath, bytes: &[u8]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for row in known_execs(path) {
        let end = format!("/{}", row.program);
        let is_path =
            |text: &&[u8]| text.starts_with(b"/") && text.ends_with(end.as_bytes()) && text.len() <= MAX_PATH;
        for path in strings(bytes).filter(is_path).filter_map(|text| std::str::from_utf8(text).ok()) {
            if found.len() < MAX_EXEC_PATHS && !found.iter().any(|known| known == path) {
                found.push(path.to_owned());
            }
        }
    }
    found
}

/// The version in `systemd 252 (252.39-1)`, `systemd 229 running in …`, or `systemd 229` as a separate string.
fn find_systemd_version(bytes: &[u8]) -> Option<String> {
    const NEEDLE: &[u8] = b"systemd ";
    let mut rest = bytes;
    while let Some(at) = position(rest, NEEDLE) {
        rest = &rest[at + NEEDLE.len()..];
        let window = &rest[..rest.len().min(160)];
        if window.first().is_some_and(u8::is_ascii_digit)
            && let Some(version) = version_at(window)
        {
            return Some(version);
        }
    }
    None
}

fn version_at(window: &[u8]) -> Option<String> {
    let word = |bytes: &[u8]| -> String {
        let plain = |byte: &&u8| byte.is_ascii_alphanumeric() || b".~+-_".contains(byte);
        bytes.iter().take_while(plain).map(|&byte| char::from(byte)).collect()
    };
    let version = word(window);
    let rest = &window[version.len()..];
    if let Some(detailed) = rest.strip_prefix(b" (").map(word).filter(|text| text.starts_with(&version)) {
        return Some(detailed);
    }
    (rest.starts_with(b" running in") || matches!(rest.first(), None | Some(0 | b'\n'))).then_some(version)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn path(text: &str) -> UsrPath {
        UsrPath::new(text).unwrap()
    }

    #[test]
    fn content_takes_precedence_over_path() {
        let info = |at: &str, bytes: &[u8]| inspect(&path(at), bytes);
        assert_eq!(info("bin/x", b"#! /bin/sh -e \n"), FileInfo::Script("/bin/sh -e".into()));
        assert_eq!(
            info("bin/x", b"#!/usr/bin/env python3\r\n"),
            FileInfo::Script("/usr/bin/env python3\r".into())
        );
        assert_eq!(info("bin/x", b"#!\n/bin/sh"), FileInfo::Other);
        assert_eq!(info("lib64/os-release", b"ID=coreos\n"), FileInfo::Text("ID=coreos\n".into()));
        assert_eq!(info("lib/systemd/system/a.service.d/b.conf", b"x"), FileInfo::Text("x".into()));
        assert_eq!(info("share/doc/x", b"x"), FileInfo::Other);
        assert_eq!(info("share/a/x.service", b"x"), FileInfo::Text("x".into()));
        assert_eq!(info("lib/systemd/system/a.service", &vec![b'x'; MAX_TEXT + 1]), FileInfo::Other);
        assert!(matches!(info("lib/x.so", b"\x7fELF"), FileInfo::MalformedElf(_)));
    }

    #[test]
    fn only_ranges_for_the_loader_are_fetched() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut fetched = 0;
        let info = inspect_parts(&path("bin/x"), bytes.len() as u64, |part| {
            fetched += part.end - part.start;
            Ok::<_, ()>(bytes[part.start as usize..part.end as usize].to_vec())
        });
        assert_eq!(info, Ok(FileInfo::Elf(Box::new(elf::parse_headers(&bytes).unwrap()))));
        assert!(fetched < bytes.len() as u64 / 2, "{fetched} of {}", bytes.len());
        assert_eq!(inspect_parts(&path("bin/x"), 10, |_| Err("broken")), Err("broken"));
    }

    #[test]
    fn loader_directories_are_consecutive_strings() {
        let bytes = b"\0/proc/self/\0x/lib/\0/lib64/\0/usr/lib64/\0/etc/ld.so.cache\0/lib/\0";
        assert_eq!(find_system_dirs(bytes), ["/lib64/", "/usr/lib64/"]);
        assert_eq!(find_system_dirs(b"/lib/x86_64-linux-gnu/\0/lib/\0"), ["/lib/x86_64-linux-gnu/", "/lib/"]);
        assert_eq!(find_system_dirs(b"\0/usr/lib/"), [""; 0]);
    }

    #[test]
    fn systemd_version_is_read_in_three_formats() {
        for (text, version) in [
            (&b"xsystemd 229 running in %ssystem mode"[..], Some("229")),
            (b"\0systemd 225\0", Some("225")),
            (b"Manager: systemd 252 (252.39-1~deb12u2)\0", Some("252.39-1~deb12u2")),
            (b"systemd 257~rc1 running in", Some("257~rc1")),
            (b"systemd 205 or newer\0systemd 233\0", Some("233")),
            (b"systemd is\0", None),
            (b"", None),
        ] {
            assert_eq!(find_systemd_version(text).as_deref(), version, "{}", String::from_utf8_lossy(text));
        }
    }
}
