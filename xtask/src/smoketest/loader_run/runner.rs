//! Runners of the loader: native or emulated, always confined; or simulated, for a foreign machine.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use super::loader_health::LoaderHealth;
use super::loader_output::LoaderOutput;
use super::{LIBRARY_PATH, SearchMode};
use crate::smoketest::host::find_program;
use crate::smoketest::rootfs::{self, Rootfs};
use crate::smoketest::sandbox::Sandbox;
use coreos_types::Result;
use usr::UsrPath;

/// A method of running the loader.
pub(crate) enum LoaderRunner {
    /// The loader itself; emulated by qemu-user for a foreign board.
    Confined(Sandbox),
    /// Simulated with the model of the loader; the reason.
    Simulated(String),
}

impl fmt::Display for LoaderRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoaderRunner::Confined(sandbox) => write!(f, "the image's loader, {sandbox}"),
            LoaderRunner::Simulated(reason) => write!(f, "a model of the loader, not the loader: {reason}"),
        }
    }
}

impl LoaderRunner {
    /// The best runner of this machine and user, or the reason why the loader, which this machine could run, cannot be
    /// confined.
    pub(in crate::smoketest) fn detect(rootfs: &Rootfs) -> std::result::Result<LoaderRunner, String> {
        let machine = rootfs.board.uname_machine();
        let mut emulator = None;
        if machine != std::env::consts::ARCH {
            let names = [format!("qemu-{machine}-static"), format!("qemu-{machine}")];
            emulator = names.iter().filter_map(|name| find_program(name)).find(|path| is_static(path));
            if emulator.is_none() {
                let board = rootfs.board;
                let reason = format!("{board} is a foreign board, and no static {} is installed", names[0]);
                return Ok(LoaderRunner::Simulated(reason));
            }
        }
        Sandbox::probe(&rootfs.path, emulator, owner_only_elf_files(rootfs)).map(LoaderRunner::Confined)
    }
}

/// Lists what one file loads (`ld.so --list`, ld.so(8)). Options alone reach the loader: its environment is empty.
pub(super) fn run_ldso_list(
    sandbox: &Sandbox,
    loader: &UsrPath,
    file: &UsrPath,
    mode: SearchMode,
    health: &LoaderHealth,
) -> Result<LoaderOutput> {
    let absolute = |path| Path::new("/usr").join(rootfs::os_path(path)).into_os_string();
    let mut command = vec![absolute(loader)];
    if mode == SearchMode::LibraryPath {
        command.extend(["--library-path", LIBRARY_PATH].map(OsString::from));
    }
    command.extend([OsString::from("--list"), absolute(file)]);
    let run = sandbox.run(&command, &|| health.is_stopped());
    Ok(LoaderOutput::from_run(&run.inspect_err(|_| health.stop())?))
}

/// ELF files that their owner alone may read, as sudo is: the confined loader reads copies.
fn owner_only_elf_files(rootfs: &Rootfs) -> Vec<OsString> {
    let is_owner_only = |path: &&UsrPath| {
        rootfs.tree.get(path.as_str()).is_some_and(|node| node.kind.is_file() && node.mode & 0o004 == 0)
    };
    rootfs.dynamic_image_files().filter(is_owner_only).map(rootfs::os_path).collect()
}

/// Whether a program needs no loader of its own, and so runs in any root directory.
fn is_static(program: &Path) -> bool {
    std::fs::read(program)
        .is_ok_and(|bytes| matches!(usr::elf::parse_headers(&bytes), Ok(info) if info.interp.is_none()))
}
