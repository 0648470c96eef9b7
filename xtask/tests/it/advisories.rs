//! Package changes and security fixes of a bump: their sources, and that these never change the outcome.

use release_fixture::server::Server;
use serde_json::{Value, json};
use xtask::demo::example;

use crate::scene::{Scene, serve};
use crate::schema::violations;

/// Notes of 1032.0.0 since 991.0.0: seven fixes, of which stage1's pam and systemd have three.
const NOTES: &str = r##"{"1032.0.0": {"release_notes": "_Changes since **Alpha 991.0.0**_\n\n#### Security fixes:\n\n- Linux ([CVE-2016-1](https://n/1), [CVE-2016-2](https://n/2), [CVE-2016-3](https://n/3), [CVE-2016-4](https://n/4))\n- pam ([CVE-2016-5](https://n/5), [CVE-2016-6](https://n/6))\n- systemd ([CVE-2016-7](https://n/7))\n\n#### Updates:\n\n- base, dev: pam ([0.84](https://example.invalid/0.84))\n"}}"##;

/// The example tree and a mirror with both of its releases.
struct Mirror {
    scene: Scene,
    server: Server,
}

impl Mirror {
    fn new() -> Mirror {
        let scene = Scene::new();
        std::fs::write(scene.home().join("notes.json"), NOTES).unwrap();
        let server = serve([example::image_before(), example::image_after()]);
        server.put("notes.json", NOTES.as_bytes().to_vec());
        Mirror { scene, server }
    }

    /// The JSON of a dry run of the bump.
    fn bump(&self, options: &str) -> (Value, i32) {
        let url = self.server.url();
        let line = format!("bump-coreos 1032.0.0 --dry-run --mirror {url} {options}");
        let (document, code) = self.scene.json(&line);
        assert_eq!(violations(&document), Vec::<String>::new());
        (document, code)
    }
}

#[test]
fn fixes_concern_packages_of_the_stage1() {
    let mirror = Mirror::new();
    let url = format!("{}/notes.json", mirror.server.url());
    for source in ["notes.json", url.as_str()] {
        let (document, code) = mirror.bump(&format!("--advisories {source}"));
        let found = &document["advisories"];
        assert_eq!((code, &found["signed"], &found["fixes"]), (0, &json!(false), &json!(7)), "{found}");
        assert_eq!((&found["other"], &found["flavors"]), (&json!(4), &json!({"coreos": 3, "kvm": 3})));
        let pam = &found["packages"][0];
        assert_eq!(
            (&pam["name"], &pam["ids"]),
            (&json!("sys-libs/pam"), &json!(["CVE-2016-5", "CVE-2016-6"]))
        );
        assert_eq!(pam["links"], json!(["https://example.invalid/0.84"]));
        assert!(found["note"].as_str().unwrap().contains("hint"));
    }
    // The download is stored: without the server's file, and offline, the result is the same.
    mirror.server.put("notes.json", b"no JSON".to_vec());
    for option in ["", "--offline"] {
        assert_eq!(mirror.bump(&format!("--advisories {url} {option}")).0["advisories"]["fixes"], 7);
    }
}

#[test]
fn unreadable_notes_change_no_outcome() {
    let mirror = Mirror::new();
    let url = mirror.server.url();
    mirror.server.put("text", b"<html>".to_vec());
    for source in ["http://127.0.0.1:1/x", &format!("{url}/text"), &format!("{url}/missing")] {
        let (document, code) = mirror.bump(&format!("--advisories {source}"));
        let note = document["advisories"]["note"].as_str().unwrap();
        assert!(code == 0 && note.contains("not read"), "{code} {note}");
        assert!(document["advisories"]["fixes"].is_null());
    }
    for source in ["missing.json", "key", "http://192.0.2.1/x", "ftp://x/y"] {
        let (document, code) = mirror.bump(&format!("--advisories {source}"));
        assert_eq!((code, document["images"].as_array().unwrap().len()), (2, usize::from(source == "key")));
    }
    assert!(mirror.bump("--advisories none").0["advisories"].is_null());
}

#[test]
fn old_packages_are_those_of_the_signed_list() {
    let mirror = Mirror::new();
    let changes = |(document, _): (Value, i32)| document["packages"].clone();
    let from_list = changes(mirror.bump(""));
    assert_eq!(from_list[0]["name"], "sys-apps/systemd");
    assert_eq!((&from_list[0]["from"], &from_list[0]["to"]), (&json!("225"), &json!("229")));
    assert!(from_list[0]["taken"].as_array().unwrap().len() > 10);
    // The images of both releases have the same packages as their lists.
    assert_eq!(changes(mirror.bump("--compare-sizes")), from_list);
    // A list that is not signed by the key is not used.
    let fresh = Mirror::new();
    let list = "amd64-usr/991.0.0/coreos_production_image_packages.txt";
    fresh.server.put(list, b"sys-apps/systemd-1::x\n".to_vec());
    let (document, code) = fresh.bump("");
    assert_eq!((code, &document["packages"]), (0, &Value::Null), "{document}");
}
