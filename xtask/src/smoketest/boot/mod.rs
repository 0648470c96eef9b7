//! Boots a built root filesystem: its own systemd as process 1, and an app that prints a marker through the journal.
//!
//! Three methods: [`namespaces`] is rkt's own, in namespaces of this machine; [`vm`] needs no root and keeps the
//! image's code in a virtual machine; [`rkt`] is rkt itself. The exit status alone is not sufficient: a stage1 without a
//! journal ends with 0 and prints nothing.

mod console;
pub(super) mod diagnosis;
pub(super) mod namespaces;
pub(super) mod overlay;
pub(super) mod rkt;
pub(super) mod vm;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::console::ConsoleLog;
use super::check_log::last_lines;
use super::host::{is_root, missing_programs_reason};
use super::no_follow;
use super::rootfs::Rootfs;
use coreos_types::{Result, ResultExt, SystemdVersion};

pub(super) struct Boot<'a> {
    pub rootfs: &'a Rootfs,
    /// The version of its systemd, if known.
    pub systemd: Option<SystemdVersion>,
    /// A directory for the log and the files of the boot.
    pub work_directory: &'a Path,
    pub limit: Duration,
}

/// A boot that fails is an outcome; what fails on the host is an error.
pub(super) enum BootOutcome {
    Passed {
        /// The method, and the isolation from this machine.
        method: String,
        took: Duration,
    },
    Failed {
        method: String,
        why: String,
        missing: Vec<diagnosis::MissingItem>,
        /// The last lines of the console.
        tail: String,
        /// `None` where nothing was booted.
        log: Option<PathBuf>,
    },
    /// This machine or user cannot boot the root filesystem; the reason.
    Unsupported(String),
}

impl Boot<'_> {
    /// The failure for a root filesystem without an essential file, which is not booted.
    fn essentials_failure(&self) -> Option<BootOutcome> {
        let missing = diagnosis::missing_essentials(self.rootfs);
        if missing.is_empty() {
            return None;
        }
        let (method, why) = ("boot".to_owned(), "the boot cannot start".to_owned());
        Some(BootOutcome::Failed { method, why, missing, tail: String::new(), log: None })
    }

    fn log_path(&self) -> PathBuf {
        self.work_directory.join("boot.log")
    }

    /// Writes the files that overlay the root filesystem, and returns their directory.
    fn write_overlay(&self, nonce: &str) -> Result<PathBuf> {
        let home = self.work_directory.join("files");
        no_follow::remove_all_if_exists(&home)?;
        let shell = self.rootfs.first_existing(&["bin/bash", "bin/sh"]).unwrap_or("bin/bash");
        let has_journalctl = self.rootfs.first_existing(&["bin/journalctl"]).is_some();
        for (path, text) in overlay::overlay_files(self.systemd, nonce, shell, has_journalctl) {
            let path = home.join(path);
            let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
            made.with_path("cannot write", &path)?;
        }
        Ok(home)
    }

    /// Why a run of `who` failed; `None` if it printed the marker and ended.
    fn failure_reason(&self, who: &str, console: &ConsoleLog) -> Option<String> {
        let how = match console.status {
            Some(_) if console.marker_seen => return None,
            Some(status) => format!("ended with {}", exit_code(status)),
            None if console.overflow => "printed without end and was stopped".to_owned(),
            None => format!("did not end within {} s", self.limit.as_secs()),
        };
        let marker = if console.marker_seen { "was" } else { "was not" };
        Some(format!("{who} {how}, and the marker {marker} printed"))
    }

    /// The outcome of a boot that failed for a reason, or passed. A failure is diagnosed.
    fn outcome(&self, method: String, failure: Option<String>, console: &ConsoleLog) -> BootOutcome {
        let Some(why) = failure else { return BootOutcome::Passed { method, took: console.took } };
        let missing = diagnosis::diagnose(self.rootfs, self.systemd, &console.lines);
        let tail = last_lines(console.lines.iter().map(String::as_str), 8);
        BootOutcome::Failed { method, why, missing, tail, log: Some(self.log_path()) }
    }
}

/// systemd's unified hierarchy works from this version on; earlier versions get v1.
const UNIFIED_SINCE: u32 = 233;
/// systemd refuses cgroup v1 from this version on.
const UNIFIED_ONLY_SINCE: u32 = 256;
/// A supervisor's exit status for a machine that does not support the run.
const EXIT_UNSUPPORTED: i32 = 75;

/// A script that runs something in namespaces of this machine, as root, and removes all of it afterwards.
struct SupervisorScript<'a> {
    boot: &'a Boot<'a>,
    /// The text, which begins with that of `supervise.sh`.
    script: &'static str,
    /// The hierarchy of the run: `v1` or `v2`.
    hierarchy: &'static str,
    nonce: String,
    cgroup: String,
}

impl SupervisorScript<'_> {
    /// Runs once for each hierarchy that the systemd works with, until this machine supports one. The name of each
    /// cgroup ends with `suffix`.
    fn try_hierarchies(
        boot: &Boot<'_>,
        script: &'static str,
        suffix: &str,
        run: impl Fn(&SupervisorScript<'_>) -> Result<BootOutcome>,
    ) -> Result<BootOutcome> {
        if let Some(reason) = unsupported_reason() {
            return Ok(BootOutcome::Unsupported(reason));
        }
        let hierarchies: &[&str] = match boot.systemd.map_or(UNIFIED_SINCE, |systemd| systemd.0) {
            ..UNIFIED_SINCE => &["v1"],
            UNIFIED_ONLY_SINCE.. => &["v2"],
            _ => &["v2", "v1"],
        };
        let mut reasons = Vec::new();
        for hierarchy in hierarchies {
            let nonce = nonce();
            let cgroup = format!("xtask-smoketest-{nonce}{suffix}");
            match run(&SupervisorScript { boot, script, hierarchy, nonce, cgroup })? {
                BootOutcome::Unsupported(reason) => reasons.push(reason),
                outcome => return Ok(outcome),
            }
        }
        Ok(BootOutcome::Unsupported(reasons.join("; ")))
    }

    /// A step, in a session and a mount namespace of its own.
    fn command(&self, step: &str) -> Command {
        let mut command = Command::new("setsid");
        command
            .args(["unshare", "--mount", "--propagation", "private", "sh", "-euc", self.script, "boot", step])
            .env("BOOT_SCRIPT", self.script)
            .env("BOOT_CGROUP", self.hierarchy)
            .env("BOOT_GROUP", &self.cgroup)
            .env("LC_ALL", "C");
        command
    }

    /// Runs a step to its end; also removes the remains of a supervisor that was killed.
    fn run(
        &self,
        mut command: Command,
        evaluate: impl FnOnce(&ConsoleLog) -> BootOutcome,
    ) -> Result<BootOutcome> {
        let (marker, log) = (overlay::marker(&self.nonce), self.boot.log_path());
        let console = console::run_with_limits(&mut command, &marker, self.boot.limit, &log);
        let status = console.as_ref().ok().and_then(|console| console.status?.code());
        if status.is_none() {
            let mut clean = self.command("clean");
            let _ = clean.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        let console = console?;
        Ok(match status {
            Some(EXIT_UNSUPPORTED) => BootOutcome::Unsupported(setup_failure(&console.lines)),
            _ => evaluate(&console),
        })
    }
}

/// The reason why this user or machine cannot run a supervisor, if known before an attempt.
fn unsupported_reason() -> Option<String> {
    if !is_root() {
        return Some("a boot in namespaces needs root; --vm does not".into());
    }
    let missing = missing_programs_reason(&["setsid", "unshare", "setpriv", "script", "mount"])?;
    Some(format!("{missing} (util-linux, bsdutils)"))
}

/// The exit code, or the signal in words.
fn exit_code(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| code.to_string())
}

fn setup_failure(lines: &[String]) -> String {
    let message = lines.iter().find_map(|line| line.strip_prefix("boot-setup: "));
    let error = lines.iter().find(|line| line.contains("mount:")).map(|line| format!(" ({})", line.trim()));
    format!("{}{}", message.unwrap_or("the namespaces of a boot cannot be made"), error.unwrap_or_default())
}

fn nonce() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}{:x}", std::process::id(), since.as_micros())
}
