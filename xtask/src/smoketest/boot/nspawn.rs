//! A boot in namespaces of this machine: by the stage1's own systemd-nspawn where it has one, else without.
//!
//! `supervisor.sh` does what needs a shell between processes: mounts and a cgroup that nobody else sees, a
//! pseudo-terminal, and the clearing up, also when this process is killed.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Boot, BootOutcome, console, nonce, units};
use crate::smoketest::host::{find_in_path, is_root};
use coreos_types::error::{Result, ResultExt};

/// The text of the supervisor.
pub(super) const SUPERVISOR: &str = include_str!("supervisor.sh");

/// The exit status by which the supervisor says that this machine cannot.
const EXIT_UNSUPPORTED: i32 = 75;
/// systemd's unified hierarchy is sound from here on; before, the boot is given the old one.
const UNIFIED_SINCE: u32 = 233;
/// systemd refuses cgroup v1 from here on.
const UNIFIED_ONLY_SINCE: u32 = 256;

/// Boots, as root.
///
/// # Errors
/// What stops the work on this side; a boot that fails is a verdict.
pub fn run(boot: &Boot<'_>) -> Result<BootOutcome> {
    if let Some(reason) = unsupported_reason() {
        return Ok(BootOutcome::Unsupported(reason));
    }
    if let Some(verdict) = boot.cannot_start() {
        return Ok(verdict);
    }
    let version = boot.systemd.map_or(UNIFIED_SINCE, |systemd| systemd.0);
    let hierarchies: &[&str] = match version {
        ..UNIFIED_SINCE => &["v1"],
        UNIFIED_ONLY_SINCE.. => &["v2"],
        _ => &["v2", "v1"],
    };
    let mut reasons = Vec::new();
    for hierarchy in hierarchies {
        match one(boot, hierarchy)? {
            BootOutcome::Unsupported(reason) => reasons.push(reason),
            verdict => return Ok(verdict),
        }
    }
    Ok(BootOutcome::Unsupported(reasons.join("; ")))
}

/// Why this user or machine cannot, as far as that is known before it is tried.
pub(super) fn unsupported_reason() -> Option<String> {
    if !is_root() {
        return Some("not root; cargo xtask smoketest --vm needs no root".into());
    }
    let tools = ["setsid", "unshare", "setpriv", "script", "mount", "chroot"];
    let lacking: Vec<&str> = tools.into_iter().filter(|tool| find_in_path(tool).is_none()).collect();
    (!lacking.is_empty()).then(|| format!("not installed: {} (util-linux, bsdutils)", lacking.join(", ")))
}

fn one(boot: &Boot<'_>, hierarchy: &str) -> Result<BootOutcome> {
    let nonce = nonce();
    let mount_point = boot.work.join("root");
    fs::create_dir_all(&mount_point).with_context(|| format!("cannot make {}", mount_point.display()))?;
    let files = boot.write_overlay(&nonce)?;
    let nspawn = boot.rootfs.first_of(&["bin/systemd-nspawn"]).map(|path| format!("usr/{path}"));
    let usr =
        |paths: &[&str]| boot.rootfs.first_of(paths).map(|path| format!("usr/{path}")).unwrap_or_default();
    let mut command = supervisor_command(&mount_point, hierarchy);
    command
        .env("BOOT_ROOTFS", &boot.rootfs.path)
        .env("BOOT_FILES", &files)
        .env("BOOT_LOADER", usr(&["lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"]))
        .env("BOOT_NSPAWN", nspawn.clone().unwrap_or_default())
        .env("BOOT_INIT", usr(&["lib/systemd/systemd", "lib64/systemd/systemd"]))
        .env("BOOT_UNIT", units::APP_UNIT);
    let heard = console::run_until_exit(&mut command, &units::marker(&nonce), boot.limit, &boot.log())?;
    // Empty by now: what was mounted there was mounted for the supervisor alone.
    let _ = fs::remove_dir(&mount_point);
    if heard.status.and_then(|status| status.code()) == Some(EXIT_UNSUPPORTED) {
        return Ok(BootOutcome::Unsupported(setup_failure(&heard.lines)));
    }
    let by = if nspawn.is_some() { "its own systemd-nspawn" } else { "namespaces, without systemd-nspawn" };
    Ok(boot.judge(format!("booted by {by}, cgroup {hierarchy}"), &heard))
}

/// The supervisor, in a session and a mount namespace of its own.
pub(super) fn supervisor_command(work: &Path, hierarchy: &str) -> Command {
    let mut command = Command::new("setsid");
    command
        .args(["unshare", "--mount", "--propagation", "private", "sh", "-euc", SUPERVISOR, "boot", "outer"])
        .env("BOOT_SCRIPT", SUPERVISOR)
        .env("BOOT_WORK", work)
        .env("BOOT_CGROUP", hierarchy)
        .env("LC_ALL", "C");
    command
}

pub(super) fn setup_failure(lines: &[String]) -> String {
    let said = lines.iter().find_map(|line| line.strip_prefix("boot-setup: "));
    let error = lines.iter().find(|line| line.contains("mount:")).map(|line| format!(" ({})", line.trim()));
    format!("{}{}", said.unwrap_or("the surroundings of a boot cannot be made"), error.unwrap_or_default())
}
