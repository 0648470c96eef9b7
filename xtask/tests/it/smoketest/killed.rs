//! A boot leaves nothing behind when the program is killed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{BOOKWORM, Bench};

/// What a boot could leave: processes that know its directory, mounts, cgroups.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Traces {
    pub(super) processes: BTreeSet<String>,
    mounts: String,
    pub(super) cgroups: BTreeSet<PathBuf>,
}

impl Traces {
    pub(super) fn of(home: &Path) -> Traces {
        let home = home.to_str().unwrap();
        let knows = |process: &PathBuf| {
            let text =
                |file: &str| fs::read(process.join(file)).map(|b| String::from_utf8_lossy(&b).into_owned());
            let all = ["cmdline", "environ", "mountinfo"].map(|file| text(file).unwrap_or_default()).concat();
            all.contains(home).then(|| text("cmdline").unwrap_or_default())
        };
        let processes = names(Path::new("/proc")).iter().filter_map(knows).collect();
        let mut cgroups = BTreeSet::new();
        directories(Path::new("/sys/fs/cgroup"), &mut cgroups);
        cgroups.retain(|path| path.to_string_lossy().contains("xtask-smoketest"));
        Traces { processes, mounts: fs::read_to_string("/proc/self/mounts").unwrap(), cgroups }
    }
}

fn names(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn directories(at: &Path, into: &mut BTreeSet<PathBuf>) {
    for path in names(at).into_iter().filter(|path| path.is_dir() && !path.is_symlink()) {
        directories(&path, into);
        into.insert(path);
    }
}

pub(super) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn killed_boot_leaves_nothing() {
    let bench = Bench::new(BOOKWORM);
    // Without the journal's daemon a boot waits for it, and there is time to kill.
    bench.leave_out(|line| line == "lib64/systemd/systemd-journald");
    bench.run(BOOKWORM, &["smoketest", "--no-static", "--no-run"]).assert_code(0);
    let before = Traces::of(bench.home.path());
    let run = || -> Child {
        let mut command = bench
            .command(BOOKWORM, &["smoketest", "--no-build", "--no-static", "--no-link", "--timeout", "60"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut child = run();
    let boots = || Traces::of(bench.home.path()).processes.iter().any(|line| line.contains("systemd-nspawn"));
    until("the boot starts", boots);
    sleep(Duration::from_millis(500));
    let during = Traces::of(bench.home.path());
    assert!(!during.cgroups.is_empty() && during.processes.len() > 3, "{during:#?}");
    child.kill().unwrap();
    child.wait().unwrap();
    until("everything is gone", || Traces::of(bench.home.path()) == before);
}
