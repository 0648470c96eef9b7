//! The machine that the smoke test runs on: the user's rights and the installed programs.

use std::path::PathBuf;

use crate::trusted_owners::effective_uid;

/// Directories that are searched for programs, whatever the caller's environment.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether this process is root.
pub(super) fn is_root() -> bool {
    effective_uid() == 0
}

/// The first program of this name in `$PATH`, else in [`PATH`].
pub(super) fn find_in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let directories = std::env::split_paths(&path).chain(std::env::split_paths(PATH));
    directories.map(|directory| directory.join(name)).find(|program| program.is_file())
}
