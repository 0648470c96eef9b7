//! The command in a hint fixes what it stands below: each is run by a shell, where and as the finding was told.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use release_fixture::certificate::TestCertificate;
use release_fixture::elf::ElfStub;
use release_fixture::image::ImageSpec;
use release_fixture::pack;
use serde_json::Value;
use xtask::demo::example;

use crate::e2e::executable;
use crate::scene::Scene;

const COREOS: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d";
const KVM: &str = "stage1/usr_from_kvm/manifest-amd64-usr.d";
const UNIT: &str = "lib64/systemd/system/systemd-journald.service";

/// 991.0.0 and its signature, where a library that two programs need is nowhere.
static POOR: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let image = example::image_before().unwrap();
    let image = image
        .program("bin/mount", &["libgone.so.1"])
        .program("lib64/systemd/systemd-sleep", &["libgone.so.1"])
        .link("lib64/systemd/systemd-shutdown", "nowhere");
    signed(&image)
});

/// 991.0.0 and its signature, where nothing tells the version of systemd.
static MUTE: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let image = example::image_before().unwrap();
    let systemd = ElfStub::program(image.board());
    signed(&image.elf("lib64/systemd/systemd", systemd))
});

fn signed(image: &ImageSpec) -> (Vec<u8>, Vec<u8>) {
    let image = pack::pxe_image(image).unwrap();
    let signature = TestCertificate::throwaway(5).unwrap().sign(&image).unwrap();
    (image, signature)
}

/// The guide's tree in a directory with a blank in its name, and a shell that knows `cargo xtask`.
struct Bench {
    scene: Scene,
}

impl Bench {
    fn new() -> Bench {
        let bench = Bench { scene: Scene::new() };
        fs::rename(bench.scene.tree(), bench.tree()).unwrap();
        fs::write(bench.path("poor"), &POOR.0).unwrap();
        fs::write(bench.path("poor.sig"), &POOR.1).unwrap();
        fs::create_dir(bench.path("bin")).unwrap();
        let tool = env!("CARGO_BIN_EXE_xtask");
        executable(&bench.path("bin/cargo"), &format!("#!/bin/sh\nshift\nexec '{tool}' \"$@\"\n"));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scene.home().join(name)
    }

    fn tree(&self) -> PathBuf {
        self.path("my tree")
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.tree().join(COREOS).join(name)
    }

    fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(self.manifest(name)).unwrap();
        fs::write(self.manifest(name), change(text)).unwrap();
    }

    fn sh(&self, directory: &Path, line: &str) -> Output {
        Command::new("sh")
            .args(["-c", line])
            .current_dir(directory)
            .env("PATH", format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap()))
            .env("XTASK_CACHE_DIR", self.path("cache"))
            .env_remove("XTASK_MIRROR")
            .env_remove("XTASK_SIGNING_KEY")
            .output()
            .unwrap()
    }

    /// The findings of a command that are not advice, each with its path and hint.
    fn findings(&self, directory: &Path, line: &str) -> Vec<(String, String)> {
        let output = self.sh(directory, &format!("{line} --format json"));
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{line}: {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(document["error"], Value::Null, "{line}");
        let findings = document["findings"].as_array().unwrap().iter();
        let word = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
        let open = findings.filter(|finding| finding["severity"] != "advice");
        open.map(|finding| (word(finding, "path"), word(finding, "hint"))).collect()
    }

    /// Runs the first hint of a command, and again, until there is none; gives the hints.
    fn follow(&self, directory: &Path, line: &str) -> Vec<String> {
        let mut hints: Vec<String> = Vec::new();
        while let Some((path, hint)) = self.findings(directory, line).into_iter().next() {
            assert!(!hints.contains(&hint), "{path}: {hint} mended nothing");
            let done = self.sh(directory, &hint);
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.code().is_some_and(|code| code < 2), "{hint}: {}\n{said}", done.status);
            hints.push(hint);
        }
        hints
    }
}

type Change = fn(String) -> String;

fn without(line: &'static str) -> impl Fn(String) -> String {
    move |text| text.lines().filter(|other| *other != line).map(|other| format!("{other}\n")).collect()
}

#[test]
fn a_line_is_added_in_the_file_s_own_way() {
    let rows: [(&str, Change); 4] = [
        ("without a final newline", |text| text.trim_end().to_owned()),
        ("in the order of en_US.UTF-8", |text| {
            format!("lib64/libc-2.21.so\nlib64/libcap.so.2\nlib64/libc.so.6\n{text}")
        }),
        ("in no order", |text| text.lines().rev().map(|line| format!("{line}\n")).collect()),
        ("with CRLF", |text| text.replace('\n', "\r\n")),
    ];
    for (name, change) in rows {
        let bench = Bench::new();
        bench.edit("journald.manifest", change);
        let whole = fs::read_to_string(bench.manifest("journald.manifest")).unwrap();
        bench.edit("journald.manifest", |text| {
            text.split_inclusive('\n').filter(|line| line.trim_end() != UNIT).collect()
        });
        let hints = bench
            .follow(&bench.tree(), "cargo xtask verify-manifests --image ../991.0.0 --signing-key ../key");
        assert_eq!(hints.len(), 1 + usize::from(name == "with CRLF"), "{name}: {hints:#?}");
        let sorted = |text: &str| {
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            lines.sort_unstable();
            lines.concat()
        };
        let after = fs::read_to_string(bench.manifest("journald.manifest")).unwrap();
        // The hint fixes line ends too: the build refuses them.
        let whole = format!("{}\n", whole.replace('\r', "").trim_end());
        assert_eq!(sorted(&after), sorted(&whole), "{name}");
        let others =
            |text: &str| text.lines().filter(|line| *line != UNIT).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(others(&after), others(&whole), "{name}: nothing else moves");
    }
}

#[test]
fn a_hint_holds_where_it_was_told() {
    let bench = Bench::new();
    let (home, below) = (bench.scene.home(), bench.tree().join("stage1/usr_from_kvm"));
    for (directory, line) in [
        (
            &home,
            "cargo xtask --repo 'my tree' verify-manifests --signing-key key --image 991.0.0 --board amd64-usr",
        ),
        (&below, "cargo xtask verify-manifests --signing-key ../../../key --image ../../../991.0.0"),
    ] {
        bench.edit("journald.manifest", without(UNIT));
        bench.edit("systemd.manifest", |text| text + "lib64/libvanished.so.1\n");
        let hints = bench.follow(directory, line);
        assert_eq!(hints.len(), 2, "{hints:#?}");
        let options = line.split_once("verify-manifests ").unwrap().1;
        assert!(hints.iter().all(|hint| hint.contains(options)), "{hints:#?}");
    }
}

#[test]
fn a_bump_that_only_said_what_it_would_do_is_asked_to_do_it() {
    for mode in ["--dry-run", "--check"] {
        let bench = Bench::new();
        bench.edit("systemd.manifest", |text| text + "lib64/libvanished.so.1\n");
        let line =
            format!("cargo xtask bump-coreos 1032.0.0 {mode} --image ../1032.0.0 --signing-key ../key");
        let hints = bench.follow(&bench.tree(), &line);
        assert_eq!(
            hints,
            ["cargo xtask bump-coreos 1032.0.0 --signing-key ../key --image ../1032.0.0 --drop-missing"]
        );
    }
}

#[test]
fn a_smoketest_that_misses_its_build_is_asked_for_it() {
    let bench = Bench::new();
    let line = "cargo xtask --repo 'my tree' --format json smoketest --no-build --no-static --no-run --jobs 1 --image 991.0.0 \
                --signing-key key";
    let output = bench.sh(&bench.scene.home(), line);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        document["error"]["hint"],
        "cargo xtask --repo 'my tree' smoketest --no-static --no-run --jobs 1 --signing-key key --image 991.0.0"
    );
}

#[test]
fn a_version_that_was_given_is_given_again() {
    let bench = Bench::new();
    fs::write(bench.path("mute"), &MUTE.0).unwrap();
    fs::write(bench.path("mute.sig"), &MUTE.1).unwrap();
    let line = "cargo xtask verify-manifests --systemd v230 --image ../mute --signing-key ../key";
    let hints = bench.follow(&bench.tree(), line);
    assert_eq!(hints.len(), 1, "{hints:#?}");
    assert!(
        fs::read_to_string(bench.tree().join(manifest::plan::sources::COMMON_MK)).unwrap().contains("v230")
    );
}

#[test]
fn another_release_than_was_asked_for_is_bumped_to_as_the_run_was_called() {
    let bench = Bench::new();
    for asked in ["verify-manifests", "bump-coreos 1031.0.0 --dry-run"] {
        let options = "--signing-key key --image 1032.0.0";
        let line = format!("cargo xtask --repo 'my tree' {asked} --dlopen all {options} --format json");
        let refused = bench.sh(&bench.scene.home(), &line);
        let document: Value = serde_json::from_slice(&refused.stdout).unwrap();
        let hint = document["error"]["hint"].as_str().unwrap();
        let bump = format!("cargo xtask --repo 'my tree' bump-coreos 1032.0.0 {options} --dlopen all");
        assert_eq!(hint, format!("if 1032.0.0 is what you want: {bump}"));
        let done = bench.sh(&bench.scene.home(), &format!("{bump} --dry-run"));
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn a_version_that_contradicts_the_image_is_refused() {
    let bench = Bench::new();
    for (line, release) in [("bump-coreos 1032.0.0 --dry-run", "1032.0.0"), ("verify-manifests", "991.0.0")] {
        for (given, code) in [("v999", 2), (if release == "991.0.0" { "v225" } else { "v229" }, 0)] {
            let line =
                format!("cargo xtask {line} --systemd {given} --image ../{release} --signing-key ../key");
            let done = bench.sh(&bench.tree(), &line);
            let said = String::from_utf8_lossy(&done.stderr);
            assert_eq!(done.status.code(), Some(code), "{line}: {said}");
            let told = format!("--systemd {given} was given") + "\n  hint: leave --systemd out";
            assert_eq!(said.contains(&told), code == 2, "{line}: {said}");
        }
    }
}

#[test]
fn what_lies_outside_the_tree_is_taken_in() {
    for outside in [format!("{COREOS}/systemd.manifest"), KVM.to_owned()] {
        let bench = Bench::new();
        bench.edit("systemd.manifest", |text| text + "lib64/libvanished.so.1\n");
        let ip = bench.tree().join(KVM).join("ip.manifest");
        fs::write(&ip, fs::read_to_string(&ip).unwrap() + "lib64/libvanished.so.2\n").unwrap();
        let elsewhere = bench.path("else where");
        fs::rename(bench.tree().join(&outside), &elsewhere).unwrap();
        if elsewhere.is_dir() {
            for name in ["bash", "journald", "systemd"].map(|name| format!("{name}.manifest")) {
                fs::remove_file(elsewhere.join(&name)).unwrap();
                symlink(bench.manifest(&name), elsewhere.join(&name)).unwrap();
            }
        }
        symlink(&elsewhere, bench.tree().join(&outside)).unwrap();
        let before = |path: &Path| path.is_file().then(|| fs::read(path).unwrap());
        let held = (before(&elsewhere), before(&elsewhere.join("ip.manifest")));
        let line = "cargo xtask --repo 'my tree' verify-manifests --image 991.0.0 --signing-key key";
        assert!(!bench.follow(&bench.scene.home(), line).is_empty(), "{outside}");
        assert_eq!((before(&elsewhere), before(&elsewhere.join("ip.manifest"))), held, "{outside}");
        assert!(!bench.tree().join(&outside).is_symlink());
        // The manifests that both flavors share are still shared.
        assert!(outside == KVM || bench.tree().join(KVM).join("systemd.manifest").is_symlink());
    }
}

#[test]
fn two_images_of_one_board_are_one_too_many() {
    let bench = Bench::new();
    let line = "cargo xtask verify-manifests --signing-key ../key --image ../991.0.0 --image ../991.0.0";
    let done = bench.sh(&bench.tree(), line);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.code() == Some(2) && said.contains("hint: use one --image per board"), "{said}");
}

#[test]
fn what_the_image_cannot_give_is_given_up() {
    let bench = Bench::new();
    let hints =
        bench.follow(&bench.tree(), "cargo xtask verify-manifests --image ../poor --signing-key ../key");
    let removed = |path: &str| hints.iter().any(|hint| hint.contains("edit-manifest") && hint.contains(path));
    assert!(["bin/mount", "systemd-sleep", "systemd-shutdown"].into_iter().all(removed), "{hints:#?}");
}

#[test]
fn a_manifest_is_named_from_the_root_or_from_here_and_no_other_file_is() {
    let bench = Bench::new();
    let directory = bench.tree().join(KVM);
    let text = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    for (file, code) in [("ip.manifest", 0), ("./bash.manifest", 0), ("../../../../key", 2), ("Makefile", 2)]
    {
        let line = format!("cargo xtask edit-manifest {file} --add /usr/bin/new");
        let done = bench.sh(&directory, &line);
        assert_eq!(done.status.code(), Some(code), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    }
    assert!(text("ip.manifest").contains("bin/new\n") && text("bash.manifest").contains("bin/new\n"));
    assert!(directory.join("bash.manifest").is_symlink());
}
