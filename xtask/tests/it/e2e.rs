//! What the end-to-end tests stand on: real programs, and releases that are made of Debian's.
//!
//! `XTASK_E2E=1` asks for them; then a program that is missing is a failure. `XTASK_E2E_RELEASES` names a directory
//! with releases that were made before; else they are made below `target/`, which wants root and a Debian mirror.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The releases of the tests: Debian 12 and 13, in CoreOS's clothes.
pub(crate) const BOOKWORM: &str = "2520.0.0";
pub(crate) const TRIXIE: &str = "2570.0.0";

/// Whether the end-to-end tests are asked for.
pub(crate) fn is_asked_for() -> bool {
    std::env::var_os("XTASK_E2E").is_some_and(|value| value == "1")
}

/// The same, and it says so when they are not.
pub(crate) fn end_to_end() -> bool {
    let asked = is_asked_for();
    if !asked {
        eprintln!("SKIPPED: set XTASK_E2E=1 to run this; some of it wants root");
    }
    asked
}

/// Whether a program is there that a test can do without when no end-to-end tests are asked for.
pub(crate) fn is_there(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()));
    assert!(found || !is_asked_for(), "there is no {program}");
    if !found {
        eprintln!("SKIPPED: there is no {program} here");
    }
    found
}

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Runs one of `scripts/`.
pub(crate) fn script(name: &str, arguments: &[&str]) {
    let done = Command::new(workspace().join("scripts").join(name)).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{name} {arguments:?}: {}: {said}", done.status);
}

/// Makes a script that can be run. A process of its own writes it: where this one has it open, what another test starts
/// meanwhile has it open too, and Linux runs no file that is open for writing (execve(2), ETXTBSY).
pub(crate) fn executable(path: &Path, text: &str) {
    let made = Command::new("sh")
        .args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""])
        .args([path.as_os_str(), text.as_ref()])
        .status();
    assert!(made.unwrap().success(), "{}", path.display());
}

/// A directory that serves as a mirror, with both releases.
pub(crate) fn releases() -> &'static Path {
    static RELEASES: OnceLock<PathBuf> = OnceLock::new();
    RELEASES.get_or_init(|| {
        let home = std::env::var_os("XTASK_E2E_RELEASES")
            .map_or_else(|| workspace().join("target/e2e-releases"), PathBuf::from);
        for (suite, release) in [("bookworm", BOOKWORM), ("trixie", TRIXIE)] {
            if !home.join("amd64-usr").join(release).is_dir() {
                script("debian-release.sh", &[suite, release, home.to_str().unwrap()]);
            }
        }
        home
    })
}
