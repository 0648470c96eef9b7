//! Accepted findings: shown, without effect on the exit code, not fixed; expired and unused ones are reported.

use serde_json::{Value, json};

use crate::scene::{SYSTEMD, Scene};
use crate::schema::violations;

const FILE: &str = "stage1/accepted-findings.toml";

/// The finding that 1032.0.0 has in the manifests of 991.0.0.
const PAM: &str =
    "[[accept]]\nkind = \"needs-unlisted\"\npath = \"lib64/libpam.so*\"\nreason = \"no user logs in\"\n";

/// The example tree at 1032.0.0, with these accepted findings and without libpam.
fn scene(accepted: &str) -> Scene {
    let scene = Scene::new();
    let common_mk = "stage1/usr_from_coreos/coreos-common.mk";
    let text = String::from_utf8(scene.read(common_mk)).unwrap();
    scene.put(common_mk, text.replace("991.0.0", "1032.0.0").replace("v225", "v229").as_bytes());
    scene.put(FILE, accepted.as_bytes());
    scene
}

fn verify(accepted: &str, options: &str) -> (Value, i32) {
    let (document, code) = scene(accepted).json(&format!("verify-manifests --image 1032.0.0 {options}"));
    assert_eq!(violations(&document), Vec::<String>::new());
    (document, code)
}

fn findings(document: &Value, accepted: bool) -> Vec<&str> {
    let all = document["findings"].as_array().unwrap().iter();
    let some = all.filter(|finding| finding["accepted"] == accepted);
    some.map(|finding| finding["path"].as_str().unwrap()).collect()
}

#[test]
fn accepted_finding_does_not_fail_the_check() {
    assert_eq!(verify("", "").1, 1);
    let (document, code) = verify(PAM, "");
    assert_eq!((code, document["status"].as_str()), (0, Some("clean")), "{document}");
    assert_eq!((findings(&document, true).len(), findings(&document, false).len()), (1, 0));
    let finding = &document["findings"][0];
    assert_eq!((&finding["reason"], &finding["fixable"]), (&json!("no user logs in"), &json!(false)));
    for (line, parts) in [
        ("verify-manifests", &["no problems; 1 accepted"][..]),
        ("-v verify-manifests", &["accepted[needs-unlisted] lib64/libpam.so.0", "no user logs in"]),
        ("--format github verify-manifests", &["1 accepted"]),
        ("--format sarif verify-manifests", &["\"suppressions\"", "\"justification\": \"no user logs in\""]),
    ] {
        let output = scene(PAM).run(&format!("{line} --image 1032.0.0"));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && parts.iter().all(|part| text.contains(part)), "{line}: {text}");
        assert!(!text.contains("::error"), "{text}");
    }
}

#[test]
fn accepted_finding_is_not_fixed() {
    let scene = scene(PAM);
    let before = scene.read(SYSTEMD);
    let (document, code) = scene.json("verify-manifests --fix --image 1032.0.0");
    assert_eq!((code, scene.read(SYSTEMD) == before), (0, true), "{document}");
    let scene = Scene::new();
    scene.put(FILE, PAM.as_bytes());
    let before = scene.read(SYSTEMD);
    let (document, code) = scene.json("bump-coreos 1032.0.0 --image 1032.0.0");
    assert_eq!((code, document["fixes"].as_array().unwrap().len()), (0, 0), "{document}");
    assert!(scene.read(SYSTEMD) == before && findings(&document, true).len() == 1);
    // A malformed line stays as well.
    let tidy = "[[accept]]\nkind = \"tidy\"\npath = \"# kept\"\nmanifest = \"systemd\"\nreason = \"r\"\n";
    scene.put(FILE, [PAM, tidy].concat().as_bytes());
    scene.put(SYSTEMD, &[b"# kept\n", &before[..]].concat());
    let (document, code) = scene.json("verify-manifests --fix --image 1032.0.0");
    assert_eq!((code, findings(&document, true).len()), (0, 2), "{document}");
    assert!(scene.read(SYSTEMD).starts_with(b"# kept\n"));
}

#[test]
fn unused_and_expired_entries_are_warnings() {
    let unused = "\n[[accept]]\nkind = \"dangling\"\npath = \"bin/none\"\nreason = \"r\"\n";
    let other_board = unused.replace("reason", "board = \"arm64-usr\"\nreason");
    for (accepted, code, open, lines) in [
        ([PAM, unused].concat(), 1, &["bin/none"][..], &[6][..]),
        ([PAM, "expires = 2999-01-01\n"].concat(), 0, &[], &[]),
        ([PAM, "expires = 2020-01-01\n"].concat(), 1, &["lib64/libpam.so.0", "lib64/libpam.so*"], &[]),
        ([PAM, "flavor = \"kvm\"\n"].concat(), 1, &["lib64/libpam.so.0", "lib64/libpam.so*"], &[]),
        ([PAM, "manifest = \"ip\"\n"].concat(), 1, &["lib64/libpam.so.0", "lib64/libpam.so*"], &[]),
        ([PAM, "manifest = \"**/systemd.manifest\"\nboard = \"amd64-usr\"\n"].concat(), 0, &[], &[]),
        // The run does not check that board.
        ([PAM, &other_board].concat(), 0, &[], &[]),
    ] {
        let (document, found) = verify(&accepted, "");
        assert_eq!((found, findings(&document, false)), (code, open.to_vec()), "{accepted}: {document}");
        let warnings = document["findings"].as_array().unwrap().iter();
        let warnings: Vec<&Value> = warnings.filter(|finding| finding["file"] == FILE).collect();
        assert!(warnings.iter().all(|finding| finding["severity"] == "warning"), "{document}");
        for (warning, line) in warnings.iter().zip(lines) {
            assert_eq!(warning["line"], *line, "{document}");
        }
    }
}

#[test]
fn hint_removes_the_unused_entries() {
    let unused = |name| format!("\n[[accept]]\nkind = \"dangling\"\npath = \"{name}\"\nreason = \"r\"\n");
    let scene = scene(&[unused("a").as_str(), PAM, &unused("b")].concat());
    let (document, _) = scene.json("verify-manifests --image 1032.0.0");
    let hint = document["findings"][0]["hint"].as_str().unwrap();
    let done =
        std::process::Command::new("sh").args(["-c", hint]).current_dir(scene.tree()).status().unwrap();
    assert!(done.success(), "{hint}");
    assert_eq!(scene.json("verify-manifests --image 1032.0.0").1, 0);
    assert_eq!(String::from_utf8(scene.read(FILE)).unwrap().trim(), PAM.trim());
}

#[test]
fn malformed_file_is_an_error_with_its_line() {
    for (accepted, part) in [
        (PAM.replace("needs-unlisted", "missing"), ":2: findings of kind missing cannot be accepted"),
        (PAM.replace("reason", "reasons"), ":4: expected one of the keys"),
        ("[[accept]".to_owned(), ":1: "),
    ] {
        let (document, code) = verify(&accepted, "");
        let message = document["error"]["message"].as_str().unwrap();
        assert!(code == 2 && message.starts_with(FILE) && message.contains(part), "{code} {message}");
        assert!(document["error"]["hint"].is_string());
    }
    let scene = scene("");
    std::fs::remove_file(scene.tree().join(FILE)).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", scene.tree().join(FILE)).unwrap();
    let (document, code) = scene.json("verify-manifests --image 1032.0.0");
    assert!(code == 2 && document["error"]["message"].as_str().unwrap().contains("outside of the tree"));
}
