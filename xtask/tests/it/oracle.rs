//! What we read and write, against the tools that no one here wrote: make, readelf, sort, unsquashfs, gpg and patch.
//!
//! They are ignored by default, and fail where a tool is missing.

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

/// What a command that must succeed prints. Messages are in English, and lines as long as they are.
fn output(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {arguments:?}: {}: {said}", done.status);
    String::from_utf8_lossy(&done.stdout).into_owned()
}
