//! The machine that the smoke test runs on: the user's rights and the installed programs.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::no_follow;
use crate::trusted_owners::effective_uid;
use coreos_types::{Error, Result, ResultExt};

/// Directories that are searched for programs, whatever the caller's environment.
pub(super) const STANDARD_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn is_root() -> bool {
    effective_uid() == 0
}

/// The paths in a directory; none if it cannot be read.
pub(super) fn list_dir(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// The first program of this name in `$PATH`, else in [`STANDARD_PATH`].
pub(super) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let directories = std::env::split_paths(&path).chain(std::env::split_paths(STANDARD_PATH));
    directories.map(|directory| directory.join(name)).find(|program| program.is_file())
}

/// The programs among `names` that are not installed, as a reason; `None` if all are.
pub(super) fn missing_programs_reason(names: &[&str]) -> Option<String> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| find_program(name).is_none()).collect();
    (!missing.is_empty()).then(|| format!("not installed: {}", missing.join(", ")))
}

/// Runs a command with its standard output in a new file.
pub(super) fn run_into_file(command: &mut Command, path: &Path) -> Result<()> {
    command.stdin(Stdio::null()).stdout(no_follow::replace_file(path)?).stderr(Stdio::piped());
    let output = command.spawn().and_then(Child::wait_with_output);
    let output = output.with_context(|| format!("cannot run {}", command.get_program().display()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::failed(format!("cannot write {}", path.display()))
            .with_cause(String::from_utf8_lossy(&output.stderr).trim())),
    }
}
