//! Validation of the JSON document of each command, run on the guide's tree and images, with the schema.

use coreos_types::Board;
use release_fixture::elf::ElfStub;
use serde_json::Value;

use crate::docs_man::commands;
use crate::scene::{SYSTEMD, Scene};
use crate::schema::{schema, violations};

/// Commands run in sequence on one tree, with the exit codes.
const RUNS: &[(&str, i32)] = &[
    ("verify-manifests --image 991.0.0", 0),
    ("fetch --image 991.0.0", 0),
    ("verify-signature 991.0.0 --offline", 0),
    ("verify-signature 991.0.0 --signature 1032.0.0.sig --offline", 3),
    ("why libz.so.1 --image 991.0.0", 0),
    ("why lib64/no/such --image 991.0.0", 2),
    ("diff 991.0.0 1032.0.0 --image 991.0.0 --image 1032.0.0", 0),
    ("sbom --image 991.0.0", 0),
    ("unneeded --image 991.0.0", 0),
    ("smoketest --no-link --no-run --rootfs rootfs", 0),
    ("bump-coreos 1032.0.0 --image 1032.0.0 --dry-run", 0),
    ("bump-coreos 1032.0.0 --image 1032.0.0 --check", 1),
    ("bump-coreos 1032.0.0 --image 991.0.0", 3),
    ("bump-coreos 1032.0.0 --image 1032.0.0 --report report.md", 0),
    ("bump-coreos 1032.0.0 --image 1032.0.0", 0),
    ("report", 0),
    ("edit-manifest stage1/usr_from_kvm/manifest-amd64-usr.d/ip.manifest --add bin/ls", 0),
    ("releases --offline", 2),
    ("sort-manifests", 0),
    ("cache list", 0),
    ("cache prune --older-than 3000", 0),
    ("completions fish", 0),
    ("demo", 0),
];

#[test]
fn every_command_prints_one_valid_document() {
    let scene = Scene::new();
    let rootfs = scene.home().join("rootfs/usr/bin");
    std::fs::create_dir_all(&rootfs).unwrap();
    std::fs::write(rootfs.join("true"), ElfStub::static_program(Board::Amd64).bytes()).unwrap();
    for (line, expected) in RUNS {
        let (document, code) = scene.json(line);
        save(&format!("{line}.json"), &document);
        assert_eq!(violations(&document), Vec::<String>::new(), "{line}");
        assert_eq!(
            (code, &document["exit_code"]),
            (*expected, &code.into()),
            "{line}: {:#}",
            document["error"]
        );
        assert_eq!(document["command"].as_str(), line.split(' ').next(), "{line}");
        // Each key must have a description in the schema.
        for key in document.as_object().unwrap().keys() {
            assert!(schema()["properties"].get(key).is_some(), "{line}: the schema does not know {key}");
        }
    }
    let untried: Vec<String> =
        commands().into_iter().filter(|name| !RUNS.iter().any(|(line, _)| line.starts_with(name))).collect();
    assert_eq!(untried, Vec::<String>::new());
}

/// Saves a document for an external validator; `.ci/run schemas` sets the directory.
fn save(name: &str, document: &Value) {
    if let Some(directory) = std::env::var_os("XTASK_DOCUMENTS") {
        let name = name.replace(['/', ' '], "_");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(std::path::Path::new(&directory).join(name), format!("{document:#}\n")).unwrap();
    }
}

/// SARIF documents of clean runs, findings, unwritten edits, failed checks and errors.
#[test]
fn sarif_has_findings_edits_and_errors() {
    let scene = Scene::new();
    let result_count = |line: &str, code: i32| {
        let output = scene.run(&format!("--format sarif {line}"));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        save(&format!("{line}.sarif"), &document);
        let run = &document["runs"][0];
        assert_eq!(
            (output.status.code(), &run["invocations"][0]["exitCode"]),
            (Some(code), &code.into()),
            "{line}"
        );
        let errors = run["invocations"][0]["toolExecutionNotifications"].as_array().unwrap().len();
        assert_eq!(errors, usize::from(code > 1), "{line}: {run:#}");
        run["results"].as_array().unwrap().len()
    };
    assert_eq!(result_count("verify-manifests --image 991.0.0", 0), 0);
    assert_eq!(result_count("bump-coreos 1032.0.0 --image 1032.0.0 --dry-run", 0), 2);
    assert_eq!(result_count("bump-coreos 1032.0.0 --image 991.0.0", 3), 0);
    assert_eq!(result_count("why lib64/no/such --image 991.0.0", 2), 0);
    assert_eq!(result_count("why", 2), 0);
    let lines = String::from_utf8(scene.read(SYSTEMD)).unwrap();
    let broken =
        lines.replace("libz.so.1.2.8\n", "libz.so.1.2.7\nbin/caf\u{e9} \"x\"\n").replacen('\n', "\r\n", 1);
    scene.put(SYSTEMD, broken.as_bytes());
    assert!(result_count("verify-manifests --image 991.0.0", 1) > 2);
}

/// A line that is not UTF-8 cannot be represented in JSON, so it is escaped in the same form in each output format.
#[test]
fn invalid_utf8_is_escaped_alike_in_all_formats() {
    let scene = Scene::new();
    let mut lines = scene.read(SYSTEMD);
    let at = lines.windows(12).position(|part| part == b"\nlib64/libz.").unwrap();
    lines.splice(at + 1..at + 1, b"lib64/libx-\xe9\x1b\n".iter().copied());
    scene.put(SYSTEMD, &lines);
    let bump = "bump-coreos 1032.0.0 --image 1032.0.0";
    let (document, code) = scene.json(&format!("{bump} --dry-run --report report.html"));
    assert_eq!(code, 1, "{:#}", document["error"]);
    let finding = &document["findings"][0];
    assert_eq!(finding["path"], "lib64/libx-\\xe9\u{1b}");
    assert!(
        finding["message"].as_str().unwrap().starts_with("lib64/libx-\\xe9\u{1b} is not in"),
        "{finding:#}"
    );
    let dropped = scene.json(&format!("{bump} --dry-run --drop-missing")).0;
    let diffs: String =
        dropped["edits"].as_array().unwrap().iter().filter_map(|edit| edit["diff"].as_str()).collect();
    assert!(diffs.contains("\n-lib64/libx-\\xe9\u{1b}\n"), "{diffs}");

    let printed = |line: &str| String::from_utf8(scene.run(line).stdout).unwrap();
    let html = std::fs::read_to_string(scene.home().join("report.html")).unwrap();
    for (face, said) in [
        ("text", printed(&format!("{bump} --dry-run"))),
        ("diff", printed(&format!("{bump} --dry-run --drop-missing"))),
        ("github", printed(&format!("--format github {bump} --dry-run"))),
        ("markdown", printed("report")),
        ("html", html),
    ] {
        // Text output escapes control characters as well: a terminal would interpret them.
        assert!(said.contains("lib64/libx-\\xe9\\x1b"), "{face}: {said}");
    }
    let all = Value::from(vec![document, dropped]).to_string();
    assert!(!all.contains(|c: char| c >= '\u{10ff80}' || c == '\u{fffd}'), "{all}");
}
