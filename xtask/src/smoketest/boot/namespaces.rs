//! A boot in namespaces of this machine: by the stage1's own systemd-nspawn where it has one, else by its systemd alone.
//!
//! `supervisor.sh` does what needs a shell between processes: a copy of the root filesystem in memory, cgroups with
//! limits, a user namespace with IDs that no account has, a pseudo-terminal, and the removal of all of these, also
//! after this process was killed. The outcome names isolation that this machine does not support.

use std::process::{Command, Stdio};

use super::{Boot, BootOutcome, SupervisorScript, overlay};
use crate::smoketest::loader_run::LIBRARY_PATH;
use coreos_types::{Error, Result, ResultExt};

const SUPERVISOR: &str = concat!(include_str!("supervise.sh"), include_str!("supervisor.sh"));

/// The first of the user IDs of a boot: the last range that systemd leaves to containers (systemd's UIDS-GIDS).
const FIRST_UID: u32 = 0x6FFF_0000;

/// Boots a root filesystem; requires root.
pub(crate) fn run(boot: &Boot<'_>) -> Result<BootOutcome> {
    SupervisorScript::try_hierarchies(boot, SUPERVISOR, "", boot_once)
}

/// The reason why the boot cannot have a user namespace; `None` if it can. A signal that ends the probe is an error.
fn why_no_user_namespace() -> Result<Option<String>> {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if !map.split_whitespace().eq(["0", "0", "4294967295"]) {
        return Ok(Some("this container has no user IDs of its own".into()));
    }
    // The mounts of the boot: a kernel or container may allow namespaces and reject the mounts.
    let probe = "mount -t proc proc /proc && mount -t sysfs -o ro sysfs /sys";
    let namespaces = "--map-root-user --mount --pid --fork --kill-child --net --cgroup";
    let mut command = Command::new("unshare");
    command.args(namespaces.split(' ')).args(["sh", "-c", probe]).env("LC_ALL", "C");
    let output = command.stdin(Stdio::null()).output().with_context(|| "cannot run unshare")?;
    match output.status.code() {
        Some(0) => Ok(None),
        Some(_) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            Ok(Some(stderr.lines().next().unwrap_or("unshare failed").trim().to_owned()))
        }
        None => Err(Error::failed(format!("unshare ended by {}", output.status))),
    }
}

fn boot_once(supervisor: &SupervisorScript<'_>) -> Result<BootOutcome> {
    let boot = supervisor.boot;
    if let Some(outcome) = boot.essentials_failure() {
        return Ok(outcome);
    }
    let no_namespace = why_no_user_namespace()?;
    let usr = |path: &str| format!("usr/{path}");
    let nspawn = boot.rootfs.first_existing(&["bin/systemd-nspawn"]).map(usr).unwrap_or_default();
    let tool = std::env::current_exe().with_context(|| "cannot locate this program")?;
    let mut command = supervisor.command("outer");
    command
        .env("BOOT_ROOTFS", &boot.rootfs.path)
        .env("BOOT_FILES", boot.write_overlay(&supervisor.nonce)?)
        .env("BOOT_TOOL", tool)
        .env("BOOT_UIDS", if no_namespace.is_none() { FIRST_UID.to_string() } else { String::new() })
        .env("BOOT_LOADER", usr(boot.rootfs.loader()))
        .env("BOOT_NSPAWN", &nspawn)
        .env("BOOT_INIT", usr(&boot.rootfs.systemd_file("systemd").unwrap_or_default()))
        .env("BOOT_ARGUMENTS", overlay::SYSTEMD_ARGUMENTS)
        .env("BOOT_LIBRARIES", LIBRARY_PATH);
    supervisor.run(command, |console| {
        let by =
            if nspawn.is_empty() { "its systemd, without systemd-nspawn" } else { "its own systemd-nspawn" };
        let mut method = format!("booted by {by}, cgroup {}, ", supervisor.hierarchy);
        match &no_namespace {
            None => method.push_str("in a user namespace"),
            Some(reason) => method.push_str(&format!(
                "WITHOUT a user namespace ({reason}): root of the image was root of this machine; --vm isolates it"
            )),
        }
        let notes = console.lines.iter().filter_map(|line| line.strip_prefix("boot-note: "));
        method.extend(notes.map(|note| format!(", {note}")));
        boot.outcome(method, boot.failure_reason("the boot", console), console)
    })
}
