//! A boot in namespaces of this machine: by the stage1's own systemd-nspawn where it has one, else by its systemd alone.
//!
//! `supervisor.sh` does what needs a shell between processes: a copy of the root filesystem in memory, cgroups with
//! limits, a user namespace with IDs that no account has, a pseudo-terminal, and the removal of all of these, also
//! after this process was killed. The outcome names isolation that this machine does not support.

use std::process::{Command, Stdio};

use super::{Boot, BootOutcome, console, nonce, units};
use crate::smoketest::host::{find_in_path, is_root};
use coreos_types::error::{Error, Result, ResultExt};

/// The text of the supervisor.
const SUPERVISOR: &str = include_str!("supervisor.sh");

/// The supervisor's exit status for a machine that does not support the boot.
const EXIT_UNSUPPORTED: i32 = 75;
/// systemd's unified hierarchy works from this version on; earlier versions get v1.
const UNIFIED_SINCE: u32 = 233;
/// systemd refuses cgroup v1 from this version on.
const UNIFIED_ONLY_SINCE: u32 = 256;
/// The first of the user IDs of a boot: the last range that systemd leaves to containers (systemd's UIDS-GIDS).
const FIRST_UID: u32 = 0x6FFF_0000;

/// Boots a root filesystem; requires root.
///
/// # Errors
/// An error on the host; a failed boot is an outcome.
pub fn run(boot: &Boot<'_>) -> Result<BootOutcome> {
    if let Some(reason) = unsupported_reason() {
        return Ok(BootOutcome::Unsupported(reason));
    }
    if let Some(outcome) = boot.cannot_start() {
        return Ok(outcome);
    }
    let user_namespace = probe_user_namespace()?;
    let version = boot.systemd.map_or(UNIFIED_SINCE, |systemd| systemd.0);
    let hierarchies: &[&str] = match version {
        ..UNIFIED_SINCE => &["v1"],
        UNIFIED_ONLY_SINCE.. => &["v2"],
        _ => &["v2", "v1"],
    };
    let mut reasons = Vec::new();
    for hierarchy in hierarchies {
        match boot_once(boot, hierarchy, &user_namespace)? {
            BootOutcome::Unsupported(reason) => reasons.push(reason),
            outcome => return Ok(outcome),
        }
    }
    Ok(BootOutcome::Unsupported(reasons.join("; ")))
}

/// The reason why this user or machine cannot boot it, if known before an attempt.
pub(super) fn unsupported_reason() -> Option<String> {
    if !is_root() {
        return Some("a boot in namespaces needs root; --vm does not".into());
    }
    let tools = ["setsid", "unshare", "setpriv", "script", "mount"];
    let missing: Vec<&str> = tools.into_iter().filter(|tool| find_in_path(tool).is_none()).collect();
    (!missing.is_empty()).then(|| format!("not installed: {} (util-linux, bsdutils)", missing.join(", ")))
}

/// Whether the boot can have a user namespace; if not, the reason.
///
/// # Errors
/// A signal ended the probe: the result is unknown.
fn probe_user_namespace() -> Result<std::result::Result<(), String>> {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
    if !is_whole {
        return Ok(Err("this is a container without user IDs of its own".into()));
    }
    // The mounts of the boot: a kernel or container may allow namespaces and reject the mounts.
    let probe = "mount -t proc proc /proc && mount -t sysfs -o ro sysfs /sys";
    let mut command = Command::new("unshare");
    command.args([
        "--map-root-user",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--net",
        "--cgroup",
        "sh",
        "-c",
        probe,
    ]);
    let output =
        command.env("LC_ALL", "C").stdin(Stdio::null()).output().with_context(|| "cannot run unshare")?;
    match output.status.code() {
        Some(0) => Ok(Ok(())),
        Some(_) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            Ok(Err(stderr.lines().next().unwrap_or("unshare failed").trim().to_owned()))
        }
        None => Err(Error::failed(format!("unshare ended by {}", output.status))),
    }
}

fn boot_once(
    boot: &Boot<'_>,
    hierarchy: &str,
    user_namespace: &std::result::Result<(), String>,
) -> Result<BootOutcome> {
    let nonce = nonce();
    let files = boot.write_overlay(&nonce)?;
    let nspawn = boot.rootfs.first_of(&["bin/systemd-nspawn"]).map(|path| format!("usr/{path}"));
    let usr =
        |paths: &[&str]| boot.rootfs.first_of(paths).map(|path| format!("usr/{path}")).unwrap_or_default();
    let tool = std::env::current_exe().with_context(|| "cannot locate this program")?;
    let group = format!("xtask-smoketest-{nonce}");
    let mut command = supervisor_command("outer", hierarchy, &group);
    command
        .env("BOOT_ROOTFS", &boot.rootfs.path)
        .env("BOOT_FILES", &files)
        .env("BOOT_TOOL", tool)
        .env("BOOT_UIDS", user_namespace.as_ref().map(|()| FIRST_UID.to_string()).unwrap_or_default())
        .env("BOOT_LOADER", usr(&["lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"]))
        .env("BOOT_NSPAWN", nspawn.clone().unwrap_or_default())
        .env("BOOT_INIT", usr(&["lib/systemd/systemd", "lib64/systemd/systemd"]))
        .env("BOOT_UNIT", units::APP_UNIT);
    let console = console::run_until_exit(&mut command, &units::marker(&nonce), boot.limit, &boot.log());
    if !console.as_ref().is_ok_and(|console| console.ended()) {
        clean_up(hierarchy, &group);
    }
    let console = console?;
    if console.status.and_then(|status| status.code()) == Some(EXIT_UNSUPPORTED) {
        return Ok(BootOutcome::Unsupported(setup_failure(&console.lines)));
    }
    let by = if nspawn.is_some() { "its own systemd-nspawn" } else { "its systemd, without systemd-nspawn" };
    let protection = describe_protection(user_namespace, &console.lines);
    Ok(boot.evaluate(format!("booted by {by}, cgroup {hierarchy}, {protection}"), &console))
}

/// The isolation of a boot: namespace and limits, or the unsupported parts.
fn describe_protection(user_namespace: &std::result::Result<(), String>, lines: &[String]) -> String {
    let mut text = match user_namespace {
        Ok(()) => "in a user namespace".to_owned(),
        Err(reason) => format!(
            "WITHOUT a user namespace ({reason}): the image's root was root of this machine; --vm keeps it apart"
        ),
    };
    for note in lines.iter().filter_map(|line| line.strip_prefix("boot-note: ")) {
        text.push_str(&format!(", {note}"));
    }
    text
}

/// The supervisor, in a session and a mount namespace of its own.
fn supervisor_command(step: &str, hierarchy: &str, group: &str) -> Command {
    let mut command = Command::new("setsid");
    command
        .args(["unshare", "--mount", "--propagation", "private", "sh", "-euc", SUPERVISOR, "boot", step])
        .env("BOOT_SCRIPT", SUPERVISOR)
        .env("BOOT_CGROUP", hierarchy)
        .env("BOOT_GROUP", group)
        .env("LC_ALL", "C");
    command
}

/// Removes the remains of a killed supervisor.
fn clean_up(hierarchy: &str, group: &str) {
    let mut command = supervisor_command("clean", hierarchy, group);
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

pub(super) fn setup_failure(lines: &[String]) -> String {
    let message = lines.iter().find_map(|line| line.strip_prefix("boot-setup: "));
    let error = lines.iter().find(|line| line.contains("mount:")).map(|line| format!(" ({})", line.trim()));
    format!("{}{}", message.unwrap_or("the namespaces of a boot cannot be made"), error.unwrap_or_default())
}
