//! `smoketest` on images with stub programs, which are neither linked nor run. These tests need no external program.

use std::fs;

use coreos_types::Board;
use release_fixture::elf::ElfStub;

use crate::scene::{SYSTEMD, Scene};

#[test]
fn manifest_errors_stop_before_the_build() {
    let scene = Scene::new();
    let manifest = String::from_utf8(scene.read(SYSTEMD)).unwrap();
    let left_out: String = manifest
        .lines()
        .filter(|line| !line.contains("libmount.so"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(left_out.len() < manifest.len());
    scene.put(SYSTEMD, left_out.as_bytes());
    let (document, code) = scene.json("smoketest --image 991.0.0");
    assert_eq!(code, 1, "{document}");
    assert!(document["findings"].to_string().contains("libmount.so.1"), "{document}");
    let checks = document["checks"].as_array().unwrap();
    let [check] = &checks[..] else { panic!("{checks:#?}") };
    assert_eq!((&check["name"], &check["outcome"]), (&"build".into(), &"skip".into()));
    let message = check["message"].as_str().unwrap();
    assert_eq!(message.matches("hint: ").count(), 1, "{message}");
    assert!(message.contains("verify-manifests --fix --image 991.0.0"), "{message}");
    assert!(message.ends_with("smoketest --image 991.0.0 --no-static"), "{message}");
    assert!(!scene.tree().join("stage1/build-smoketest").exists());
}

#[test]
fn stubs_are_reported_in_one_line() {
    let scene = Scene::new();
    let usr = scene.home().join("rootfs/usr");
    fs::create_dir_all(usr.join("lib64")).unwrap();
    let loader = ElfStub::library(Board::Amd64, "ld-linux-x86-64.so.2");
    fs::write(usr.join("lib64/ld-linux-x86-64.so.2"), loader.bytes()).unwrap();
    let (document, code) = scene.json("smoketest --rootfs rootfs");
    assert_eq!(code, 2, "{document}");
    assert!(document["error"]["message"].as_str().unwrap().contains("are stubs without code"), "{document}");
    let hint = document["error"]["hint"].as_str().unwrap();
    assert!(hint.ends_with("smoketest --rootfs rootfs --no-link --no-run"), "{hint}");
    assert_eq!(document["checks"], serde_json::json!([]));
    assert_eq!(scene.json("smoketest --rootfs rootfs --no-link --no-run").1, 0);
}
