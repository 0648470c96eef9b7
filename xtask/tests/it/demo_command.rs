//! `cargo xtask demo`, end to end.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use expect_test::expect;

fn xtask(temporary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).env("TMPDIR", temporary).env("XTASK_CACHE_DIR", temporary.join("cache"));
    command.env_remove("XTASK_MIRROR").env_remove("XTASK_SIGNING_KEY").stdin(Stdio::null());
    command
}

/// File names in a directory.
fn list_directory(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn interrupted_serve_leaves_no_files() {
    let mut server = DemoServer::start();
    assert!(server.env("XTASK_DEMO").is_some_and(|tree| Path::new(&tree).join("stage1").is_dir()));
    let kill = Command::new("kill").args(["-INT", &server.process.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert!(!server.process.wait().unwrap().success());
    assert_eq!(list_directory(server.temporary.path()), [""; 0]);
}

#[test]
fn env_prints_the_exports_of_the_served_demo() {
    let server = DemoServer::start();
    let output = xtask(server.temporary.path(), &["demo", "--env"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().collect::<Vec<_>>(), server.exports());
    let other_directory = tempfile::tempdir().unwrap();
    let output = xtask(other_directory.path(), &["demo", "--env"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("hint: in another terminal: cargo xtask demo --serve")
    );
}

#[test]
fn served_commands_are_short() {
    let server = DemoServer::start();
    let lines = &server.lines;
    assert!(lines[..2].iter().all(|line| line.starts_with("# ") && line.chars().count() <= 100), "{lines:?}");
    assert!(server.commands.iter().all(|line| line.chars().count() <= 80), "{lines:?}");
}

#[test]
fn demo_makes_only_the_documented_changes() {
    let temporary = tempfile::tempdir().unwrap();
    let output = xtask(temporary.path(), &["demo", "--format", "json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&document["command"], &document["status"]), (&"demo".into(), &"clean".into()));
    assert_eq!(
        document["release"],
        serde_json::json!({ "from": "991.0.0", "to": "1032.0.0", "channel": "alpha" })
    );
    assert_eq!(document["systemd"], serde_json::json!({ "from": "v225", "to": "v229" }));
    assert!(document["images"][0]["signed_by"].is_string(), "{document}");
    assert_eq!(document["findings"], serde_json::json!([]));
    let edits = document["edits"].as_array().unwrap();
    let changed = edits.iter().flat_map(|edit| edit["diff"].as_str().unwrap().lines());
    let changed: Vec<&str> = changed.filter(|line| line.starts_with(['+', '-'])).collect();
    assert_eq!(
        changed,
        [
            "--- a/stage1/usr_from_coreos/coreos-common.mk",
            "+++ b/stage1/usr_from_coreos/coreos-common.mk",
            "-CCN_SYSTEMD_VERSION := v225",
            "+CCN_SYSTEMD_VERSION := v229",
            "-CCN_IMG_RELEASE := 991.0.0",
            "+CCN_IMG_RELEASE := 1032.0.0",
            "--- a/stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest",
            "+++ b/stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest",
            "+lib64/libpam.so",
            "+lib64/libpam.so.0",
            "+lib64/libpam.so.0.84.1",
        ]
    );
    assert_eq!(list_directory(temporary.path()), [""; 0]);
}

/// Standard error without progress lines and with varying values replaced, and standard output.
fn demo_log(option: &str) -> (String, Vec<u8>) {
    let temporary = tempfile::tempdir().unwrap();
    let arguments = [option, "demo"];
    let output = xtask(temporary.path(), &arguments[usize::from(option.is_empty())..]).output().unwrap();
    assert!(output.status.success());
    let mut log = String::from_utf8(output.stderr).unwrap();
    for (pattern, replacement) in [
        (r"  \[[0-9]+\.[0-9]{3} s\]", "  [TIME]"),
        ("/[^ ]*/coreos-xtask-demo-[^/]*/", "/DEMO/"),
        (r"http://127\.0\.0\.1:[0-9]+/[^ ]*/", ""),
        ("sha256:[0-9a-f]{64}", "sha256:HEX"),
        ("[0-9A-F]{40}", "FINGERPRINT"),
        ("[0-9]{3,} (bytes|nodes)", "N $1"),
    ] {
        log = regex::Regex::new(pattern).unwrap().replace_all(&log, replacement).into_owned();
    }
    let prefixes = ["serving", "verified", "download"];
    let lines = log.lines().filter(|line| !prefixes.iter().any(|prefix| line.starts_with(prefix)));
    (lines.map(|line| format!("{line}\n")).collect(), output.stdout)
}

#[test]
fn verbose_log_grows_with_each_v() {
    let (quiet, result) = demo_log("");
    assert_eq!(quiet, "");
    let (verbose, same) = demo_log("-v");
    expect![[r#"
        tree      /DEMO/tree: 5 manifests of 155 lines for amd64-usr  [TIME]
        pinned    991.0.0 with systemd v225, at https://alpha.release.core-os.net/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/coreos_production_pxe_image.cpio.gz  [TIME]
        cache     /DEMO/cache  [TIME]
        trusted   FINGERPRINT, Throwaway Buildbot 1 <bot@example.invalid>  [TIME]
        cache     coreos_production_pxe_image.cpio.gz: no cached image has this origin  [TIME]
        response  coreos_production_pxe_image.cpio.gz.sig: 200 OK, N bytes  [TIME]
        response  coreos_production_pxe_image.cpio.gz: 200 OK, N bytes  [TIME]
        reading   coreos_production_pxe_image.cpio.gz: 4 files  [TIME]
        reading   coreos_production_pxe_image.cpio.gz: 7 files  [TIME]
        reading   coreos_production_pxe_image.cpio.gz: 3 files  [TIME]
        reading   coreos_production_pxe_image.cpio.gz: 1 files  [TIME]
        image     amd64-usr: sha256:HEX, N nodes  [TIME]
        signed    2016-04-30T00:00:00Z by FINGERPRINT, subkey FINGERPRINT  [TIME]
        cache     /DEMO/cache  [TIME]
        trusted   FINGERPRINT, Throwaway Buildbot 1 <bot@example.invalid>  [TIME]
        reading   coreos_production_pxe_image.cpio.gz: 71 files  [TIME]
        reading   coreos_production_pxe_image.cpio.gz: 11 files  [TIME]
        response  coreos_production_image_packages.txt: 200 OK, N bytes  [TIME]
        response  coreos_production_image_packages.txt.sig: 200 OK, N bytes  [TIME]
        response  coreos_production_image_packages.txt: 200 OK, N bytes  [TIME]
        response  coreos_production_image_packages.txt.sig: 200 OK, N bytes  [TIME]
        wrote     stage1/usr_from_coreos/coreos-common.mk: N bytes  [TIME]
        wrote     stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest: N bytes  [TIME]
    "#]].assert_eq(&verbose);
    assert_eq!(String::from_utf8(result).unwrap(), String::from_utf8(same).unwrap());
    let (very_verbose, _) = demo_log("-vv");
    for more in [
        "manifest  stage1/usr_from_kvm/manifest-amd64-usr.d/sshd.manifest: 19 lines",
        "reading   lib64/libc-2.21.so",
    ] {
        assert!(very_verbose.contains(more), "{very_verbose}");
        assert!(!verbose.contains(more));
    }
}

/// A running `demo --serve` and its printed lines.
struct DemoServer {
    temporary: tempfile::TempDir,
    process: Child,
    lines: Vec<String>,
    commands: Vec<String>,
}

impl DemoServer {
    fn start() -> DemoServer {
        let temporary = tempfile::tempdir().unwrap();
        let mut process = xtask(temporary.path(), &["demo", "--serve"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let lines: Vec<String> = lines.take(9).map(Result::unwrap).collect();
        let commands = lines.iter().filter(|line| line.starts_with("cargo xtask ")).cloned().collect();
        DemoServer { temporary, process, lines, commands }
    }

    fn exports(&self) -> Vec<&str> {
        self.lines.iter().filter(|line| line.starts_with("export ")).map(String::as_str).collect()
    }

    fn env(&self, name: &str) -> Option<String> {
        let start = format!("export {name}=");
        self.exports().into_iter().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
    }

    /// Runs a printed command in a shell in which `cargo` is this program; returns the exit code and standard output.
    fn run(&self, command: &str) -> (i32, String) {
        let exports = self.exports().join("\n");
        let cargo = format!("cargo() {{ shift; {} \"$@\"; }}", env!("CARGO_BIN_EXE_xtask"));
        let output = Command::new("sh")
            .args(["-c", &format!("{cargo}\n{exports}\n{command}")])
            .env("TMPDIR", self.temporary.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }
}

impl Drop for DemoServer {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// Runs verify, bump, verify, and bump again.
#[test]
fn printed_commands_work_on_the_served_tree() {
    let server = DemoServer::start();
    let (bump, verify) = (&server.commands[0], &server.commands[1]);
    assert_eq!(server.run(verify).0, 0, "the tree matches 991.0.0");
    let (code, output) = server.run(bump);
    assert!(code == 0 && output.contains("lib64/libpam.so.0.84.1"), "{output}");
    assert_eq!(server.run(verify).0, 0, "the bumped tree matches 1032.0.0");
    let (code, output) = server.run(bump);
    assert!(code == 0 && !output.contains("+lib64"), "{output}");
}

#[test]
#[ignore = "needs make, unsquashfs and cpio"]
fn printed_smoketest_works_on_the_served_tree() {
    let server = DemoServer::start();
    assert_eq!(server.run(&server.commands[0]).0, 0);
    let (code, output) = server.run(&server.commands[2]);
    assert_eq!(code, 0, "{output}");
}
