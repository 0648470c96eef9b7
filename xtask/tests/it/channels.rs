//! Releases on another channel than the pinned one: the channel found, the edits written, and the same result from the
//! cache. The vendor's hosts are loopback servers behind the test's own proxy.

mod hosts;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use coreos_types::{Board, Vendor};
use release_fixture::certificate::TestCertificate;
use release_fixture::image_spec::ImageSpec;
use release_fixture::server::Server;
use release_fixture::site::{Site, add_signed_release};
use serde_json::Value;
use tempfile::TempDir;
use xtask::demo::example;

use self::hosts::Proxy;
use crate::scene::COMMON_MK;

/// A tree that pins alpha with plain http, one server per channel, and an empty cache.
struct ChannelScene {
    home: TempDir,
    certificate: TestCertificate,
    proxy: Proxy,
}

impl ChannelScene {
    fn new(channels: &[(&str, &[ImageSpec])]) -> ChannelScene {
        let home = TempDir::new().unwrap();
        let certificate = TestCertificate::throwaway(7).unwrap();
        fs::write(home.path().join("key.asc"), certificate.armored().unwrap()).unwrap();
        let server = |images: &[ImageSpec]| {
            let mut site = Site::new();
            images.iter().for_each(|image| add_signed_release(&mut site, image, &certificate).unwrap());
            Server::start(site).unwrap()
        };
        let host = |channel: &str| format!("{channel}.release.core-os.net");
        let hosts = channels.iter().map(|(channel, images)| (host(channel), server(images)));
        let proxy = Proxy::start(hosts.collect());
        let scene = ChannelScene { home, certificate, proxy };
        scene.write_tree();
        scene
    }

    fn tree(&self) -> PathBuf {
        self.home.path().join("tree")
    }

    /// Writes the example tree, replacing an earlier one.
    fn write_tree(&self) {
        let _ = fs::remove_dir_all(self.tree());
        for (path, text) in example::FILES {
            let path = self.tree().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("https://alpha", "http://alpha")).unwrap();
        }
        for (link, target) in example::symlinks() {
            std::os::unix::fs::symlink(target, self.tree().join(link)).unwrap();
        }
    }

    /// Copies the manifests of amd64-usr to arm64-usr.
    fn add_arm64_manifests(&self) {
        for (path, text) in example::FILES.iter().filter(|(path, _)| *path != COMMON_MK) {
            let path = self.tree().join(path.replace("amd64-usr", "arm64-usr"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn edit(&self, from: &str, to: &str) {
        let path = self.tree().join(COMMON_MK);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Runs a command on the tree and returns its JSON document and the number of requests.
    fn run(&self, line: &str) -> (Value, usize) {
        let before = self.proxy.requests();
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["--format", "json", "--repo"])
            .arg(self.tree())
            .args(line.split_whitespace())
            .arg("--insecure-http")
            .current_dir(self.home.path())
            .env("XTASK_CACHE_DIR", self.home.path().join("cache"))
            .env("XTASK_SIGNING_KEY", self.home.path().join("key.asc"))
            .env("XTASK_ADVISORIES", "none")
            .env("http_proxy", self.proxy.url())
            .env_remove("all_proxy")
            .env_remove("ALL_PROXY")
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .env_remove("XTASK_MIRROR")
            .output()
            .unwrap();
        let document = serde_json::from_slice(&output.stdout).unwrap();
        (document, self.proxy.requests() - before)
    }

    /// The channel that the tree's URL names.
    fn pinned(&self) -> String {
        let text = fs::read_to_string(self.tree().join(COMMON_MK)).unwrap();
        let url = text.lines().find(|line| line.starts_with("CCN_IMG_URL")).unwrap();
        url.split_once("://").unwrap().1.split('.').next().unwrap().to_owned()
    }
}

fn image_after() -> ImageSpec {
    example::image_after().unwrap()
}

/// The smallest image of the newer release that has a brand, a board and a version.
fn arm64_image() -> ImageSpec {
    let release = example::AFTER.0.parse().unwrap();
    ImageSpec::new(Vendor::COREOS, Board::Arm64, &release, example::AFTER.1).program("bin/bash", &[])
}

fn message(document: &Value) -> String {
    let error = &document["error"];
    format!("{} {} {}", error["message"], error["causes"], error["hint"])
}

#[test]
fn warm_cache_finds_the_same_channel_as_cold() {
    let scene = ChannelScene::new(&[("alpha", &[]), ("beta", &[]), ("stable", &[image_after()])]);
    let dry = scene.run("bump-coreos 1032.0.0 --dry-run").0;
    for offline in ["", " --offline"] {
        let (real, requests) = scene.run(&format!("bump-coreos 1032.0.0{offline}"));
        for key in ["images", "edits", "exit_code", "release"] {
            assert_eq!(real[key], dry[key], "{key}{offline}");
        }
        assert_eq!(real["release"]["channel"], "stable");
        assert_eq!(scene.pinned(), "stable");
        assert_eq!(requests > 0, offline.is_empty());
        // The origin of a cached image is not requested again.
        assert_eq!(scene.run("verify-manifests").1, 0);
        scene.write_tree();
    }

    let (beta, _) = scene.run("bump-coreos 1032.0.0 --channel beta");
    assert_eq!(beta["exit_code"], 2, "{beta}");
    assert!(message(&beta).contains("beta.release.core-os.net"), "{beta}");
    let (beta, _) = scene.run("bump-coreos 1032.0.0 --channel beta --offline");
    assert_eq!(beta["exit_code"], 2, "{beta}");
    assert!(message(&beta).contains("is cached from http://stable"), "{beta}");
    assert_eq!(scene.pinned(), "alpha");
}

#[test]
fn check_reports_a_url_that_fix_edits() {
    let scene = ChannelScene::new(&[("alpha", &[]), ("beta", &[]), ("stable", &[image_after()])]);
    scene.edit("991.0.0", "1032.0.0");
    let check = scene.run("verify-manifests").0;
    let findings = check["findings"].as_array().unwrap();
    assert!(
        findings.iter().any(|finding| finding["message"].as_str().unwrap().contains("taken from stable")),
        "{check}"
    );
    let fixed = scene.run("verify-manifests --fix").0;
    assert_eq!(fixed["exit_code"], 0, "{fixed:#}");
    assert_eq!(scene.pinned(), "stable");
    assert_eq!(scene.run("verify-manifests").0["exit_code"], 0);
}

#[test]
fn boards_without_a_common_channel_are_an_error() {
    let arm64 = arm64_image();
    let scene = ChannelScene::new(&[("alpha", &[]), ("beta", &[arm64]), ("stable", &[image_after()])]);
    scene.add_arm64_manifests();
    for _ in ["cold", "warm"] {
        let (document, _) = scene.run("bump-coreos 1032.0.0");
        assert_eq!(document["exit_code"], 2, "{document}");
        assert!(
            message(&document).contains("1032.0.0 is on stable for amd64-usr, and on beta for arm64-usr"),
            "{document}"
        );
        assert_eq!(scene.pinned(), "alpha");
    }
    let (missing, _) = scene.run("bump-coreos 1032.0.0 --channel stable");
    assert_eq!(missing["exit_code"], 2, "{missing}");
    assert!(message(&missing).contains("there is no image of 1032.0.0 for arm64-usr"), "{missing}");
    assert!(message(&missing).contains("--board amd64-usr"), "{missing}");
}

#[test]
fn missing_release_hints_at_latest() {
    let scene = ChannelScene::new(&[("alpha", &[]), ("beta", &[]), ("stable", &[])]);
    let tree = scene.tree().display().to_string();
    for (option, missing, file, hint) in [
        ("", "image", "pxe_image.cpio.gz: not found", "check the number"),
        ("--preview", "list of contents", "image_contents.txt: not found", "omit --preview"),
    ] {
        let (document, _) = scene.run(&format!("bump-coreos 1032.0.0 --signing-key key.asc {option}"));
        assert_eq!(document["exit_code"], 2, "{document}");
        let text = message(&document);
        let newest =
            format!("cargo xtask --repo {tree} bump-coreos latest --insecure-http --signing-key key.asc");
        let missing = format!("there is no {missing} of 1032.0.0 for amd64-usr");
        for words in [&missing, file, hint, &newest] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}

#[test]
fn closed_server_hints_at_other_sources() {
    let scene = ChannelScene::new(&[]);
    for (line, has_flatcar) in [
        ("bump-coreos 1032.0.0", true),
        ("bump-coreos latest", true),
        ("bump-coreos latest --preview", true),
        ("fetch latest", false),
    ] {
        let text = message(&scene.run(line).0);
        assert!(text.contains("use a copy of the releases (--mirror URL)"), "{line}: {text}");
        assert_eq!(text.contains("bump-coreos latest --brand flatcar"), has_flatcar, "{line}: {text}");
    }
}

/// The hint's board is one that the tree has manifests for.
#[test]
fn image_for_another_board_is_refused_with_a_hint() {
    let scene = ChannelScene::new(&[]);
    let arm64 = arm64_image();
    let mut site = Site::new();
    add_signed_release(&mut site, &arm64, &scene.certificate).unwrap();
    let name = "coreos_production_pxe_image.cpio.gz";
    for name in [name.to_owned(), format!("{name}.sig")] {
        fs::write(scene.home.path().join(&name), &site[&format!("arm64-usr/1032.0.0/{name}")]).unwrap();
    }
    let path = scene.home.path().join(name);
    let refusal = |board: &str| {
        let (document, _) =
            scene.run(&format!("bump-coreos 1032.0.0 {board} --image {}", Path::display(&path)));
        assert_eq!(document["exit_code"], 3, "{document}");
        message(&document)
    };
    let text = refusal("");
    assert!(text.contains("the tree has no manifests for arm64-usr") && !text.contains("--board"), "{text}");
    scene.add_arm64_manifests();
    let text = refusal("--board amd64-usr");
    assert!(text.contains("--board arm64-usr"), "{text}");
}
