//! A boot in a virtual machine: the root filesystem as initramfs, the machine's own kernel, a serial console.
//!
//! It needs no root, and nothing of this machine's cgroups and namespaces matters: closest to the kvm flavor.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Boot, BootOutcome, KILL_ON_STDIN_EOF, console, nonce, units};
use crate::smoketest::host::find_in_path;
use coreos_types::error::{Error, Result, ResultExt};

/// The variable that names the kernel, where none is installed in the usual places.
pub const KERNEL_VARIABLE: &str = "XTASK_VM_KERNEL";

/// Boots in qemu, with KVM where that may be used.
///
/// # Errors
/// What stops the work on this side; a boot that fails is a verdict.
pub fn run(boot: &Boot<'_>) -> Result<BootOutcome> {
    let machine = boot.rootfs.board.machine();
    let qemu = format!("qemu-system-{machine}");
    if find_in_path(&qemu).is_none() {
        return Ok(BootOutcome::Unsupported(format!("{qemu} is not installed")));
    }
    if find_in_path("cpio").is_none() {
        return Ok(BootOutcome::Unsupported("cpio is not installed".into()));
    }
    let Some(kernel) = find_kernel() else {
        return Ok(BootOutcome::Unsupported(format!(
            "no kernel that can be read in /boot or /usr/lib/modules; {KERNEL_VARIABLE} names one"
        )));
    };
    if let Some(verdict) = boot.cannot_start() {
        return Ok(verdict);
    }
    let machine = Machine { qemu, kernel, arch: machine };
    let accelerator = if machine.kvm_works(boot)? { "kvm" } else { "tcg" };
    let nonce = nonce();
    let initramfs = build_initramfs(boot, &nonce)?;
    let append = format!(
        "systemd.unit={} systemd.log_target=console systemd.log_color=no systemd.show_status=no",
        units::APP_UNIT
    );
    let mut command = machine.command(accelerator, &append);
    command.arg("-initrd").arg(&initramfs);
    let heard = console::run_until_exit(&mut command, &units::marker(&nonce), boot.limit, &boot.log())?;
    let _ = fs::remove_file(&initramfs);
    let how = if accelerator == "kvm" { "KVM" } else { "emulation" };
    Ok(boot.judge(format!("booted by {} with {}, {how}", machine.qemu, machine.kernel.display()), &heard))
}

/// What boots it.
struct Machine {
    qemu: String,
    kernel: PathBuf,
    arch: &'static str,
}

/// How long a kernel may take to its first word where KVM works.
const KVM_PROBE_TIMEOUT: Duration = Duration::from_secs(8);

impl Machine {
    /// Whether KVM may be used and does work: in nested machines it may start a guest that never says a word. The
    /// kernel alone is asked, and ends by itself for want of a root file system.
    fn kvm_works(&self, boot: &Boot<'_>) -> Result<bool> {
        let is_foreign = self.arch != std::env::consts::ARCH;
        if is_foreign || fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
            return Ok(false);
        }
        let mut command = self.command("kvm", "");
        Ok(console::run_until_exit(
            &mut command,
            "Linux version",
            KVM_PROBE_TIMEOUT,
            &boot.work.join("kvm.log"),
        )?
        .marker_seen)
    }

    fn command(&self, accelerator: &str, append: &str) -> Command {
        let console = if self.arch == "x86_64" { "ttyS0" } else { "ttyAMA0" };
        let mut command = Command::new("sh");
        command.args([
            "-c",
            KILL_ON_STDIN_EOF,
            "vm",
            &self.qemu,
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
        ]);
        if self.arch == "aarch64" {
            command.args(["-machine", "virt", "-cpu", "max"]);
        }
        command
            .args(["-accel", accelerator, "-serial", "stdio", "-m", "1024", "-no-reboot", "-kernel"])
            .arg(&self.kernel)
            .args(["-append", &format!("console={console} loglevel=6 panic=-1 {append}")]);
        command
    }
}

/// The newest kernel that can be read.
fn find_kernel() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(KERNEL_VARIABLE) {
        return Some(PathBuf::from(named));
    }
    let in_boot = list_dir(Path::new("/boot"))
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz")));
    let in_modules = list_dir(Path::new("/usr/lib/modules")).into_iter().map(|path| path.join("vmlinuz"));
    let readable = |path: &PathBuf| fs::File::open(path).is_ok();
    in_boot
        .chain(in_modules)
        .filter(readable)
        .max_by_key(|path| fs::metadata(path).and_then(|m| m.modified()).ok())
}

fn list_dir(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Two archives, one behind the other, as the kernel takes them: the root filesystem, and what is laid over it.
fn build_initramfs(boot: &Boot<'_>, nonce: &str) -> Result<PathBuf> {
    let files = boot.write_overlay(nonce)?;
    for directory in ["proc", "sys", "dev", "run", "tmp", "var"] {
        let path = files.join(directory);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    }
    let init = boot.rootfs.first_of(&["lib/systemd/systemd", "lib64/systemd/systemd"]).unwrap_or_default();
    let link = files.join("init");
    std::os::unix::fs::symlink(format!("usr/{init}"), &link)
        .with_context(|| format!("cannot make {}", link.display()))?;
    let out = boot.work.join("initramfs.cpio");
    let packed = Command::new("sh")
        .args(["-euc", PACK_INITRAMFS, "pack"])
        .arg(&boot.rootfs.path)
        .arg(&files)
        .arg(&out)
        .stdin(Stdio::null())
        .output()
        .with_context(|| "cannot run cpio")?;
    if !packed.status.success() {
        let said = String::from_utf8_lossy(&packed.stderr).trim().to_owned();
        return Err(Error::failed(format!("cannot make {}", out.display())).with_cause(said));
    }
    Ok(out)
}

/// Owners do not matter to a boot, and cannot be kept by an ordinary user.
const PACK_INITRAMFS: &str = r#"(cd "$1" && find . | cpio --quiet -o -H newc -R 0:0) > "$3"
(cd "$2" && find . | cpio --quiet -o -H newc -R 0:0) >> "$3""#;
