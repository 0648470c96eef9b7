//! Output of the program: one document, colours only on a terminal, errors with hints.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::schema::violations;

/// A tree with only coreos-common.mk and one manifest, and a cache directory.
struct Scene {
    cache: tempfile::TempDir,
    directory: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let directory = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let stage1 = "stage1/usr_from_coreos";
        std::fs::create_dir_all(directory.path().join(stage1).join("manifest-amd64-usr.d")).unwrap();
        for file in ["coreos-common.mk", "manifest-amd64-usr.d/bash.manifest"] {
            std::fs::copy(root.join(stage1).join(file), directory.path().join(stage1).join(file)).unwrap();
        }
        std::fs::write(directory.path().join("no-image.gz"), "not an image\n").unwrap();
        std::fs::write(directory.path().join("page.gz"), "<!DOCTYPE html>\n").unwrap();
        std::fs::write(directory.path().join("page.gz.sig"), "<!DOCTYPE html><html>404\n").unwrap();
        Scene { cache: tempfile::tempdir().unwrap(), directory }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env("XTASK_CACHE_DIR", self.cache.path())
            .env_remove("XTASK_MIRROR")
            .env_remove("XTASK_SIGNING_KEY")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(&line.split_whitespace().collect::<Vec<_>>()).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Command line, exit code, and a substring of the error and of the hint.
const ERRORS: &[(&str, i32, &str, &str)] = &[
    ("--repo /nonexistent verify-manifests", 2, "/nonexistent", "--repo"),
    ("verify-manifests --offline", 2, "--offline", "without --offline"),
    ("verify-manifests --mirror http://127.0.0.1:1 --offline", 2, "--offline", "without --offline"),
    ("verify-manifests --mirror http://example.org", 2, "http", "--insecure-http"),
    ("verify-manifests --mirror ftp://example.org", 2, "ftp", "--mirror https://"),
    ("verify-manifests --mirror word", 2, "word", "--mirror https://"),
    ("verify-manifests --image nowhere.gz", 2, "nowhere.gz", "--image"),
    ("verify-manifests --image stage1", 2, "stage1 is not a file", "--image FILE"),
    ("verify-manifests --image no-image.gz", 3, "no-image.gz.sig", "--unsigned"),
    ("verify-manifests --image no-image.gz --unsigned", 2, "not a gzip file", "_pxe_image.cpio.gz"),
    ("verify-manifests --image page.gz", 2, "HTML", ""),
    ("verify-manifests --board arm64-usr", 2, "arm64-usr", "--board"),
    ("verify-manifests --report report.txt", 2, "report.txt", "--report report.md"),
    ("verify-manifests --signing-key nowhere.asc --image page.gz", 2, "nowhere.asc", ""),
    ("verify-signature nowhere.txt --offline", 2, "nowhere.txt", ""),
    ("verify-signature stage1 --offline", 2, "stage1 is a directory", "verify-signature FILE"),
    ("verify-signature no-image.gz --offline", 3, "no-image.gz", "--signature"),
    ("diff 991.0.0 1032.0.0 --image no-image.gz", 2, "odd number", "first release"),
    ("report", 2, "no stored report of", "cargo xtask verify-manifests"),
];

#[test]
fn error_names_its_subject_and_a_hint() {
    let mut wrong = Vec::new();
    for (line, code, about, hint) in ERRORS {
        // A new tree per run, because a run can store a report.
        let output = Scene::new().run(line);
        let printed = text(&output.stderr);
        let shown_hint = printed.split_once("hint: ").map_or("", |(_, hint)| hint);
        let is_complete = printed.contains("error: ") && printed.contains(about) && shown_hint.contains(hint);
        if output.status.code() != Some(*code) || !is_complete || printed.contains("panicked") {
            wrong.push(format!("{line}: {}\n{printed}", output.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn json_output_is_one_valid_document() {
    let scene = Scene::new();
    let errors = ERRORS.iter().map(|(line, code, ..)| (*line, *code));
    for (line, code) in errors.chain([("sort-manifests --check", 0), ("completions bash", 0)]) {
        let output = scene.run(&format!("--format json {line}"));
        let document: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(violations(&document), Vec::<String>::new(), "{line}");
        assert_eq!(document["exit_code"], output.status.code().unwrap(), "{line}");
        if line != "report" {
            assert_eq!(output.status.code(), Some(code), "{line}");
        }
    }
}

#[test]
fn github_format_has_errors_as_annotations() {
    for line in ["verify-manifests --image nowhere.gz", "verify-manifests --no-such-option"] {
        let output = Scene::new().run(&format!("--format github {line}"));
        assert_eq!(output.status.code(), Some(2), "{line}");
        let printed = text(&output.stdout);
        assert!(printed.starts_with("::error title=cargo xtask verify-manifests::"), "{line}: {printed}");
    }
}

#[test]
fn usage_error_hints_at_the_help_of_the_command() {
    for (line, command, hint, message) in [
        ("bump-coreos 1.2", "bump-coreos", "cargo xtask bump-coreos --help", "is not a release"),
        ("--repo fetch bump", "", "cargo xtask --help", "unrecognized subcommand 'bump'"),
        ("cache", "cache", "cargo xtask cache --help", "expected a subcommand"),
    ] {
        let output = Scene::new().run(&format!("--format json {line}"));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(violations(&document), Vec::<String>::new(), "{line}");
        assert_eq!((&document["command"], &document["error"]["hint"]), (&command.into(), &hint.into()));
        assert!(document["error"]["message"].as_str().unwrap().contains(message), "{document:#}");
        assert_eq!(output.status.code(), Some(2), "{line}");
    }
}

#[test]
fn help_in_json_is_a_document() {
    let output = Scene::new().run("--format json fetch --help");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(violations(&document), Vec::<String>::new());
    assert_eq!((&document["command"], output.status.code()), (&"fetch".into(), Some(0)));
    assert!(document["help"].as_str().unwrap().contains("Usage: cargo xtask fetch"), "{document:#}");
}

/// A server that accepts the connection and never answers keeps the run waiting for the signal.
#[test]
fn interrupted_run_prints_its_document() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}", server.local_addr().unwrap());
    for (format, signal, number) in [("json", "TERM", 15), ("github", "INT", 2), ("text", "TERM", 15)] {
        let scene = Scene::new();
        let child = scene
            .command(&["--format", format, "fetch", "--mirror", &mirror])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _connection = server.accept().unwrap();
        let killed = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        assert!(killed.unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(number), "{format}: the caller sees the signal");
        let printed = text(&output.stdout);
        match format {
            "json" => {
                let document: Value = serde_json::from_str(&printed).unwrap();
                assert_eq!(violations(&document), Vec::<String>::new());
                assert_eq!((&document["command"], &document["status"]), (&"fetch".into(), &"failed".into()));
                assert!(document["error"]["message"].as_str().unwrap().contains("SIGTERM"), "{printed}");
            }
            "github" => {
                assert!(
                    printed.starts_with("::error title=cargo xtask fetch::interrupted by SIGINT"),
                    "{printed}"
                )
            }
            _ => {
                assert_eq!(printed, "");
                let again =
                    format!("hint: to run it again: cargo xtask --format text fetch --mirror {mirror}\n");
                assert!(text(&output.stderr).ends_with(&again), "{}", text(&output.stderr));
            }
        }
    }
}

#[test]
fn colour_needs_a_terminal_or_an_option() {
    let scene = Scene::new();
    let printed = |arguments: &str| text(&scene.run(arguments).stderr);
    assert!(!printed("verify-manifests --offline").contains('\x1b'));
    assert!(printed("--color always verify-manifests --offline").contains("\x1b[1;31merror: "));
    assert!(!printed("--color never verify-manifests --offline").contains('\x1b'));
}

/// The terminal is that of script(1).
#[test]
#[ignore = "needs script(1)"]
fn no_color_and_ci_are_respected_on_a_terminal() {
    let scene = Scene::new();
    let program = format!("{} verify-manifests --offline", env!("CARGO_BIN_EXE_xtask"));
    for (variable, value, colored) in [("X", "", true), ("NO_COLOR", "1", false), ("CI", "true", false)] {
        let output = scene
            .command(&[])
            .env("TERM", "xterm")
            .env_remove("CI")
            .env(variable, value)
            .run_in_script(&program);
        assert_eq!(output.contains("\x1b[1;31m"), colored, "{variable}={value}: {output}");
    }
}

trait InTerminal {
    fn run_in_script(&mut self, program: &str) -> String;
}

impl InTerminal for Command {
    /// Runs `program` in a terminal, with the environment and directory of this command.
    fn run_in_script(&mut self, program: &str) -> String {
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", program, "/dev/null"]).stdin(Stdio::null());
        for (name, value) in self.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        script.current_dir(self.get_current_dir().unwrap());
        String::from_utf8_lossy(&script.output().unwrap().stdout).into_owned()
    }
}

#[test]
fn closed_pipe_is_not_an_error() {
    let scene = Scene::new();
    let mut child = scene
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut printed = String::new();
    child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
    assert!(child.wait().unwrap().success(), "{printed}");
    assert_eq!(printed, "");
}

#[test]
fn full_standard_output_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output =
        Scene::new().command(&["completions", "bash"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("standard output") && stderr.contains("No space left"), "{stderr}");
}
