//! Errors that need no download are reported before one, each with a hint.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use xtask::demo::example;

use crate::scene::{Scene, is_link, serve};

#[test]
fn missing_files_are_reported_before_a_download() {
    let scene = Scene::new();
    // A request would be an error too, of this mirror.
    let mirror = "--mirror http://127.0.0.1:9";
    for (line, message, hint) in [
        ("--trust-tree nowhere fetch", "--trust-tree nowhere is not a directory", "--trust-tree DIR"),
        ("fetch --signing-key nowhere", "cannot read the signing key nowhere", ": --signing-key FILE"),
        ("fetch --output nowhere/image", "cannot write nowhere/image", "mkdir -p -- nowhere"),
        ("fetch --output tree", "cannot write tree", "--output FILE"),
        ("sbom --output nowhere/bom", "cannot write nowhere/bom", "mkdir -p -- nowhere"),
        ("smoketest --no-build --rootfs nowhere", "cannot open the root filesystem nowhere", "--rootfs"),
        ("verify-signature nowhere", "cannot open nowhere", "cargo xtask verify-signature FILE"),
    ] {
        let mirror = if line.starts_with("verify") { "" } else { mirror };
        let output = scene.run(&format!("{line} {mirror}"));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{line}: {text}");
        assert!(
            text.contains(&format!("error: {message}\n")) && !text.contains("127.0.0.1:9/"),
            "{line}: {text}"
        );
        let found = text.lines().find_map(|line| line.strip_prefix("  hint: ")).unwrap_or_default();
        assert!(found.contains(hint), "{line}: {text}");
    }
    let mut command = scene.command(&[], &["fetch", "--mirror", "http://127.0.0.1:9"]);
    let output = command.env("XTASK_SIGNING_KEY", "/nowhere/key").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("XTASK_SIGNING_KEY=FILE\n"));
}

/// A variable that is ignored would mean another server, or the pinned keys.
#[test]
fn variable_that_is_not_utf8_is_not_ignored() {
    let scene = Scene::new();
    for (name, message) in
        [("XTASK_MIRROR", "XTASK_MIRROR is not UTF-8"), ("XTASK_SIGNING_KEY", "cannot read the signing key")]
    {
        let mut command = scene.command(&[], &["fetch", "--image", "991.0.0"]);
        let output = command.env(name, OsStr::from_bytes(b"\xff")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && text.contains(message), "{name}: {text}");
    }
}

#[test]
fn output_to_a_device_does_not_replace_it() {
    let scene = Scene::new();
    let link = scene.home().join("device");
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    for (command, code) in [("sbom", 0), ("fetch", 2)] {
        let output = scene.run(&format!("{command} --image 991.0.0 --output device"));
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(is_link(&link), "{command}");
    }
}

#[test]
fn damaged_cached_image_has_a_hint_that_works() {
    let (scene, server) = (Scene::new(), serve([example::image_before()]));
    let line = format!("fetch --mirror {}", server.url());
    let path = scene.run(&line).stdout;
    let path = std::path::PathBuf::from(String::from_utf8(path).unwrap().trim_end());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[500] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let output = scene.run(&format!("{line} --offline"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3));
    assert!(text.contains("hint: run it once without --offline, which downloads the image again"), "{text}");
    assert_eq!(scene.run(&line).status.code(), Some(0));
    assert_eq!(scene.run(&format!("{line} --offline")).status.code(), Some(0));
}
