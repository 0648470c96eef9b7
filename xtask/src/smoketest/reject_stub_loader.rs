//! Rejects root filesystems of stub programs (ELF headers without code), as the demo's images have them.

use std::fs::File;
use std::io::Read;

use super::RootfsUnderTest;
use crate::context::Context;
use coreos_types::{Error, Result};

/// Rejects a root filesystem with a stub as loader: its programs can be neither linked nor run.
pub(super) fn reject_stub_loader(context: &Context<'_>, tested: &RootfsUnderTest) -> Result<()> {
    let mut header = [0; 64];
    let path = tested.rootfs.path.join("usr").join(tested.rootfs.loader());
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    if read.is_err() || !is_stub(&header) {
        return Ok(());
    }
    let reason = "the programs of this image are stubs without code: they can be built and compared, not linked or run";
    Err(Error::failed(reason)
        .with_hint(context.rerun_command(&["--no-link", "--no-run"], &["no_link", "no_run"])))
}

/// Whether a 64-bit ELF header has no entry point (gABI, "ELF Header": `e_entry` is 0).
fn is_stub(header: &[u8]) -> bool {
    header.starts_with(b"\x7fELF\x02") && header.get(0x18..0x20).is_some_and(|entry| entry == [0; 8])
}

#[cfg(test)]
mod tests {
    use coreos_types::Board;
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
