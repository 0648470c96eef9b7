//! `latest` never downgrades, and `--preview` reports that lists do not verify their release.

use release_fixture::server::Server;
use release_fixture::site::{Site, add_signed_release};
use serde_json::Value;
use xtask::demo::example;

use crate::scene::{COMMON_MK, Scene, certificate, put_signed, serve};

const DIR: &str = "amd64-usr/1032.0.0";

/// The example tree and a mirror with both of its releases.
struct Mirror {
    scene: Scene,
    server: Server,
}

impl Mirror {
    fn new() -> Mirror {
        Mirror { scene: Scene::new(), server: serve([example::image_before(), example::image_after()]) }
    }

    /// Publishes a file and its signature on the mirror.
    fn put(&self, path: &str, text: &str) {
        put_signed(&self.server, path, text);
    }

    fn set_current(&self, release: &str) {
        self.put("amd64-usr/current/version.txt", &format!("COREOS_VERSION_ID={release}\n"));
    }

    /// The JSON of a bump, and its exit code.
    fn bump(&self, line: &str) -> (Value, i32) {
        let url = self.server.url();
        self.scene.json(&format!("bump-coreos {line} --mirror {url}"))
    }

    fn pin(&self, from: &str, to: &str) {
        let text = String::from_utf8(self.scene.read(COMMON_MK)).unwrap();
        assert!(text.contains(from), "{text}");
        self.scene.put(COMMON_MK, text.replace(from, to).as_bytes());
    }
}

#[test]
fn keys_of_a_run_are_logged_once() {
    let mirror = Mirror::new();
    mirror.set_current("1032.0.0");
    for command in ["fetch latest", "bump-coreos latest --preview"] {
        let output = mirror.scene.run(&format!("-v {command} --mirror {}", mirror.server.url()));
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("trusted ")).count(), 1, "{command}: {text}");
    }
}

#[test]
fn latest_older_than_the_pin_is_refused() {
    let mirror = Mirror::new();
    mirror.pin("991.0.0", "1032.0.0");
    mirror.set_current("991.0.0");
    let before = mirror.scene.read(COMMON_MK);
    for option in ["", " --dry-run", " --check", " --preview"] {
        let (document, code) = mirror.bump(&format!("latest{option}"));
        assert_eq!((code, &document["downgrade"]), (3, &Value::Bool(true)), "{document}");
        let hint = document["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("--allow-downgrade") && hint.contains("latest"), "{hint}");
        assert_eq!(mirror.scene.read(COMMON_MK), before);
    }
    let (document, code) = mirror.bump("latest --allow-downgrade");
    assert!(code < 2 && document["release"]["to"] == "991.0.0", "{document}");
    assert_ne!(mirror.scene.read(COMMON_MK), before);
}

#[test]
fn latest_image_older_than_the_pin_is_refused() {
    let scene = Scene::new();
    let text = String::from_utf8(scene.read(COMMON_MK)).unwrap();
    scene.put(COMMON_MK, text.replace("991.0.0", "2000.0.0").as_bytes());
    let (document, code) = scene.json("bump-coreos latest --image 1032.0.0");
    assert_eq!((code, &document["downgrade"]), (3, &Value::Bool(true)), "{document}");
}

#[test]
fn older_release_by_number_warns() {
    let mirror = Mirror::new();
    mirror.pin("991.0.0", "1032.0.0");
    let url = mirror.server.url();
    let line = format!("bump-coreos 991.0.0 --mirror {url} --dry-run");
    let output = mirror.scene.run(&line);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some_and(|code| code < 2), "{stderr}");
    assert!(stderr.contains("991.0.0 is older than the pinned 1032.0.0"), "{stderr}");
}

#[test]
fn latest_equal_to_the_pin_checks_and_writes_nothing() {
    let mirror = Mirror::new();
    mirror.set_current("991.0.0");
    let files = || mirror.scene.read(crate::scene::SYSTEMD);
    let before = files();
    let (same, code) = mirror.bump("latest");
    let url = mirror.server.url();
    let check = format!("verify-manifests --mirror {url}");
    let (verified, expected) = mirror.scene.json(&check);
    assert_eq!(
        (code, &same["findings"], &same["edits"]),
        (expected, &verified["findings"], &verified["edits"])
    );
    assert_eq!(same["command"], "bump-coreos");
    assert_eq!(files(), before);
    let stderr = String::from_utf8(mirror.scene.run(&format!("bump-coreos latest --mirror {url}")).stderr);
    assert!(stderr.unwrap().contains("nothing is newer than 991.0.0"));
}

#[test]
fn preview_reports_an_unverified_release() {
    let mirror = Mirror::new();
    let (document, code) = mirror.bump("1032.0.0 --preview");
    assert!(code < 2, "{document}");
    assert_eq!(
        (&document["preview"], &document["release_proved"]),
        (&Value::Bool(true), &Value::Bool(false))
    );
    let url = mirror.server.url();
    let line = format!("bump-coreos 1032.0.0 --preview --mirror {url}");
    let stdout = String::from_utf8(mirror.scene.run(&line).stdout).unwrap();
    assert!(stdout.contains("is not verified"), "{stdout}");
}

/// Each row: the list or version.txt, its replacement, and the reason of the refusal.
#[test]
fn contradictory_lists_are_refused() {
    let entry = |path: &str| format!("-rwxr-xr-x  1 root    root       1000 2016-04-28 10:00 ./usr/{path}\n");
    let contents = format!("{DIR}/coreos_production_image_contents.txt");
    let mirror = Mirror::new();
    let mut site = Site::new();
    add_signed_release(&mut site, &example::image_after().unwrap(), &certificate()).unwrap();
    let text = |path: &str| String::from_utf8(site[path].clone()).unwrap();
    for (path, replaced, reason) in [
        (&contents, text(&contents) + &entry("lib64/systemd/libsystemd-shared-233.so"), "systemd"),
        (&contents, entry("lib64/ld-linux-aarch64.so.1"), "loader of arm64-usr"),
        (&contents, text(&contents) + &entry("share/flatcar/release"), "another vendor"),
        (&format!("{DIR}/version.txt"), "COREOS_VERSION_ID=991.0.0\n".to_owned(), "names 991.0.0"),
    ] {
        let original = text(path);
        mirror.put(path, &replaced);
        let (document, code) = mirror.bump("1032.0.0 --preview");
        assert_eq!(code, 3, "{path}: {document}");
        assert!(document["error"].to_string().contains(reason), "{document}");
        mirror.put(path, &original);
    }
    let (document, code) = mirror.bump("1032.0.0 --preview --systemd v233");
    assert_eq!(code, 3, "{document}");
    assert!(mirror.bump("1032.0.0 --preview").1 < 2);
}
