//! Stub programs, as the demo's release has them: headers for the loader, and no code.

use std::fs::File;
use std::io::Read;

use super::RootfsUnderTest;
use crate::context::Context;
use coreos_types::error::{Error, Result};

/// Rejects a root filesystem with a stub as loader: its programs can be neither linked nor run.
///
/// # Errors
/// The loader is a stub.
pub(super) fn check(context: &Context<'_>, tested: &RootfsUnderTest) -> Result<()> {
    let loaders = ["lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"];
    let Some(loader) = tested.rootfs.first_of(&loaders) else { return Ok(()) };
    let mut bytes = Vec::new();
    let path = tested.rootfs.path.join("usr").join(loader);
    let read = File::open(path).and_then(|file| file.take(MAX_HEADERS).read_to_end(&mut bytes));
    if read.is_err() || !is_stub(&bytes) {
        return Ok(());
    }
    let reason = "the programs of this image are stubs without code: they can be built and compared, not linked or run";
    Err(Error::failed(reason).with_hint(context.rerun(&["--no-link", "--no-run"], &["no_link", "no_run"])))
}

/// Program headers of a loader are within these bytes.
const MAX_HEADERS: u64 = 64 * 1024;
const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;

/// Whether a 64-bit little-endian ELF file has program headers, and none of an executable segment (gABI, "Program
/// Header").
fn is_stub(bytes: &[u8]) -> bool {
    let number = |at: usize, size: usize| {
        let bytes = bytes.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte)))
    };
    let segment = |index: u64| {
        let start = number(0x20, 8)?.checked_add(index.checked_mul(number(0x36, 2)?)?)?;
        let start = usize::try_from(start).ok()?;
        Some((number(start, 4)?, number(start.checked_add(4)?, 4)?))
    };
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return false;
    }
    let segments: Option<Vec<_>> = number(0x38, 2).and_then(|count| (0..count).map(segment).collect());
    let is_code = |&(kind, flags): &(u64, u64)| kind == u64::from(PT_LOAD) && flags & u64::from(PF_X) != 0;
    segments.is_some_and(|segments| !segments.is_empty() && !segments.iter().any(is_code))
}

#[cfg(test)]
mod tests {
    use coreos_types::release::Board;
    use release_fixture::elf::ElfStub;

    use super::*;

    #[test]
    fn only_files_without_code_are_stubs() {
        assert!(is_stub(&ElfStub::library(Board::Amd64, "ld-linux-x86-64.so.2").bytes()));
        let program = std::fs::read("/proc/self/exe").unwrap_or_default();
        assert!(!program.is_empty() && !is_stub(&program));
        for text in ["", "\u{7f}ELF", "#!/bin/sh\n"] {
            assert!(!is_stub(text.as_bytes()), "{text:?}");
        }
    }
}
