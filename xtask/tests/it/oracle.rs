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

/// Standard output of a command that must succeed, in the C locale.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}: {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
