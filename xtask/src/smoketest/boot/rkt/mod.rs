//! `rkt run` with the rkt that the build made.
//!
//! rkt may exit with 0 without running the app, or hang: the result depends on the app's marker and the time limit.
//! `supervisor.sh` sets up what rkt needs (a session, a cgroup with a name in `.service`, one hierarchy) and removes
//! it afterwards.

mod app;
mod tar;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use super::nspawn::{setup_failure, unsupported_reason};
use super::{BootOutcome, console, diagnosis, nonce, units};
use crate::smoketest::rootfs::Rootfs;
use coreos_types::error::{Result, ResultExt};
use coreos_types::release::SystemdVersion;

/// One run of rkt.
#[derive(Debug, Clone, Copy)]
pub struct RktRun<'a> {
    /// The program; its stage1 is in the same directory.
    pub rkt: &'a Path,
    /// The app: a reference, or an `.aci` file; `None` for an image made of the root filesystem's shell.
    pub app: Option<&'a str>,
    /// The root filesystem of its stage1, for the diagnosis.
    pub rootfs: &'a Rootfs,
    /// The version of systemd in the stage1, if known.
    pub systemd: Option<SystemdVersion>,
    /// A directory for the log and for rkt's data.
    pub work: &'a Path,
    /// The time limit.
    pub limit: Duration,
}

/// The text of the supervisor.
const SUPERVISOR: &str = include_str!("supervisor.sh");
/// The supervisor's exit status for a machine that does not support the run.
const EXIT_UNSUPPORTED: i32 = 75;
/// The unified hierarchy is used from this systemd on; before, v1.
const UNIFIED_SINCE: u32 = 233;
/// systemd refuses cgroup v1 from this version on.
const UNIFIED_ONLY_SINCE: u32 = 256;

/// Runs rkt as root, with data, mounts and cgroups of its own.
///
/// # Errors
/// An error on the host; a failed run is an outcome.
pub fn run(run: &RktRun<'_>) -> Result<BootOutcome> {
    if let Some(reason) = unsupported_reason() {
        return Ok(BootOutcome::Unsupported(reason));
    }
    let image = match run.app {
        Some(app) => fs::canonicalize(app).unwrap_or_else(|_| PathBuf::from(app)),
        None => app::write(run.rootfs, &run.work.join("smoketest.aci"))?,
    };
    let hierarchies: &[&str] = match run.systemd.map_or(UNIFIED_SINCE, |systemd| systemd.0) {
        ..UNIFIED_SINCE => &["v1"],
        UNIFIED_ONLY_SINCE.. => &["v2"],
        _ => &["v2", "v1"],
    };
    let mut reasons = Vec::new();
    for hierarchy in hierarchies {
        match run_once(run, &image, hierarchy)? {
            BootOutcome::Unsupported(reason) => reasons.push(reason),
            outcome => return Ok(outcome),
        }
    }
    Ok(BootOutcome::Unsupported(reasons.join("; ")))
}

fn run_once(run: &RktRun<'_>, image: &Path, hierarchy: &str) -> Result<BootOutcome> {
    let nonce = nonce();
    let data = run.work.join("rkt-data");
    // Left by a killed run.
    let _ = fs::remove_dir_all(&data);
    fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
    let log = run.work.join("rkt.log");
    let group = format!("xtask-smoketest-{nonce}.service");
    let mut command = supervisor_command("outer", &group);
    command.env("RKT_CGROUP", hierarchy).args(rkt_command(run, image, &data, &nonce));
    let console = console::run_until_exit(&mut command, &units::marker(&nonce), run.limit, &log);
    if !console.as_ref().is_ok_and(|console| console.status.is_some_and(|status| status.code().is_some())) {
        // The supervisor may have been killed before it removed the cgroups.
        let mut sweep = supervisor_command("sweep", &group);
        let _ = sweep.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    let _ = fs::remove_dir_all(&data);
    let console = console?;
    let method = format!("rkt run {}, cgroup {hierarchy}", run.app.unwrap_or("smoketest.aci"));
    if console.status.and_then(|status| status.code()) == Some(EXIT_UNSUPPORTED) {
        return Ok(BootOutcome::Unsupported(setup_failure(&console.lines)));
    }
    let loader_error = console.lines.iter().any(|line| line.contains(LOADER_ERROR));
    let why = match console.status {
        Some(status) if console.marker_seen && status.success() && !loader_error => {
            return Ok(BootOutcome::Passed { method, took: console.took });
        }
        Some(status) if console.marker_seen && status.success() => {
            "the marker was printed, and a program of the stage1 did not start".to_owned()
        }
        None => format!("rkt did not end within {} s", run.limit.as_secs()),
        Some(status) if console.marker_seen => {
            format!("the marker was printed, and then rkt ended with {}", describe_status(status))
        }
        Some(status) => format!("rkt ended with {}, and the marker was not printed", describe_status(status)),
    };
    let mut missing = diagnosis::missing_essentials(run.rootfs);
    for item in diagnosis::diagnose(run.rootfs, run.systemd, &console.lines) {
        if !missing.iter().any(|known| known.what == item.what) {
            missing.push(item);
        }
    }
    Ok(BootOutcome::Failed {
        method,
        why,
        missing,
        tail: console.last_lines(8).into_iter().map(str::to_owned).collect(),
        log,
    })
}

/// glibc's message for a missing library; rkt may exit with 0 nevertheless.
const LOADER_ERROR: &str = ": error while loading shared libraries: ";

fn describe_status(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| code.to_string())
}

/// A step of the supervisor, in a session and a mount namespace of its own.
fn supervisor_command(step: &str, group: &str) -> Command {
    let mut command = Command::new("setsid");
    command
        .args(["unshare", "--mount", "--propagation", "private", "sh", "-euc", SUPERVISOR, "rkt", step])
        .env("RKT_SCRIPT", SUPERVISOR)
        .env("RKT_GROUP", group)
        .env("LC_ALL", "C");
    command
}

/// The arguments of the run, the program first. The stage1 is the one in the directory of the program: for any other,
/// rkt requires a signature.
fn rkt_command(run: &RktRun<'_>, image: &Path, data: &Path, nonce: &str) -> Vec<String> {
    let image = image.display().to_string();
    let mut words = vec![run.rkt.display().to_string(), format!("--dir={}", data.display())];
    words.push(match find_trust(&image) {
        Trust::Unsigned => "--insecure-options=image".to_owned(),
        Trust::Signed => "--insecure-options=none".to_owned(),
        Trust::KeysOfHost => "--trust-keys-from-https".to_owned(),
    });
    // The default network requires iptables on the host, and leaves leases on disk.
    words.extend(["run", &image, "--net=host", "--exec=/bin/sh", "--", "-c"].map(str::to_owned));
    words.push(format!("echo smoketest-$((6 * 7))-{nonce}"));
    words
}

#[derive(Debug, PartialEq, Eq)]
enum Trust {
    /// No signature exists: a file without `FILE.asc`, or a Docker image.
    Unsigned,
    /// A file with its signature in `FILE.asc`.
    Signed,
    /// A reference: rkt downloads the keys from the host that has the image.
    KeysOfHost,
}

fn find_trust(image: &str) -> Trust {
    let (path, signature) = (Path::new(image), format!("{image}.asc"));
    match path.is_file() {
        true if Path::new(&signature).is_file() => Trust::Signed,
        true => Trust::Unsigned,
        false if image.starts_with("docker://") => Trust::Unsigned,
        false => Trust::KeysOfHost,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_images_that_cannot_be_signed_are_taken_unsigned() {
        let home = tempfile::tempdir().unwrap();
        let (unsigned, signed) = (home.path().join("a.aci"), home.path().join("b.aci"));
        for path in [&unsigned, &signed, &home.path().join("b.aci.asc")] {
            fs::write(path, "").unwrap();
        }
        for (image, expected) in [
            (unsigned.to_str().unwrap(), Trust::Unsigned),
            (signed.to_str().unwrap(), Trust::Signed),
            ("docker://alpine", Trust::Unsigned),
            ("quay.io/coreos/alpine-sh", Trust::KeysOfHost),
            ("/nowhere/a.aci", Trust::KeysOfHost),
        ] {
            assert_eq!(find_trust(image), expected, "{image}");
        }
    }
}
