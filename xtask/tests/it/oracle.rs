//! Comparison with independent implementations: make, readelf, sort, unsquashfs, gpg, patch and ld.so.
//!
//! These tests are ignored by default, and fail if a tool is missing.

mod closure;
mod elf;
mod gpg;
mod loader;
mod make;
mod patch;
mod release;
mod sort;
mod squashfs;
mod systemd;

use std::process::Command;

use crate::e2e::output_of;

/// Standard output of a command that must succeed, in the C locale.
fn output(program: &str, arguments: &[&str]) -> String {
    output_of(Command::new(program).args(arguments).env("LC_ALL", "C"))
}
