//! A boot in a virtual machine: the root filesystem as initramfs, the machine's own kernel, a serial console.
//!
//! It needs no root, and this machine's cgroups and namespaces do not matter: closest to the kvm flavor. The image's
//! code runs in the guest alone, without network and disks, with [`MEMORY_MIB`] at most.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::{Boot, BootOutcome, ConsoleLog, console, nonce, overlay};
use crate::signals::TempPath;
use crate::smoketest::host::{self, list_dir};
use coreos_types::{Error, Result, ResultExt};

/// The variable with the path of the kernel, if no kernel is installed in the usual places.
const KERNEL_VARIABLE: &str = "XTASK_VM_KERNEL";
const SUPERVISOR: &str = concat!(include_str!("supervise.sh"), include_str!("vm.sh"));
/// Longest wait for the first line of a kernel where KVM works.
const KVM_PROBE_TIMEOUT: Duration = Duration::from_secs(8);
/// The exit status of a supervisor after a signal.
const EXIT_TERMINATED: i32 = 143;
const MEMORY_MIB: &str = "1024";

/// Boots in qemu, with KVM if KVM works.
pub(crate) fn run(boot: &Boot<'_>) -> Result<BootOutcome> {
    let arch = boot.rootfs.board.uname_machine();
    let qemu = format!("qemu-system-{arch}");
    if let Some(missing) = host::missing_programs_reason(&[&qemu, "cpio", "setpriv"]) {
        return Ok(BootOutcome::Unsupported(missing));
    }
    let Some(kernel) = find_kernel() else {
        return Ok(BootOutcome::Unsupported(format!(
            "no readable kernel in /boot or /usr/lib/modules; set {KERNEL_VARIABLE} to the path of one"
        )));
    };
    if let Some(outcome) = boot.essentials_failure() {
        return Ok(outcome);
    }
    let why_not_kvm = why_not_kvm(boot, &kernel)?;
    let nonce = nonce();
    let initramfs = build_initramfs(boot, &nonce)?;
    let accelerator = why_not_kvm.map_or("kvm", |_| "tcg");
    let mut command = qemu_command(arch, &kernel, accelerator, overlay::SYSTEMD_ARGUMENTS);
    command.arg("-initrd").arg(initramfs.path());
    let console =
        console::run_with_limits(&mut command, &overlay::marker(&nonce), boot.limit, &boot.log_path())?;
    let accelerator = why_not_kvm.map_or("KVM".to_owned(), |reason| format!("emulation ({reason})"));
    let method = format!("booted by {qemu} with {}, {accelerator}", kernel.display());
    Ok(boot.outcome(method, boot.failure_reason("the boot", &console), &console))
}

/// The reason why KVM is not used, if any: in nested machines it may start a guest that never prints anything. The
/// probe, once in a run, boots the kernel alone, which panics without a root file system. A signal that ends the probe
/// is an error.
fn why_not_kvm(boot: &Boot<'_>, kernel: &Path) -> Result<Option<&'static str>> {
    static KVM_WORKS: OnceLock<bool> = OnceLock::new();
    let arch = boot.rootfs.board.uname_machine();
    if arch != std::env::consts::ARCH {
        return Ok(Some("a foreign board"));
    }
    if fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
        return Ok(Some("/dev/kvm cannot be opened"));
    }
    if KVM_WORKS.get().is_none() {
        let (mut command, log) = (qemu_command(arch, kernel, "kvm", ""), boot.work_directory.join("kvm.log"));
        let console = console::run_with_limits(&mut command, "Linux version", KVM_PROBE_TIMEOUT, &log)?;
        let _ = KVM_WORKS.set(probe_result(&console)?);
    }
    Ok((KVM_WORKS.get() != Some(&true)).then_some("a guest of /dev/kvm prints nothing"))
}

fn probe_result(console: &ConsoleLog) -> Result<bool> {
    match console.status.map(|status| status.code()) {
        Some(None | Some(EXIT_TERMINATED)) => Err(Error::failed("the supervisor of qemu was killed")),
        _ => Ok(console.marker_seen),
    }
}

fn qemu_command(arch: &str, kernel: &Path, accelerator: &str, append: &str) -> Command {
    let console = if arch == "x86_64" { "ttyS0" } else { "ttyAMA0" };
    let mut command = Command::new("sh");
    command.args(["-uc", SUPERVISOR, "vm", &format!("qemu-system-{arch}")]);
    command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
    if arch == "aarch64" {
        command.args(["-machine", "virt", "-cpu", "max"]);
    }
    command
        .args(["-accel", accelerator, "-serial", "stdio", "-m", MEMORY_MIB, "-no-reboot", "-kernel"])
        .arg(kernel)
        .args(["-append", &format!("console={console} loglevel=6 panic=-1 {append}")]);
    command
}

fn find_kernel() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(KERNEL_VARIABLE) {
        return Some(PathBuf::from(named));
    }
    let is_kernel = |path: &PathBuf| path.to_string_lossy().starts_with("/boot/vmlinuz");
    let in_boot = list_dir(Path::new("/boot")).into_iter().filter(is_kernel);
    let in_modules = list_dir(Path::new("/usr/lib/modules")).into_iter().map(|path| path.join("vmlinuz"));
    let readable = in_boot.chain(in_modules).filter(|path| fs::File::open(path).is_ok());
    readable.max_by_key(|path| fs::metadata(path).and_then(|file| file.modified()).ok())
}

/// Packs two archives one after the other, as the kernel accepts: the root filesystem, and the files that overlay it.
fn build_initramfs(boot: &Boot<'_>, nonce: &str) -> Result<TempPath> {
    let files = boot.write_overlay(nonce)?;
    for directory in ["proc", "sys", "dev", "run", "tmp", "var"] {
        let path = files.join(directory);
        fs::create_dir_all(&path).with_path("cannot create", &path)?;
    }
    let init = boot.rootfs.systemd_file("systemd").unwrap_or_default();
    let link = files.join("init");
    std::os::unix::fs::symlink(format!("usr/{init}"), &link).with_path("cannot create", &link)?;
    let out = TempPath::register(boot.work_directory.join("initramfs.cpio"));
    let mut pack = Command::new("sh");
    pack.args(["-euc", PACK_INITRAMFS, "pack"]).arg(&boot.rootfs.path).arg(&files);
    host::run_into_file(&mut pack, out.path())?;
    Ok(out)
}

/// Owners are not relevant for a boot, and an unprivileged user cannot preserve them. Names may contain any character.
const PACK_INITRAMFS: &str = r#"for directory; do
  cd "$directory"
  find . -print0 | cpio -0 --quiet -o -H newc -R 0:0
done"#;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{ExitStatus, Stdio};
    use std::time::Instant;

    use super::*;

    /// The statuses of wait(2).
    #[test]
    fn killed_kvm_probe_is_an_error() {
        for (status, marker_seen, expected) in [
            (Some(0), true, Some(true)),
            (Some(1 << 8), false, Some(false)),
            (None, false, Some(false)),
            (Some(143 << 8), false, None),
            (Some(9), true, None),
        ] {
            let console =
                ConsoleLog { status: status.map(ExitStatus::from_raw), marker_seen, ..ConsoleLog::default() };
            assert_eq!(probe_result(&console).ok(), expected, "{status:?}");
        }
    }

    /// The command is `sleep` in place of qemu, with a number that no other process has.
    #[test]
    fn killed_supervisor_leaves_no_command() {
        let seconds = format!("1000.{}", std::process::id());
        let commands = || {
            let text = |path: PathBuf| fs::read_to_string(path.join("cmdline")).unwrap_or_default();
            let is_left = |path: &PathBuf| text(path.clone()).contains(&seconds);
            list_dir(Path::new("/proc")).into_iter().filter(is_left).collect::<Vec<_>>()
        };
        for number in 0..30 {
            let mut supervisor = Command::new("sh");
            supervisor.args(["-uc", SUPERVISOR, "vm", "sleep", &seconds]);
            let mut supervisor =
                supervisor.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(300 * number));
            supervisor.kill().unwrap();
            supervisor.wait().unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            // A process has no command line while it executes another program: one empty list proves nothing.
            let mut empty_lists = 0;
            while empty_lists < 3 {
                assert!(Instant::now() < deadline, "killed after {} us: {:?}", 300 * number, commands());
                std::thread::sleep(Duration::from_millis(5));
                empty_lists = if commands().is_empty() { empty_lists + 1 } else { 0 };
            }
        }
    }

    #[test]
    fn names_with_newlines_and_quotes_are_packed() {
        let home = tempfile::tempdir().unwrap();
        let names = ["a\nb", "it's", "-o", "$(touch injected)"];
        for name in names {
            fs::write(home.path().join(name), "").unwrap();
        }
        let packed =
            Command::new("sh").args(["-euc", PACK_INITRAMFS, "pack"]).arg(home.path()).output().unwrap();
        let archive = String::from_utf8_lossy(&packed.stdout).into_owned();
        assert!(names.iter().all(|name| archive.contains(&format!("{name}\0"))), "{archive}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), names.len());
    }
}
