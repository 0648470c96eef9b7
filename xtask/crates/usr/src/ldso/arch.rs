//! Facts about architectures: interpreter paths and `$PLATFORM`.

use crate::elf::ElfInfo;
use coreos_types::Board;

/// The `PT_INTERP` paths of glibc's loader for a machine, as in its ABI list.
pub(super) fn interpreter_paths(info: &ElfInfo) -> &'static [&'static str] {
    match (info.machine, info.is_64) {
        (62, true) => &["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-x86-64.so.2"],
        (183, true) => &["/lib/ld-linux-aarch64.so.1", "/lib64/ld-linux-aarch64.so.1"],
        (3, _) => &["/lib/ld-linux.so.2"],
        (40, _) => &["/lib/ld-linux-armhf.so.3", "/lib/ld-linux.so.3"],
        _ => &[],
    }
}

/// The value of `$PLATFORM`, which is also the machine in multiarch names.
pub(super) fn platform(info: &ElfInfo, board: Board) -> &'static str {
    match info.machine {
        62 => "x86_64",
        183 => "aarch64",
        3 => "i386",
        _ => board.uname_machine(),
    }
}
