//! The side of the sandbox that runs in its namespaces: makes the root directory, drops all rights, starts the program.
//!
//! This is an internal entry point of the program ([`run_if_selected`]); `--help` does not list it. It refuses to
//! work in the user namespace of its caller, where it would change mounts of the machine.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};

use super::Sandbox;
use coreos_types::{Error, Result, ResultExt};

/// The first argument of this entry point.
const COMMAND: &str = "__sandbox";
/// The step of `boot/supervisor.sh`: the arguments are a root directory, a program in it, and its arguments.
const ENTER_STEP: &str = "enter";
/// The path of this program as the supervisor of a boot mounts it, in a mount namespace of its own.
const SUPERVISORS_COPY: &str = "/run/tool";
const EXIT_SETUP_FAILED: u8 = 125;
/// The exit code where the kernel cannot execute the program (env(1)).
pub(super) const EXIT_NOT_EXECUTABLE: i32 = 126;
/// Directories and links of the root filesystem that the loader may search, apart from `usr`.
const TOP_LEVEL: [&str; 7] = ["bin", "etc", "lib", "lib32", "lib64", "libx32", "sbin"];
const EMULATOR_MOUNT_POINT: &str = ".emulator";

/// Most address space of a confined program, in bytes.
const MAX_ADDRESS_SPACE: u64 = 1 << 30;
/// Most private writable memory of a confined program, in bytes.
const MAX_DATA: u64 = 512 << 20;
/// Most processor time, in seconds.
const MAX_CPU_TIME: u64 = 20;
/// Most processes and threads of an emulator; a program that runs natively is alone.
const MAX_EMULATOR_THREADS: u64 = 16;

/// The arguments of this entry point. An empty word ends the list of files.
pub(super) fn arguments(sandbox: &Sandbox, program: &[OsString]) -> Vec<OsString> {
    let namespace = fs::read_link("/proc/self/ns/user").unwrap_or_default();
    let uid = sandbox.uid.map(|uid| uid.to_string()).unwrap_or_default();
    let mut words = vec![COMMAND.into(), namespace.into(), uid.into(), sandbox.rootfs.clone().into()];
    words.push(sandbox.emulator.clone().unwrap_or_default().into());
    words.extend([&sandbox.owner_only_files[..], &[OsString::new()], program].concat());
    words
}

/// Runs this entry point if the command line selects it; returns only on failure, or without a program to run.
/// `None` for any other command line.
pub fn run_if_selected(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()?.as_bytes() != COMMAND.as_bytes() {
        return None;
    }
    // A directory or socket that the caller left open would lead out of the sandbox.
    close_fds::set_fds_cloexec(3, &[]);
    let words: Vec<OsString> = arguments.collect();
    let started = match &words[..] {
        [step, root, program, rest @ ..] if step == ENTER_STEP => {
            enter_and_exec(Path::new(root), program, rest).map(Some)
        }
        _ => set_up_and_exec(&words),
    };
    let (error, code) = match started {
        Ok(None) => return Some(ExitCode::SUCCESS),
        Ok(Some(error)) => (error.to_string(), EXIT_NOT_EXECUTABLE as u8),
        Err(error) => (error.to_string(), EXIT_SETUP_FAILED),
    };
    let _ = writeln!(io::stderr(), "{error}");
    Some(ExitCode::from(code))
}

/// Changes the root directory for a boot, which has made its namespaces and mounts, and executes its program; returns
/// the error.
fn enter_and_exec(root: &Path, program: &OsString, arguments: &[OsString]) -> Result<io::Error> {
    if std::env::current_exe().with_context(|| "cannot locate this program")? != Path::new(SUPERVISORS_COPY) {
        return Err(Error::failed("not called by the supervisor of a boot"));
    }
    pivot_root(root)?;
    Ok(Command::new(program).args(arguments).exec())
}

/// Sets up the sandbox and executes the program. Returns the error of execve(2), or `None` without a program.
fn set_up_and_exec(words: &[OsString]) -> Result<Option<io::Error>> {
    let [namespace, uid, rootfs, emulator, rest @ ..] = words else {
        return Err(Error::failed("too few arguments"));
    };
    let own = fs::read_link("/proc/self/ns/user").with_context(|| "cannot read /proc/self/ns/user")?;
    if own.as_os_str() == namespace {
        return Err(Error::failed("not in a user namespace of its own"));
    }
    let end_of_files = rest.iter().position(|word| word.is_empty());
    let end_of_files = end_of_files.ok_or_else(|| Error::failed("too few arguments"))?;
    let (owner_only_files, program) = (&rest[..end_of_files], &rest[end_of_files + 1..]);
    let emulator = Some(Path::new(emulator)).filter(|path| !path.as_os_str().is_empty());
    zero_namespace_sysctls();
    make_and_enter_root(Path::new(rootfs), emulator, owner_only_files)?;
    rustix::process::setsid().with_context(|| "cannot start a session")?;
    drop_rights(uid.to_str().and_then(|uid| uid.parse().ok()))?;
    limit_resources(emulator.is_some())?;
    wait_for_host()?;
    let Some((program, arguments)) = program.split_first() else { return Ok(None) };
    let mut command = match emulator {
        None => Command::new(program),
        Some(_) => {
            // qemu-user reserves more than a limit of its own address space allows; this limits the program's.
            let mut command = Command::new(Path::new("/").join(EMULATOR_MOUNT_POINT));
            command.arg("-R").arg(MAX_ADDRESS_SPACE.to_string()).arg(program);
            command
        }
    };
    Ok(Some(command.args(arguments).env_clear().env("LC_ALL", "C").exec()))
}

/// No user namespaces below this one, and no System V objects: both could hold memory that no limit of a process
/// counts. Errors are ignored: some kernels do not let a user namespace set these.
fn zero_namespace_sysctls() {
    for file in ["user/max_user_namespaces", "kernel/shmmni", "kernel/msgmni", "kernel/sem"] {
        let _ = fs::write(Path::new("/proc/sys").join(file), "0");
    }
}

/// Makes the root directory, an empty read-only file system with `usr` in it, and detaches everything else.
fn make_and_enter_root(root: &Path, emulator: Option<&Path>, owner_only_files: &[OsString]) -> Result<()> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .with_context(|| "cannot make mounts private")?;
    // Opened before a file system is mounted over them.
    let rootfs = open_path_fd(CWD, root, OFlags::DIRECTORY)?;
    let emulator = emulator.map(|path| open_path_fd(CWD, path, OFlags::empty())).transpose()?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("tmpfs", root, "tmpfs", flags, c"mode=755,size=512m")
        .with_context(|| "cannot mount a tmpfs")?;
    for name in TOP_LEVEL {
        let path = root.join(name);
        if let Ok(target) = rustix::fs::readlinkat(&rootfs, name, Vec::new()) {
            symlink(OsStr::from_bytes(target.to_bytes()), path).with_context(|| "cannot make a link")?;
            continue;
        }
        match open_path(&rootfs, Path::new(name), OFlags::DIRECTORY | OFlags::NOFOLLOW) {
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            opened => bind_directory_read_only(&opened.with_path("cannot open", &path)?, &path)?,
        }
    }
    let usr = open_path_fd(&rootfs, Path::new("usr"), OFlags::DIRECTORY | OFlags::NOFOLLOW)?;
    bind_directory_read_only(&usr, &root.join("usr"))?;
    if let Some(emulator) = emulator {
        fs::write(root.join(EMULATOR_MOUNT_POINT), "").with_context(|| "cannot make a file")?;
        bind_read_only(&emulator, &root.join(EMULATOR_MOUNT_POINT))?;
    }
    for (number, path) in owner_only_files.iter().enumerate() {
        mount_readable_copy(&root.join("usr").join(path), &root.join(format!(".copy-{number}")))?;
    }
    pivot_root(root)?;
    remount_read_only(Path::new("/")).with_context(|| "cannot make the root directory read-only")
}

fn open_path_fd(directory: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    open_path(directory, path, flags).with_path("cannot open", path)
}

fn open_path(directory: impl AsFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(directory, path, flags | OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

fn bind_directory_read_only(directory: &OwnedFd, target: &Path) -> Result<()> {
    fs::create_dir(target).with_context(|| "cannot make a directory")?;
    bind_read_only(directory, target)
}

fn bind_read_only(file: &OwnedFd, target: &Path) -> Result<()> {
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mounted = rustix::mount::mount_bind(source, target).and_then(|()| remount_read_only(target));
    mounted.with_path("cannot mount", target)
}

fn remount_read_only(target: &Path) -> rustix::io::Result<()> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount_remount(target, flags, c"")
}

/// Mounts a world-readable copy over a file.
fn mount_readable_copy(path: &Path, copy: &Path) -> Result<()> {
    let copied =
        fs::copy(path, copy).and_then(|_| fs::set_permissions(copy, fs::Permissions::from_mode(0o555)));
    copied.with_path("cannot copy", path)?;
    bind_read_only(&open_path_fd(CWD, copy, OFlags::NOFOLLOW)?, path)
}

/// Makes a directory the root, and detaches the old one (pivot_root(2), "pivot_root(".", ".")").
fn pivot_root(root: &Path) -> Result<()> {
    rustix::process::chdir(root).with_context(|| "cannot enter the root directory")?;
    rustix::process::pivot_root(".", ".").with_context(|| "cannot change the root directory")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)
        .with_context(|| "cannot detach the old root directory")?;
    rustix::process::chdir("/").with_context(|| "cannot enter the root directory")
}

fn drop_rights(uid: Option<u32>) -> Result<()> {
    // The first one that the kernel does not know ends the list.
    let mut capabilities = (0..64).map(|bit| CapabilitySet::from_bits_retain(1 << bit));
    let _ = capabilities.try_for_each(rustix::thread::remove_capability_from_bounding_set);
    let _ = rustix::thread::clear_ambient_capability_set();
    if let Some(uid) = uid {
        let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
        rustix::thread::set_thread_groups(&[]).with_context(|| "cannot drop groups")?;
        rustix::thread::set_thread_res_gid(group, group, group).with_context(|| "cannot change the group")?;
        rustix::thread::set_thread_res_uid(user, user, user).with_context(|| "cannot change the user")?;
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets).with_context(|| "cannot drop capabilities")?;
    rustix::thread::set_no_new_privs(true).with_context(|| "cannot set no_new_privs")
}

fn limit_resources(emulated: bool) -> Result<()> {
    let limits = [
        // No file can be written, not even on a file system in memory; pipes are not affected.
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
        (Resource::Nofile, 64),
        (Resource::Cpu, MAX_CPU_TIME),
        (Resource::Data, MAX_DATA),
        (Resource::Nproc, if emulated { MAX_EMULATOR_THREADS } else { 1 }),
    ];
    let address_space = (Resource::As, MAX_ADDRESS_SPACE);
    for (resource, limit) in limits.into_iter().chain((!emulated).then_some(address_space)) {
        let lowered = Rlimit { current: Some(limit), maximum: Some(limit) };
        rustix::process::setrlimit(resource, lowered).with_context(|| "cannot set a limit")?;
    }
    Ok(())
}

/// Waits until the host has seen that all is set up.
fn wait_for_host() -> Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(b"\n").and_then(|()| stdout.flush()).with_context(|| "cannot reach the host")?;
    io::stdin().read_exact(&mut [0]).with_context(|| "the parent process ended")
}
