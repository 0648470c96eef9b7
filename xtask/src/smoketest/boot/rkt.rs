//! `rkt run` of the rkt that the build made, as the guide ends.
//!
//! rkt may end with 0 and have said nothing, or never end: the app's token decides, and the time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::nspawn::{setup_failure, supervisor_command, unsupported_reason};
use super::{BootOutcome, console, diagnosis, nonce, units};
use crate::smoketest::rootfs::Rootfs;
use coreos_types::error::{Result, ResultExt};
use coreos_types::release::SystemdVersion;

/// The image that the guide runs.
pub const DEFAULT_APP: &str = "quay.io/coreos/alpine-sh";

/// One run of rkt.
#[derive(Debug, Clone, Copy)]
pub struct RktRun<'a> {
    /// The program.
    pub rkt: &'a Path,
    /// What it runs: a reference, or an `.aci` file.
    pub app: &'a str,
    /// The root filesystem of its stage1, for the diagnosis.
    pub rootfs: &'a Rootfs,
    /// The systemd in it, where that is known.
    pub systemd: Option<SystemdVersion>,
    /// A directory for the log and for rkt's data.
    pub work: &'a Path,
    /// How long it may take.
    pub limit: Duration,
}

/// Runs it, as root, with data, mounts and a cgroup of its own.
///
/// # Errors
/// What stops the work on this side; a run that fails is a verdict.
pub fn run(of: &RktRun<'_>) -> Result<BootOutcome> {
    if let Some(reason) = unsupported_reason() {
        return Ok(BootOutcome::Unsupported(reason));
    }
    let nonce = nonce();
    let data = of.work.join("rkt-data");
    fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    let log = of.work.join("rkt.log");
    // rkt is at home in the old hierarchy where the machine has it.
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let hierarchy = if groups.contains("name=systemd") { "v1" } else { "v2" };
    let mut command = supervisor_command(&data, hierarchy);
    command.env("BOOT_RUN", command_line(of, &data, &nonce));
    let heard = console::run_until_exit(&mut command, &units::marker(&nonce), of.limit, &log);
    let _ = fs::remove_dir_all(&data);
    let heard = heard?;
    let method = format!("rkt run {}", of.app);
    let status = heard.status;
    if status.and_then(|status| status.code()) == Some(75) {
        return Ok(BootOutcome::Unsupported(setup_failure(&heard.lines)));
    }
    if heard.marker_seen && status.is_some_and(|status| status.success()) {
        return Ok(BootOutcome::Passed { method, took: heard.took });
    }
    let why = match status {
        None => format!("rkt did not end within {} s", of.limit.as_secs()),
        Some(status) if heard.marker_seen => {
            format!("the token came back, and then rkt ended with {}", code(status))
        }
        Some(status) => format!("rkt ended with {}, and the token did not come back", code(status)),
    };
    Ok(BootOutcome::Failed {
        method,
        why,
        missing: diagnosis::diagnose(of.rootfs, of.systemd, &heard.lines),
        tail: heard.last_lines(8).into_iter().map(str::to_owned).collect(),
        log,
    })
}

fn code(status: std::process::ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| code.to_string())
}

/// What the shell of the supervisor runs. A file is taken as it is; a reference is fetched with the keys of its host.
fn command_line(of: &RktRun<'_>, data: &Path, nonce: &str) -> String {
    let app = fs::canonicalize(of.app).unwrap_or_else(|_| PathBuf::from(of.app));
    let is_file = app.is_file();
    let trust = if is_file { "--insecure-options=image" } else { "--trust-keys-from-https" };
    // The stage1 that this build made, where it lies beside rkt; else the one that rkt was built to take.
    let stage1 = of.rkt.with_file_name("stage1-coreos.aci");
    let stage1 = match stage1.is_file() {
        true => format!("--stage1-path={} ", quote(&stage1.to_string_lossy())),
        false => String::new(),
    };
    format!(
        "exec {} --dir={} {trust} run {stage1}{} --exec=/bin/sh -- -c 'echo smoketest-$((6 * 7))-{nonce}'",
        quote(&of.rkt.to_string_lossy()),
        quote(&data.to_string_lossy()),
        quote(&app.to_string_lossy()),
    )
}

/// One word for a POSIX shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }
}
