//! How the loader is asked: as root, in a user namespace, through sudo, emulated, or not at all.

use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{LIBRARY_PATH, SearchMode};
use crate::smoketest::host::{PATH, find_in_path, is_root};
use crate::smoketest::rootfs::Rootfs;
use coreos_types::release::Board;
use usr::path::UsrPath;

/// How the loader is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoaderRunner {
    /// `chroot`, as root.
    Chroot,
    /// `unshare --map-root-user --root`, as anybody.
    UserNamespace,
    /// `sudo -n chroot`.
    Sudo,
    /// This program of qemu-user, for a foreign board.
    Qemu(PathBuf),
    /// It is not: the graph answers in its place; why.
    Simulated(String),
}

impl fmt::Display for LoaderRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoaderRunner::Chroot => f.write_str("the real loader in a chroot, as root"),
            LoaderRunner::UserNamespace => f.write_str("the real loader in a chroot, in a user namespace"),
            LoaderRunner::Sudo => f.write_str("the real loader in a chroot, by sudo"),
            LoaderRunner::Qemu(program) => {
                write!(f, "the real loader, emulated by {}", program.display())
            }
            LoaderRunner::Simulated(why) => write!(f, "the link graph, not the real loader: {why}"),
        }
    }
}

impl LoaderRunner {
    /// The best that this machine and user can do.
    pub(super) fn detect(rootfs: &Rootfs) -> LoaderRunner {
        if rootfs.board.machine() != std::env::consts::ARCH {
            let machine = rootfs.board.machine();
            let names = [format!("qemu-{machine}-static"), format!("qemu-{machine}")];
            return match names.iter().find_map(|name| find_in_path(name)) {
                Some(program) => LoaderRunner::Qemu(program),
                None => LoaderRunner::Simulated(format!(
                    "{} is a foreign board, and {} is not installed",
                    rootfs.board, names[0]
                )),
            };
        }
        if is_root() {
            return LoaderRunner::Chroot;
        }
        if succeeds(Command::new("unshare").args(["--map-root-user", "true"])) {
            return LoaderRunner::UserNamespace;
        }
        if succeeds(Command::new("sudo").args(["-n", "true"])) {
            return LoaderRunner::Sudo;
        }
        LoaderRunner::Simulated("neither root, nor user namespaces, nor sudo without a password".into())
    }

    /// The command that lists what one file resolved. Options alone reach the loader: its variables would reach
    /// `chroot` as well.
    pub(super) fn command(
        &self,
        rootfs: &Rootfs,
        loader: &UsrPath,
        file: &UsrPath,
        way: SearchMode,
    ) -> Command {
        let (root, loader) = (&rootfs.path, format!("/usr/{loader}"));
        let mut command = match self {
            LoaderRunner::UserNamespace => {
                let mut unshare = Command::new("unshare");
                unshare.arg("--map-root-user").arg(format!("--root={}", root.display())).arg(loader);
                unshare
            }
            LoaderRunner::Sudo => {
                let mut sudo = Command::new("sudo");
                sudo.args(["-n", "chroot"]).arg(root).arg(loader);
                sudo
            }
            LoaderRunner::Qemu(program) => {
                let mut emulate = Command::new(program);
                emulate.arg("-L").arg(root).arg(format!("{}{loader}", root.display()));
                emulate
            }
            LoaderRunner::Chroot | LoaderRunner::Simulated(_) => {
                let mut chroot = Command::new("chroot");
                chroot.arg(root).arg(loader);
                chroot
            }
        };
        if way == SearchMode::LibraryPath {
            command.args(["--library-path", LIBRARY_PATH]);
        }
        command.arg("--list").arg(format!("/usr/{file}"));
        // Nothing of the caller's (LD_PRELOAD, LD_DEBUG) may have a say; the answers are read in English.
        command.env_clear().env("PATH", PATH).env("LC_ALL", "C").stdin(Stdio::null());
        command
    }
}

/// The loader that programs of a board ask for.
pub(super) fn loader_name(board: Board) -> &'static str {
    match board {
        Board::Amd64 => "/lib64/ld-linux-x86-64.so.2",
        Board::Arm64 => "/lib/ld-linux-aarch64.so.1",
    }
}

pub(super) fn board_loader(rootfs: &Rootfs) -> Option<UsrPath> {
    UsrPath::from_rootfs_path(loader_name(rootfs.board)).ok()
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
