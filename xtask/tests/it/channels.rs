//! A release on another channel than the tree pins: what is found where, what is written, and that a second run, from
//! the cache, does the same. The vendor's hosts are servers on loopback, behind a proxy of the test's own.

mod hosts;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use coreos_types::release::{Board, Brand};
use release_fixture::certificate::TestCertificate;
use release_fixture::image::ImageSpec;
use release_fixture::release::{Site, publish};
use release_fixture::server::Server;
use serde_json::Value;
use tempfile::TempDir;
use xtask::demo::example;

use self::hosts::Proxy;

const COMMON_MK: &str = "stage1/usr_from_coreos/coreos-common.mk";

/// A tree that pins alpha by plain http, a server for each channel, and an empty cache.
struct Scene {
    home: TempDir,
    certificate: TestCertificate,
    proxy: Proxy,
}

impl Scene {
    fn new(channels: &[(&str, &[ImageSpec])]) -> Scene {
        let home = TempDir::new().unwrap();
        let certificate = TestCertificate::throwaway(7).unwrap();
        fs::write(home.path().join("key.asc"), certificate.armored().unwrap()).unwrap();
        let server = |images: &[ImageSpec]| {
            let mut site = Site::new();
            images.iter().for_each(|image| publish(&mut site, image, &certificate).unwrap());
            Server::start(site).unwrap()
        };
        let host = |channel: &str| format!("{channel}.release.core-os.net");
        let hosts = channels.iter().map(|(channel, images)| (host(channel), server(images)));
        let proxy = Proxy::start(hosts.collect());
        let scene = Scene { home, certificate, proxy };
        scene.restore();
        scene
    }

    fn tree(&self) -> PathBuf {
        self.home.path().join("tree")
    }

    /// The tree as it was, with manifests for these boards.
    fn restore(&self) {
        let _ = fs::remove_dir_all(self.tree());
        for (path, text) in example::FILES {
            let path = self.tree().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("https://alpha", "http://alpha")).unwrap();
        }
        for (link, target) in example::LINKS {
            std::os::unix::fs::symlink(target, self.tree().join(link)).unwrap();
        }
    }

    /// Gives the tree the same manifests for another board.
    fn list_for_arm64(&self) {
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

    /// Runs a command on the tree: its document, and how many requests it made.
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

fn after() -> ImageSpec {
    example::image_after().unwrap()
}

/// As much of an image as tells what it is.
fn for_arm64() -> ImageSpec {
    let release = example::AFTER.0.parse().unwrap();
    ImageSpec::new(Brand::CoreOs, Board::Arm64, &release, example::AFTER.1).program("bin/bash", &[])
}

fn message(document: &Value) -> String {
    let error = &document["error"];
    format!("{} {} {}", error["message"], error["causes"], error["hint"])
}

#[test]
fn a_warm_cache_knows_the_channel_as_well_as_a_cold_one() {
    let scene = Scene::new(&[("alpha", &[]), ("beta", &[]), ("stable", &[after()])]);
    let dry = scene.run("bump-coreos 1032.0.0 --dry-run").0;
    for offline in ["", " --offline"] {
        let (real, requests) = scene.run(&format!("bump-coreos 1032.0.0{offline}"));
        for key in ["images", "edits", "exit_code", "release"] {
            assert_eq!(real[key], dry[key], "{key}{offline}");
        }
        assert_eq!(real["release"]["channel"], "stable");
        assert_eq!(scene.pinned(), "stable");
        assert_eq!(requests > 0, offline.is_empty());
        // Where it came from is not asked again.
        assert_eq!(scene.run("verify-manifests").1, 0);
        scene.restore();
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
fn the_check_tells_a_url_that_the_fix_would_edit() {
    let scene = Scene::new(&[("alpha", &[]), ("beta", &[]), ("stable", &[after()])]);
    scene.edit("991.0.0", "1032.0.0");
    let check = scene.run("verify-manifests").0;
    let told = check["findings"].as_array().unwrap();
    assert!(told.iter().any(|one| one["message"].as_str().unwrap().contains("taken from stable")), "{check}");
    let fixed = scene.run("verify-manifests --fix").0;
    assert_eq!(fixed["exit_code"], 0, "{fixed:#}");
    assert_eq!(scene.pinned(), "stable");
    assert_eq!(scene.run("verify-manifests").0["exit_code"], 0);
}

#[test]
fn boards_on_different_channels_are_an_error_and_a_board_without_an_image_is_named() {
    let arm64 = for_arm64();
    let scene = Scene::new(&[("alpha", &[]), ("beta", &[arm64]), ("stable", &[after()])]);
    scene.list_for_arm64();
    for _ in ["cold", "warm"] {
        let (two, _) = scene.run("bump-coreos 1032.0.0");
        assert_eq!(two["exit_code"], 2, "{two}");
        assert!(
            message(&two).contains("1032.0.0 is on stable for amd64-usr, and on beta for arm64-usr"),
            "{two}"
        );
        assert_eq!(scene.pinned(), "alpha");
    }
    let (lacking, _) = scene.run("bump-coreos 1032.0.0 --channel stable");
    assert_eq!(lacking["exit_code"], 2, "{lacking}");
    assert!(message(&lacking).contains("there is no image of 1032.0.0 for arm64-usr"), "{lacking}");
    assert!(message(&lacking).contains("--board amd64-usr"), "{lacking}");
}

#[test]
fn what_is_nowhere_is_named_with_the_command_that_asks_for_the_newest() {
    let scene = Scene::new(&[("alpha", &[]), ("beta", &[]), ("stable", &[])]);
    let tree = scene.tree().display().to_string();
    for (option, lacking, file, way_on) in [
        ("", "image", "pxe_image.cpio.gz is not there", "check the number"),
        ("--preview", "list of contents", "image_contents.txt is not there", "omit --preview"),
    ] {
        let (document, _) = scene.run(&format!("bump-coreos 1032.0.0 --signing-key key.asc {option}"));
        assert_eq!(document["exit_code"], 2, "{document}");
        let told = message(&document);
        let newest =
            format!("cargo xtask --repo {tree} bump-coreos latest --insecure-http --signing-key key.asc");
        let lacking = format!("there is no {lacking} of 1032.0.0 for amd64-usr");
        for words in [&lacking, file, way_on, &newest] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}

/// What the message says can be done, can be done.
#[test]
fn an_image_for_another_board_is_told_with_what_the_tree_has() {
    let scene = Scene::new(&[]);
    let arm64 = for_arm64();
    let mut site = Site::new();
    publish(&mut site, &arm64, &scene.certificate).unwrap();
    let name = "coreos_production_pxe_image.cpio.gz";
    for name in [name.to_owned(), format!("{name}.sig")] {
        fs::write(scene.home.path().join(&name), &site[&format!("arm64-usr/1032.0.0/{name}")]).unwrap();
    }
    let path = scene.home.path().join(name);
    let refused = |board: &str| {
        let (document, _) =
            scene.run(&format!("bump-coreos 1032.0.0 {board} --image {}", Path::display(&path)));
        assert_eq!(document["exit_code"], 3, "{document}");
        message(&document)
    };
    let told = refused("");
    assert!(told.contains("the tree has no manifests for arm64-usr") && !told.contains("--board"), "{told}");
    scene.list_for_arm64();
    let told = refused("--board amd64-usr");
    assert!(told.contains("--board arm64-usr"), "{told}");
}
