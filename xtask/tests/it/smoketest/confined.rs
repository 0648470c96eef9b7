//! Confinement of code from an image during the link check and the boot: a hostile program replaces the loader or
//! systemd.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{BOOKWORM, Bench, RunResult};

const HOSTILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/smoketest/hostile.c");

/// The real path of the loader in Debian's image.
pub(super) fn loader(rootfs: &Path) -> PathBuf {
    fs::canonicalize(rootfs.join("usr/lib64/ld-linux-x86-64.so.2")).unwrap()
}

/// A built root filesystem in a temporary directory, and files outside that it must not change.
pub(super) struct Hostile {
    pub(super) bench: Bench,
    pub(super) rootfs: PathBuf,
    target: PathBuf,
}

impl Hostile {
    pub(super) fn new() -> Hostile {
        let bench = Bench::new(BOOKWORM);
        bench.run(BOOKWORM, &["smoketest", "--no-static", "--no-link", "--no-run"]).assert_code(0);
        let rootfs = bench.tree().join("stage1/build-amd64-usr/aci-for-coreos-flavor/rootfs");
        let target = bench.home.path().join("outside");
        fs::create_dir(&target).unwrap();
        // The directory is world-writable: only the confinement protects it.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(&target, open).unwrap();
        Hostile { bench, rootfs, target: target.join("file") }
    }

    /// Compiles the hostile program to a file.
    pub(super) fn compile(&self, mode: u32, to: &Path) {
        fs::remove_file(to).unwrap();
        let target = format!("-DTARGET=\"{}\"", self.target.display());
        let output = Command::new("gcc")
            .args(["-static", "-O1", &format!("-DMODE={mode}"), &target, HOSTILE, "-o"])
            .arg(to)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn run(&self, arguments: &[&str]) -> RunResult {
        let rootfs = self.rootfs.to_str().unwrap();
        let result = self.bench.run(BOOKWORM, &[&["smoketest", "--rootfs", rootfs], arguments].concat());
        assert!(!self.target.exists(), "the program wrote outside of its root directory");
        result
    }
}

#[test]
#[ignore = "needs root, make, gcc and Debian releases"]
fn loader_of_the_image_has_no_rights() {
    let hostile = Hostile::new();
    hostile.compile(0, &loader(&hostile.rootfs));
    // The caller has a directory of the machine open.
    let rootfs = hostile.rootfs.to_str().unwrap();
    let arguments = ["smoketest", "--rootfs", rootfs, "--no-run", "--jobs", "1"];
    let inner = hostile.bench.command(BOOKWORM, &arguments);
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" 7< /", "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.env("XTASK_CACHE_DIR", hostile.bench.home.path().join("cache"));
    let result = RunResult::from_output(&command.output().unwrap());
    assert!(!hostile.target.exists());
    result.assert_code(1);
    let failed = result.checks("fail").join("\n");
    for word in [
        "uid=65533",
        "no_new_privs=1",
        "capability=0",
        "pid=1",
        "fork=0",
        "namespace=0",
        "mount=0",
        "segment=0",
        "semaphores=0",
        "memory=0",
        "file=0",
        "memory_file=0",
        "escape=0",
        "target=0",
        "descriptors=0",
    ] {
        assert!(failed.contains(&format!(" {word}")), "{word} in {failed}");
    }
}

#[test]
#[ignore = "needs root, make, gcc and Debian releases"]
fn loader_that_hangs_or_floods_is_stopped() {
    let hostile = Hostile::new();
    for (mode, reason) in [(1, "did not end within 10 s"), (2, "printed more than 1024 KiB")] {
        hostile.compile(mode, &loader(&hostile.rootfs));
        let started = Instant::now();
        let result = hostile.run(&["--no-run", "--jobs", "1"]);
        result.assert_code(1);
        let failed = result.checks("fail");
        assert!(failed.len() == 1 && failed[0].contains(reason), "{failed:#?}");
        assert!(started.elapsed() < Duration::from_secs(60), "{reason}: {:?}", started.elapsed());
    }
}

/// systemd of the image is process 1 of a user namespace, with capabilities only inside the namespace.
#[test]
#[ignore = "needs root, make, gcc and Debian releases"]
fn root_of_a_boot_is_nobodys_root() {
    let hostile = Hostile::new();
    fs::remove_file(hostile.rootfs.join("usr/bin/systemd-nspawn")).unwrap();
    hostile.compile(0, &fs::canonicalize(hostile.rootfs.join("usr/lib64/systemd/systemd")).unwrap());
    let result = hostile.run(&["--no-link", "--timeout", "20"]);
    result.assert_code(1);
    let failed = result.checks("fail").join("\n");
    for word in ["in a user namespace", " uid=0", " target=0"] {
        assert!(failed.contains(word), "{word} in {failed}");
    }
    assert!(!failed.contains("no limit on"), "{failed}");
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn console_without_end_stops_the_boot() {
    let hostile = Hostile::new();
    fs::remove_file(hostile.rootfs.join("usr/bin/systemd-nspawn")).unwrap();
    hostile.compile(2, &fs::canonicalize(hostile.rootfs.join("usr/lib64/systemd/systemd")).unwrap());
    let result = hostile.run(&["--no-link", "--timeout", "60"]);
    result.assert_code(1);
    assert!(result.checks("fail").join("\n").contains("printed without end"), "{:#?}", result.checks("fail"));
    let log = hostile.bench.tree().join("stage1/build-smoketest/given/boot.log");
    assert!(fs::metadata(log).unwrap().len() < 16 << 20);
}

/// `/etc` of the root filesystem, or files in it, are symlinks to paths of this machine.
#[test]
#[ignore = "needs root, make and Debian releases"]
fn links_of_a_root_filesystem_stay_inside() {
    let hostile = Hostile::new();
    let outside = hostile.target.parent().unwrap();
    fs::write(outside.join("passwd"), "precious\n").unwrap();
    for prepare in [
        (|rootfs: &Path, outside: &Path| symlink(outside, rootfs.join("etc")).unwrap()) as fn(&Path, &Path),
        |rootfs, outside| {
            fs::create_dir(rootfs.join("etc")).unwrap();
            symlink(outside.join("passwd"), rootfs.join("etc/passwd")).unwrap();
            symlink(outside, rootfs.join("etc/systemd")).unwrap();
        },
    ] {
        prepare(&hostile.rootfs, outside);
        hostile.run(&["--timeout", "30"]).assert_code(0);
        assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(outside.join("passwd")).unwrap(), "precious\n");
        fs::remove_file(hostile.rootfs.join("etc"))
            .or_else(|_| fs::remove_dir_all(hostile.rootfs.join("etc")))
            .unwrap();
    }
}

/// No step passes a path to a shell as code.
#[test]
#[ignore = "needs root, make and Debian releases"]
fn paths_with_quotes_and_commands_work() {
    let mut bench = Bench::new(BOOKWORM);
    let home = bench.home.path().join("o'brien $(touch INJECTED) \"x\"");
    fs::create_dir(&home).unwrap();
    fs::rename(bench.tree(), home.join("tree")).unwrap();
    bench.below = Some(home);
    let result = bench.run(BOOKWORM, &["smoketest", "--no-static", "--timeout", "30"]);
    result.assert_code(0);
    let found = Command::new("find").arg(bench.home.path()).args(["-name", "INJECTED*"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn tree_of_another_user_is_not_built() {
    let bench = Bench::new(BOOKWORM);
    std::os::unix::fs::chown(bench.tree().join("stage1/Makefile"), Some(1234), None).unwrap();
    let arguments = ["smoketest", "--no-static", "--no-link", "--no-run"];
    let result = bench.run(BOOKWORM, &arguments);
    result.assert_code(2);
    assert!(!bench.tree().join("stage1/build-amd64-usr").exists());
    assert!(result.document["error"]["hint"].as_str().unwrap().contains("safe.directory"));
    let mut trusted = bench.command(BOOKWORM, &arguments);
    RunResult::from_output(&trusted.env("XTASK_TRUST_TREE", bench.tree()).output().unwrap()).assert_code(0);
}

/// Boots with emulation or KVM from the files of the root filesystem, including unusual names.
#[test]
#[ignore = "needs qemu, a kernel, root, make and Debian releases"]
fn boots_in_a_virtual_machine() {
    let hostile = Hostile::new();
    fs::write(hostile.rootfs.join("usr/it's\na $(touch INJECTED) name"), "").unwrap();
    let result = hostile.run(&["--no-link", "--vm", "--timeout", "150"]);
    result.assert_code(0);
    assert!(result.checks("pass").iter().any(|check| check.contains("booted by qemu-system-x86_64")));
}

/// The loader is never run unconfined: here the creation of user namespaces is forbidden.
#[test]
#[ignore = "needs root, make and Debian releases"]
fn link_check_is_skipped_where_nothing_confines() {
    let hostile = Hostile::new();
    let run = |more: &[&str]| {
        let rootfs = hostile.rootfs.to_str().unwrap();
        let arguments = [&["smoketest", "--no-run", "--rootfs", rootfs], more].concat();
        let inner = hostile.bench.command(BOOKWORM, &arguments);
        let mut command = Command::new("unshare");
        let limit = "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"";
        command
            .args(["--map-root-user", "sh", "-euc", limit, "sh"])
            .arg(inner.get_program())
            .args(inner.get_args());
        command.env("XTASK_CACHE_DIR", hostile.bench.home.path().join("cache"));
        RunResult::from_output(&command.output().unwrap())
    };
    let result = run(&[]);
    result.assert_code(2);
    assert!(result.checks("skip").iter().any(|check| check.starts_with("link amd64-usr coreos: unshare")));
    assert!(result.checks("pass").is_empty());
    assert!(
        result.document["error"]["hint"].as_str().unwrap().ends_with("--no-link"),
        "{}",
        result.document["error"]
    );
    run(&["--no-link"]).assert_code(0);
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn ordinary_user_builds_and_links() {
    let bench = Bench::new(BOOKWORM);
    let home = bench.home.path();
    let program = home.join("xtask");
    fs::copy(env!("CARGO_BIN_EXE_xtask"), &program).unwrap();
    let owned = Command::new("chown").args(["-R", "12345:12345"]).arg(home).status();
    assert!(owned.unwrap().success());
    let inner = bench.command(BOOKWORM, &["smoketest", "--no-static", "--no-run"]);
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "12345", "--regid", "12345", "--clear-groups"])
        .arg(program)
        .args(inner.get_args());
    command.env("HOME", home).env("XTASK_CACHE_DIR", home.join("cache")).env_remove("SUDO_UID");
    let result = RunResult::from_output(&command.output().unwrap());
    result.assert_code(0);
    assert!(result.checks("pass").iter().any(|check| check.contains("confined, a user namespace")));
}

/// A pipe in place of a version file, a device file, and a file larger than the memory.
#[test]
#[ignore = "needs root, make and Debian releases"]
fn odd_files_of_a_root_filesystem_do_no_harm() {
    let hostile = Hostile::new();
    let make = |program: &str, arguments: &[&str], name: &str| {
        let status = Command::new(program).arg(hostile.rootfs.join(name)).args(arguments).status();
        assert!(status.unwrap().success(), "{program}");
    };
    fs::remove_file(hostile.rootfs.join("systemd-version")).unwrap();
    make("mkfifo", &[], "systemd-version");
    make("mknod", &["b", "254", "0"], "usr/device");
    fs::File::create(hostile.rootfs.join("usr/huge")).unwrap().set_len(1 << 40).unwrap();
    let started = Instant::now();
    hostile.run(&["--timeout", "30"]).assert_code(0);
    assert!(started.elapsed() < Duration::from_secs(60));
}
