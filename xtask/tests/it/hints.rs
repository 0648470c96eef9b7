//! Commands in hints fix their finding: each is run by a shell in the directory and with the options of the run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use release_fixture::elf::ElfStub;
use release_fixture::image_spec::ImageSpec;
use release_fixture::pack;
use serde_json::Value;
use xtask::demo::example;

use crate::e2e::put_cargo;
use crate::scene::{Scene, certificate};

const COREOS: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d";
const KVM: &str = "stage1/usr_from_kvm/manifest-amd64-usr.d";
const UNIT: &str = "lib64/systemd/system/systemd-journald.service";

/// 991.0.0 and its signature, with a missing library that two programs need.
static POOR: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let image = example::image_before().unwrap();
    let image = image
        .program("bin/mount", &["libgone.so.1"])
        .program("lib64/systemd/systemd-sleep", &["libgone.so.1"])
        .link("lib64/systemd/systemd-shutdown", "nowhere");
    signed(&image)
});

/// 991.0.0 and its signature, without a systemd version.
static MUTE: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let image = example::image_before().unwrap();
    let systemd = ElfStub::program(image.board);
    signed(&image.elf("lib64/systemd/systemd", systemd))
});

fn signed(image: &ImageSpec) -> (Vec<u8>, Vec<u8>) {
    let image = pack::pxe_image(image).unwrap();
    let signature = certificate().sign(&image).unwrap();
    (image, signature)
}

/// The guide's tree in a directory with a blank in its name, and a shell with `cargo xtask`.
struct Bench {
    scene: Scene,
}

impl Bench {
    fn new() -> Bench {
        let bench = Bench { scene: Scene::new() };
        fs::rename(bench.scene.tree(), bench.tree()).unwrap();
        fs::write(bench.path("poor"), &POOR.0).unwrap();
        fs::write(bench.path("poor.sig"), &POOR.1).unwrap();
        put_cargo(&bench.path("bin"));
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

    /// Path and hint of each finding of a command, except advice.
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

    /// Runs the first hint of a command repeatedly until no hint remains. Returns the hints.
    fn follow(&self, directory: &Path, line: &str) -> Vec<String> {
        let mut hints: Vec<String> = Vec::new();
        while let Some((path, hint)) = self.findings(directory, line).into_iter().next() {
            assert!(!hints.contains(&hint), "{path}: {hint} fixed nothing");
            let output = self.sh(directory, &hint);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code().is_some_and(|code| code < 2), "{hint}: {}\n{stderr}", output.status);
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
fn line_is_added_in_the_style_of_the_file() {
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
        let original = fs::read_to_string(bench.manifest("journald.manifest")).unwrap();
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
        // The hint fixes line ends as well, because the build rejects them.
        let original = format!("{}\n", original.replace('\r', "").trim_end());
        assert_eq!(sorted(&after), sorted(&original), "{name}");
        let others =
            |text: &str| text.lines().filter(|line| *line != UNIT).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(others(&after), others(&original), "{name}: nothing else moves");
    }
}

#[test]
fn hints_name_the_program_as_it_was_started() {
    let bench = Bench::new();
    symlink(env!("CARGO_BIN_EXE_xtask"), bench.path("bin/xtask")).unwrap();
    bench.edit("systemd.manifest", |text| text + "lib64/libvanished.so.1\n");
    let line = "xtask verify-manifests --image ../991.0.0 --signing-key ../key";
    let hints = bench.follow(&bench.tree(), line);
    assert!(hints.iter().all(|hint| hint.starts_with("xtask ")), "{hints:#?}");
    // In the system's directory, another process may serve a demo.
    let no_demo = "TMPDIR=. xtask demo --env";
    for (line, text) in [("xtask fetch --bogus", "Usage: xtask fetch"), (no_demo, ": xtask demo --serve")] {
        let stderr = String::from_utf8(bench.sh(&bench.tree(), line).stderr).unwrap();
        assert!(stderr.contains(text) && !stderr.contains("cargo xtask"), "{line}: {stderr}");
    }
}

#[test]
fn hint_works_in_the_directory_of_the_run() {
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
fn dry_run_hints_at_the_real_bump() {
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
fn smoketest_without_a_build_hints_at_building() {
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
fn hint_repeats_the_systemd_option() {
    let bench = Bench::new();
    fs::write(bench.path("mute"), &MUTE.0).unwrap();
    fs::write(bench.path("mute.sig"), &MUTE.1).unwrap();
    let line = "cargo xtask verify-manifests --systemd v230 --image ../mute --signing-key ../key";
    let hints = bench.follow(&bench.tree(), line);
    assert_eq!(hints.len(), 1, "{hints:#?}");
    assert!(
        fs::read_to_string(bench.tree().join(manifest::stage1_sources::COMMON_MK)).unwrap().contains("v230")
    );
}

#[test]
fn other_release_in_image_hints_at_its_bump() {
    let bench = Bench::new();
    for command in ["verify-manifests", "bump-coreos 1031.0.0 --dry-run"] {
        let options = "--signing-key key --image 1032.0.0";
        let line = format!("cargo xtask --repo 'my tree' {command} --dlopen all {options} --format json");
        let refused = bench.sh(&bench.scene.home(), &line);
        let document: Value = serde_json::from_slice(&refused.stdout).unwrap();
        let hint = document["error"]["hint"].as_str().unwrap();
        let bump = format!("cargo xtask --repo 'my tree' bump-coreos 1032.0.0 {options} --dlopen all");
        assert_eq!(hint, format!("if 1032.0.0 is what you want: {bump}"));
        let output = bench.sh(&bench.scene.home(), &format!("{bump} --dry-run"));
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn systemd_option_that_contradicts_image_is_refused() {
    let bench = Bench::new();
    for (line, release) in [("bump-coreos 1032.0.0 --dry-run", "1032.0.0"), ("verify-manifests", "991.0.0")] {
        for (version, code) in [("v999", 2), (if release == "991.0.0" { "v225" } else { "v229" }, 0)] {
            let line =
                format!("cargo xtask {line} --systemd {version} --image ../{release} --signing-key ../key");
            let output = bench.sh(&bench.tree(), &line);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{line}: {stderr}");
            let message = format!("--systemd {version} was given") + "\n  hint: omit --systemd";
            assert_eq!(stderr.contains(&message), code == 2, "{line}: {stderr}");
        }
    }
}

#[test]
fn files_outside_the_tree_are_copied_into_it() {
    for outside in [format!("{COREOS}/systemd.manifest"), KVM.to_owned()] {
        let bench = Bench::new();
        bench.edit("systemd.manifest", |text| text + "lib64/libvanished.so.1\n");
        let ip = bench.tree().join(KVM).join("ip.manifest");
        fs::write(&ip, fs::read_to_string(&ip).unwrap() + "lib64/libvanished.so.2\n").unwrap();
        let outside_path = bench.path("else where");
        fs::rename(bench.tree().join(&outside), &outside_path).unwrap();
        if outside_path.is_dir() {
            for name in ["bash", "journald", "systemd"].map(|name| format!("{name}.manifest")) {
                fs::remove_file(outside_path.join(&name)).unwrap();
                symlink(bench.manifest(&name), outside_path.join(&name)).unwrap();
            }
        }
        symlink(&outside_path, bench.tree().join(&outside)).unwrap();
        let before = |path: &Path| path.is_file().then(|| fs::read(path).unwrap());
        let contents = (before(&outside_path), before(&outside_path.join("ip.manifest")));
        let line = "cargo xtask --repo 'my tree' verify-manifests --image 991.0.0 --signing-key key";
        assert!(!bench.follow(&bench.scene.home(), line).is_empty(), "{outside}");
        assert_eq!((before(&outside_path), before(&outside_path.join("ip.manifest"))), contents, "{outside}");
        assert!(!bench.tree().join(&outside).is_symlink());
        // Manifests shared by both flavors remain shared.
        assert!(outside == KVM || bench.tree().join(KVM).join("systemd.manifest").is_symlink());
    }
}

#[test]
fn two_images_for_one_board_are_refused() {
    let bench = Bench::new();
    let line = "cargo xtask verify-manifests --signing-key ../key --image ../991.0.0 --image ../991.0.0";
    let output = bench.sh(&bench.tree(), line);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(2) && stderr.contains("hint: use one --image per board"),
        "{stderr}"
    );
}

#[test]
fn lines_with_missing_dependencies_are_removed() {
    let bench = Bench::new();
    let hints =
        bench.follow(&bench.tree(), "cargo xtask verify-manifests --image ../poor --signing-key ../key");
    let removed = |path: &str| hints.iter().any(|hint| hint.contains("edit-manifest") && hint.contains(path));
    assert!(["bin/mount", "systemd-sleep", "systemd-shutdown"].into_iter().all(removed), "{hints:#?}");
}

#[test]
fn edit_accepts_only_manifests_of_the_tree() {
    let bench = Bench::new();
    let directory = bench.tree().join(KVM);
    let text = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    for (file, code) in [("ip.manifest", 0), ("./bash.manifest", 0), ("../../../../key", 2), ("Makefile", 2)]
    {
        let line = format!("cargo xtask edit-manifest {file} --add /usr/bin/new");
        let output = bench.sh(&directory, &line);
        assert_eq!(output.status.code(), Some(code), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(text("ip.manifest").contains("bin/new\n") && text("bash.manifest").contains("bin/new\n"));
    assert!(directory.join("bash.manifest").is_symlink());
}
