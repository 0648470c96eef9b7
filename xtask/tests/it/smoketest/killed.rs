//! Runs ended by a signal: no process, mount or cgroup remains, whichever process receives the signal.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::confined::{Hostile, loader};
use super::{BOOKWORM, Bench};

/// Possible remains of a run: processes that refer to its directory, mounts, cgroups.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Traces {
    pub(super) processes: BTreeSet<String>,
    mounts: String,
    pub(super) cgroups: BTreeSet<PathBuf>,
}

impl Traces {
    pub(super) fn collect(home: &Path) -> Traces {
        let home = home.to_str().unwrap();
        let knows = |process: &PathBuf| {
            let text =
                |file: &str| fs::read(process.join(file)).map(|b| String::from_utf8_lossy(&b).into_owned());
            let all = ["cmdline", "environ", "mountinfo"].map(|file| text(file).unwrap_or_default()).concat();
            all.contains(home).then(|| text("cmdline").unwrap_or_default())
        };
        let processes = list_dir(Path::new("/proc")).iter().filter_map(knows).collect();
        let mut cgroups = BTreeSet::new();
        directories(Path::new("/sys/fs/cgroup"), &mut cgroups);
        cgroups.retain(|path| path.to_string_lossy().contains("xtask-smoketest"));
        Traces { processes, mounts: fs::read_to_string("/proc/self/mounts").unwrap(), cgroups }
    }
}

fn list_dir(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn directories(at: &Path, into: &mut BTreeSet<PathBuf>) {
    for path in list_dir(at).into_iter().filter(|path| path.is_dir() && !path.is_symlink()) {
        directories(&path, into);
        into.insert(path);
    }
}

/// The child process of `pid`: the supervisor of a run.
fn find_child(pid: u32) -> Option<u32> {
    let status = |process: &PathBuf| fs::read_to_string(process.join("status")).unwrap_or_default();
    let is_child = |process: &PathBuf| status(process).lines().any(|line| line == format!("PPid:\t{pid}"));
    let found = list_dir(Path::new("/proc")).into_iter().find(is_child)?;
    found.file_name()?.to_str()?.parse().ok()
}

fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

pub(super) fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(50));
    }
}

/// Runs a smoke test that hangs, sends a signal at a given time, and expects that nothing remains after the timeout.
fn check(bench: &Bench, arguments: &[&str], moments: &[u64]) {
    let before = Traces::collect(bench.home.path());
    let start = || -> Child {
        let arguments = [&["smoketest", "--no-build", "--no-static"], arguments].concat();
        let mut command = bench.command(BOOKWORM, &arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    for (number, name) in ["INT", "TERM", "HUP", "KILL"].into_iter().cycle().take(8).enumerate() {
        let mut tool = start();
        sleep(Duration::from_millis(moments[number % moments.len()]));
        let to_supervisor = number >= 4;
        let target = if to_supervisor { find_child(tool.id()) } else { Some(tool.id()) };
        signal(name, target.unwrap_or(tool.id()));
        let what =
            format!("{arguments:?}: {name} to the {}", if to_supervisor { "supervisor" } else { "tool" });
        // The cgroups of the run have its process ID in their name; cgroups of other tests are ignored.
        let group = format!("xtask-smoketest-{:x}", tool.id());
        // Twice the grace period of two seconds: other tests run on the same processors.
        let deadline = Instant::now() + Duration::from_secs(4);
        loop {
            let mut left = Traces::collect(bench.home.path());
            left.cgroups.retain(|path| path.to_string_lossy().contains(&group));
            left.processes.retain(|process| !before.processes.contains(process));
            let ended = !matches!(tool.try_wait(), Ok(None));
            if ended && left.cgroups.is_empty() && left.processes.is_empty() && left.mounts == before.mounts {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "{what}, ended {ended}: {:#?} {:#?}",
                left.processes,
                left.cgroups
            );
            sleep(Duration::from_millis(50));
        }
    }
}

#[test]
#[ignore = "needs root, make, gcc and Debian releases"]
fn signals_during_a_link_check_leave_nothing() {
    let hostile = Hostile::new();
    hostile.compile(1, &loader(&hostile.rootfs));
    let rootfs = hostile.rootfs.to_str().unwrap();
    check(&hostile.bench, &["--no-run", "--rootfs", rootfs], &[900, 300, 600, 500]);
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn signals_during_a_boot_leave_nothing_behind() {
    let bench = Bench::new(BOOKWORM);
    // Without systemd-journald a boot waits, which leaves time for the signal.
    bench.leave_out(|line| line == "lib64/systemd/systemd-journald" || line.starts_with("bin/bash"));
    bench.run(BOOKWORM, &["smoketest", "--no-static", "--no-link", "--no-run"]).assert_code(0);
    check(&bench, &["--no-link", "--timeout", "60", "--flavor", "coreos"], &[1500, 400, 800, 600]);
}
