//! Helpers of the end-to-end tests: scripts, and releases made from Debian packages.
//!
//! A test that needs a program besides cargo, git and the basic Unix tools, root, or Debian releases is `#[ignore]`d
//! with that reason; `cargo test -- --include-ignored` runs all. `XTASK_E2E=1` makes the tests that repeat something
//! at random repeat it more often. `XTASK_E2E_RELEASES` is a directory with releases that exist already; otherwise
//! they are made below `target/`, which needs root and a Debian mirror.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Release numbers of the images made from Debian 12 and 13.
pub(crate) const BOOKWORM: &str = "2520.0.0";
pub(crate) const TRIXIE: &str = "2570.0.0";

/// Whether `XTASK_E2E=1` requests many repetitions.
pub(crate) fn is_long_run() -> bool {
    std::env::var_os("XTASK_E2E").is_some_and(|value| value == "1")
}

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Standard output of a command that must succeed.
pub(crate) fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs one of `scripts/`.
pub(crate) fn script(name: &str, arguments: &[&str]) {
    output_of(Command::new(workspace().join("scripts").join(name)).args(arguments));
}

/// Writes a program `cargo` for which `cargo xtask` is the tool of this build.
pub(crate) fn put_cargo(directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    let tool = env!("CARGO_BIN_EXE_xtask");
    executable(&directory.join("cargo"), &format!("#!/bin/sh\nshift\nexec '{tool}' \"$@\"\n"));
}

/// Writes an executable script in a separate process. A file open for writing in this process is inherited by children
/// of other tests, and Linux does not execute a file that is open for writing (execve(2), ETXTBSY).
pub(crate) fn executable(path: &Path, text: &str) {
    let output = Command::new("sh")
        .args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""])
        .args([path.as_os_str(), text.as_ref()])
        .status();
    assert!(output.unwrap().success(), "{}", path.display());
}

/// A directory with both releases, in the layout of a mirror.
pub(crate) fn releases() -> &'static Path {
    static RELEASES: OnceLock<PathBuf> = OnceLock::new();
    RELEASES.get_or_init(|| {
        let home = std::env::var_os("XTASK_E2E_RELEASES")
            .map_or_else(|| workspace().join("target/e2e-releases"), PathBuf::from);
        for (suite, release) in [("bookworm", BOOKWORM), ("trixie", TRIXIE)] {
            if !home.join("amd64-usr").join(release).is_dir() {
                script("make-debian-release.sh", &[suite, release, home.to_str().unwrap()]);
            }
        }
        home
    })
}
