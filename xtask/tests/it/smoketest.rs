//! `smoketest` on real files: releases made from Debian suites by `scripts/make-debian-release.sh`, root filesystems
//! built by make, the real loader, and boots. These tests need root.
//!
//! The releases are those of [`crate::e2e`].

mod confined;
mod contents;
mod failures;
mod killed;
mod rkt;
mod stubs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use crate::e2e::{BOOKWORM, TRIXIE, releases, script};

fn image(release: &str) -> PathBuf {
    releases().join("amd64-usr").join(release).join("coreos_production_pxe_image.cpio.gz")
}

/// A temporary tree for a release, and runs of the tool.
struct Bench {
    home: tempfile::TempDir,
    /// The directory of the tree; `None` for `home`.
    below: Option<PathBuf>,
}

impl Bench {
    fn new(release: &str) -> Bench {
        static TREES: OnceLock<tempfile::TempDir> = OnceLock::new();
        let bench = Bench { home: tempfile::tempdir().unwrap(), below: None };
        let trees = TREES.get_or_init(|| {
            let trees = tempfile::tempdir().unwrap();
            for release in [BOOKWORM, TRIXIE] {
                let (releases, tree) = (releases().to_str().unwrap(), trees.path().join(release));
                script("make-debian-tree.sh", &[releases, release, tree.to_str().unwrap()]);
            }
            trees
        });
        let copied = Command::new("cp").arg("-a").arg(trees.path().join(release)).arg(bench.tree()).status();
        assert!(copied.unwrap().success());
        bench
    }

    fn tree(&self) -> PathBuf {
        self.below.as_deref().unwrap_or(self.home.path()).join("tree")
    }

    /// Removes the lines that match `is` from each manifest. Returns their number.
    fn leave_out(&self, is: impl Fn(&str) -> bool) -> usize {
        let mut removed = 0;
        for flavor in ["coreos", "kvm"] {
            let directory = self.tree().join(format!("stage1/usr_from_{flavor}/manifest-amd64-usr.d"));
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_symlink() {
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                let remaining: Vec<&str> = text.lines().filter(|line| !is(line)).collect();
                removed += text.lines().count() - remaining.len();
                fs::write(&path, remaining.iter().map(|line| format!("{line}\n")).collect::<String>())
                    .unwrap();
            }
        }
        removed
    }

    fn command(&self, release: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(["--format", "json", "--repo"])
            .arg(self.tree())
            .args(arguments)
            .arg(format!("--image={}", image(release).display()))
            .arg(format!("--signing-key={}", releases().join("signing-key.asc").display()))
            .env("XTASK_CACHE_DIR", self.home.path().join("cache"))
            .env_remove("XTASK_MIRROR");
        command
    }

    fn run(&self, release: &str, arguments: &[&str]) -> RunResult {
        RunResult::from_output(&self.command(release, arguments).output().unwrap())
    }
}

/// Exit code, JSON document and standard error of a run.
struct RunResult {
    code: Option<i32>,
    document: Value,
    stderr: String,
}

impl RunResult {
    fn from_output(output: &Output) -> RunResult {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let document =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        RunResult { code: output.status.code(), document, stderr }
    }

    /// The checks with this outcome, each as `name subject: message`.
    fn checks(&self, outcome: &str) -> Vec<String> {
        let checks = self.document["checks"].as_array().unwrap().iter();
        let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
        checks
            .filter(|check| check["outcome"] == outcome)
            .map(|check| {
                format!("{} {}: {}", text(check, "name"), text(check, "subject"), text(check, "message"))
            })
            .collect()
    }

    fn assert_code(&self, code: i32) {
        let failed = self.checks("fail").join("\n");
        assert_eq!(self.code, Some(code), "{}\n{failed}\n{}", self.stderr, self.document["error"]);
    }
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn bump_between_debian_releases_builds_and_boots() {
    let bench = Bench::new(BOOKWORM);
    let before = bench.run(BOOKWORM, &["smoketest", "--timeout", "30"]);
    before.assert_code(0);
    let bumped = bench.run(TRIXIE, &["bump-coreos", TRIXIE, "--drop-missing"]);
    assert!(bumped.code == Some(0) || bumped.code == Some(1), "{}", bumped.stderr);
    let after = bench.run(TRIXIE, &["smoketest", "--timeout", "30"]);
    after.assert_code(0);
    let passed = after.checks("pass").join("\n");
    for subject in ["build make", "rootfs amd64-usr kvm", "link amd64-usr coreos", "the marker was printed"] {
        assert!(passed.contains(subject), "{subject} in\n{passed}");
    }
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn boots_with_each_hierarchy_and_without_nspawn() {
    let bench = Bench::new(BOOKWORM);
    bench.run(BOOKWORM, &["smoketest", "--no-static", "--no-link", "--no-run"]).assert_code(0);
    let rootfs = bench.tree().join("stage1/build-amd64-usr/aci-for-coreos-flavor/rootfs");
    let boot = || {
        let options = ["smoketest", "--no-link", "--timeout", "30", "--rootfs", rootfs.to_str().unwrap()];
        let result = bench.run(BOOKWORM, &options);
        result.assert_code(0);
        result.checks("pass").join("\n")
    };
    for (version, hierarchy) in [("v252", "cgroup v2"), ("v232", "cgroup v1")] {
        fs::write(rootfs.join("systemd-version"), format!("{version}\n")).unwrap();
        let passed = boot();
        assert!(passed.contains("its own systemd-nspawn") && passed.contains(hierarchy), "{passed}");
    }
    fs::remove_file(rootfs.join("usr/bin/systemd-nspawn")).unwrap();
    let passed = boot();
    assert!(passed.contains("its systemd, without systemd-nspawn"), "{passed}");
}

/// The check, the build and the comparison of the root filesystem agree: the directory with everything below it.
#[test]
#[ignore = "needs root, make and Debian releases"]
fn listed_directory_includes_all_below_it() {
    let bench = Bench::new(BOOKWORM);
    let manifest = bench.tree().join("stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("{text}lib64/security\n")).unwrap();
    // The modules below it are selected: what they need is added.
    let needed = bench.run(BOOKWORM, &["verify-manifests"]).document.to_string();
    assert!(needed.contains("lib64/security/pam_systemd.so needs libpam_misc.so.0"));
    let verified = bench.run(BOOKWORM, &["verify-manifests", "--fix"]);
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    let findings = verified.document["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["path"] == "lib64/security"), "{findings:#?}");
    bench.run(BOOKWORM, &["smoketest", "--no-static", "--no-run"]).assert_code(0);
    let rootfs = bench.tree().join("stage1/build-amd64-usr/aci-for-coreos-flavor/rootfs");
    let module = rootfs.join("usr/lib64/security/pam_unix.so");
    assert!(module.exists());
    fs::remove_file(&module).unwrap();
    let bad = bench.run(BOOKWORM, &["smoketest", "--no-build", "--no-static", "--no-run"]);
    bad.assert_code(1);
    assert!(bad.checks("fail").iter().any(|check| check.contains("rootfs lib64/security/pam_unix.so")));
}

/// A link of systemd-udevd to a program that is not listed.
#[test]
#[ignore = "needs root, make and Debian releases"]
fn accepted_dangling_link_is_skipped() {
    let bench = Bench::new(BOOKWORM);
    assert!(bench.leave_out(|line| line == "bin/udevadm") > 0);
    let options = ["smoketest", "--no-static", "--no-run"];
    bench.run(BOOKWORM, &options).assert_code(1);
    let accepted =
        "[[accept]]\nkind = \"dangling\"\npath = \"lib64/systemd/systemd-udevd\"\nreason = \"no devices\"\n";
    fs::write(bench.tree().join("stage1/accepted-findings.toml"), accepted).unwrap();
    let result = bench.run(BOOKWORM, &["smoketest", "--no-run"]);
    result.assert_code(0);
    let skipped = result.checks("skip");
    let link =
        skipped.iter().find(|check| check.starts_with("rootfs lib64/systemd/systemd-udevd: ")).unwrap();
    assert!(link.contains("bin/udevadm") && link.ends_with("accepted: no devices"), "{link}");
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn changed_manifest_or_file_is_detected() {
    let bench = Bench::new(BOOKWORM);
    bench.run(BOOKWORM, &["smoketest", "--no-static", "--no-run"]).assert_code(0);
    let rootfs = bench.tree().join("stage1/build-amd64-usr/aci-for-kvm-flavor/rootfs");
    assert_eq!(fs::read_to_string(rootfs.join("systemd-version")).unwrap(), "v252\n");
    assert_eq!(fs::read_link(rootfs.join("flavor")).unwrap(), Path::new("kvm"));
    assert!(rootfs.join("usr/bin/systemd-cat").exists());
    // The files of an earlier build are compared with the lists, also if the lists were changed later.
    assert_eq!(bench.leave_out(|line| line == "bin/systemd-cat"), 1);
    let stale = bench.run(BOOKWORM, &["smoketest", "--no-build", "--no-static", "--no-run"]);
    stale.assert_code(1);
    assert!(
        stale.checks("fail").iter().all(|check| check.starts_with("rootfs bin/systemd-cat: it is there"))
    );
    bench.run(BOOKWORM, &["smoketest", "--no-static", "--no-run"]).assert_code(0);
    assert!(!rootfs.join("usr/bin/systemd-cat").exists());
    // A byte that differs from the image.
    fs::write(
        rootfs.join("usr/bin/ip"),
        fs::read(rootfs.join("usr/bin/ip")).unwrap().split_last().unwrap().1,
    )
    .unwrap();
    let bad = bench.run(BOOKWORM, &["smoketest", "--no-build", "--no-static", "--no-run"]);
    bad.assert_code(1);
    assert!(bad.checks("fail").iter().any(|check| check.contains("rootfs bin/ip: has other bytes")));
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn untrusted_image_is_not_built() {
    let bench = Bench::new(BOOKWORM);
    let image = bench.home.path().join("pxe.img");
    fs::copy(self::image(BOOKWORM), &image).unwrap();
    fs::copy(self::image(TRIXIE).with_extension("gz.sig"), bench.home.path().join("pxe.img.sig")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["--format", "json", "--repo"]).arg(bench.tree()).args([
        "smoketest",
        "--no-static",
        "--no-run",
    ]);
    command.arg("--image").arg(&image).arg("--signing-key").arg(releases().join("signing-key.asc"));
    let rejected = RunResult::from_output(
        &command.env("XTASK_CACHE_DIR", bench.home.path().join("cache")).output().unwrap(),
    );
    rejected.assert_code(3);
    assert!(!bench.tree().join("stage1/build-amd64-usr/aci-for-coreos-flavor").exists());
}

/// Without root, the link check runs in a user namespace, and the boot is reported as skipped.
#[test]
#[ignore = "needs root, make and Debian releases"]
fn ordinary_user_links_without_sudo() {
    let bench = Bench::new(BOOKWORM);
    bench.run(BOOKWORM, &["smoketest", "--no-static", "--no-run"]).assert_code(0);
    let owned = Command::new("chown").args(["-R", "nobody:"]).arg(bench.home.path()).status().unwrap();
    assert!(owned.success());
    let program = bench.home.path().join("xtask");
    fs::copy(env!("CARGO_BIN_EXE_xtask"), &program).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--"]).arg(&program);
    command.args(["--format", "json", "--repo"]).arg(bench.tree()).env("HOME", bench.home.path());
    command.args(["smoketest", "--no-build", "--no-static"]);
    let result = RunResult::from_output(&command.output().unwrap());
    result.assert_code(2);
    assert!(
        result.checks("pass").iter().any(|check| check.contains("a user namespace")),
        "{}",
        result.stderr
    );
    assert!(
        result.checks("skip").iter().any(|check| check.starts_with("run ") && check.contains("needs root"))
    );
    assert!(result.checks("fail").is_empty(), "{:?}", result.checks("fail"));
}
