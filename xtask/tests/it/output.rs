//! What the program prints, run as a program: one document, no colours off a terminal, errors that help.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::schema::violations;

/// A tree with nothing in it but coreos-common.mk and one manifest, and a place for the cache.
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
        std::fs::write(directory.path().join("no-image.gz"), "this is no image\n").unwrap();
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

/// What is typed, the exit code, a word of the error, a word of the hint.
const FAULTS: &[(&str, i32, &str, &str)] = &[
    ("--repo /nonexistent verify-manifests", 2, "/nonexistent", "--repo"),
    ("verify-manifests --offline", 2, "--offline", "without --offline"),
    ("verify-manifests --mirror http://127.0.0.1:1 --offline", 2, "--offline", "without --offline"),
    ("verify-manifests --mirror http://example.org", 2, "http", "--insecure-http"),
    ("verify-manifests --mirror ftp://example.org", 2, "ftp", "--mirror https://"),
    ("verify-manifests --mirror word", 2, "word", "--mirror https://"),
    ("verify-manifests --image nowhere.gz", 2, "nowhere.gz", "--image"),
    ("verify-manifests --image stage1", 2, "stage1 is no file", "--image FILE"),
    ("verify-manifests --image no-image.gz", 3, "no-image.gz.sig", "--unsigned"),
    ("verify-manifests --image no-image.gz --unsigned", 2, "no gzip file", "_pxe_image.cpio.gz"),
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
fn each_fault_names_what_it_is_about_and_what_mends_it() {
    let mut wrong = Vec::new();
    for (line, code, about, hint) in FAULTS {
        // A tree of its own: a run may leave a report for the next.
        let output = Scene::new().run(line);
        let said = text(&output.stderr);
        let hinted = said.split_once("hint: ").map_or("", |(_, hint)| hint);
        let whole = said.contains("error: ") && said.contains(about) && hinted.contains(hint);
        if output.status.code() != Some(*code) || !whole || said.contains("panicked") {
            wrong.push(format!("{line}: {}\n{said}", output.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn json_is_one_document_after_the_schema_whatever_happens() {
    let scene = Scene::new();
    let errors = FAULTS.iter().map(|(line, code, ..)| (*line, *code));
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
fn github_annotations_say_errors_too() {
    for line in ["verify-manifests --image nowhere.gz", "verify-manifests --no-such-option"] {
        let output = Scene::new().run(&format!("--format github {line}"));
        assert_eq!(output.status.code(), Some(2), "{line}");
        let said = text(&output.stdout);
        assert!(said.starts_with("::error title=cargo xtask verify-manifests::"), "{line}: {said}");
    }
}

#[test]
fn a_bad_command_line_names_the_command_whose_help_has_the_good_one() {
    for (line, command, hint) in [
        ("bump-coreos 1.2", "bump-coreos", "cargo xtask bump-coreos --help"),
        ("--repo fetch bump", "", "cargo xtask --help"),
    ] {
        let output = Scene::new().run(&format!("--format json {line}"));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(violations(&document), Vec::<String>::new(), "{line}");
        assert_eq!((&document["command"], &document["error"]["hint"]), (&command.into(), &hint.into()));
        assert_eq!(output.status.code(), Some(2), "{line}");
    }
}

#[test]
fn help_is_a_document_too_where_one_is_asked_for() {
    let output = Scene::new().run("--format json fetch --help");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(violations(&document), Vec::<String>::new());
    assert_eq!((&document["command"], output.status.code()), (&"fetch".into(), Some(0)));
    assert!(document["help"].as_str().unwrap().contains("Usage: cargo xtask fetch"), "{document:#}");
}

/// A server that takes the request and says nothing keeps the run where a signal finds it.
#[test]
fn a_run_that_a_signal_ends_leaves_its_document() {
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
        let _asked = server.accept().unwrap();
        let killed = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        assert!(killed.unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(number), "{format}: the caller sees the signal");
        let said = text(&output.stdout);
        match format {
            "json" => {
                let document: Value = serde_json::from_str(&said).unwrap();
                assert_eq!(violations(&document), Vec::<String>::new());
                assert_eq!((&document["command"], &document["status"]), (&"fetch".into(), &"failed".into()));
                assert!(document["error"]["message"].as_str().unwrap().contains("SIGTERM"), "{said}");
            }
            "github" => {
                assert!(said.starts_with("::error title=cargo xtask fetch::interrupted by SIGINT"), "{said}")
            }
            _ => assert_eq!(said, ""),
        }
    }
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let scene = Scene::new();
    let said = |arguments: &str| text(&scene.run(arguments).stderr);
    assert!(!said("verify-manifests --offline").contains('\x1b'));
    assert!(said("--color always verify-manifests --offline").contains("\x1b[1;31merror: "));
    assert!(!said("--color never verify-manifests --offline").contains('\x1b'));
}

/// In a terminal of script(1).
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
            .output_of_script(&program);
        assert_eq!(output.contains("\x1b[1;31m"), colored, "{variable}={value}: {output}");
    }
}

trait InTerminal {
    fn output_of_script(&mut self, program: &str) -> String;
}

impl InTerminal for Command {
    /// The same surroundings, in a terminal.
    fn output_of_script(&mut self, program: &str) -> String {
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
fn a_closed_pipe_is_no_error() {
    let scene = Scene::new();
    let mut child = scene
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert_eq!(said, "");
}

#[test]
fn a_full_standard_output_is_one() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output =
        Scene::new().command(&["completions", "bash"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("standard output") && stderr.contains("No space left"), "{stderr}");
}
