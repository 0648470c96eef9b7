//! The URL of a foreign tree (`--repo`): only the vendors' hosts and hosts that the user allows are contacted.
//! Also Flatcar's current channels: in the path of the URL, with long-term support streams.

use std::process::{Command, Output};

use coreos_types::{Board, Vendor};
use release_fixture::image_spec::ImageSpec;
use release_fixture::server::{Misbehavior, Server};
use release_fixture::site::{Site, add_signed_release};
use xtask::demo::example;

use crate::scene::{COMMON_MK, Scene, certificate, put_signed, serve};

const IMAGE: &str = "amd64-usr/991.0.0/coreos_production_pxe_image.cpio.gz";

struct ForeignTree {
    scene: Scene,
    server: Server,
}

impl ForeignTree {
    fn new() -> ForeignTree {
        ForeignTree { scene: Scene::new(), server: serve([example::image_before()]) }
    }

    fn port(&self) -> String {
        self.server.url().rsplit(':').next().unwrap().to_owned()
    }

    /// Sets the image URL of the tree to `base` and the image file of this brand.
    fn set_url(&self, base: &str, brand: &'static Vendor) {
        let text: String = String::from_utf8(self.scene.read(COMMON_MK)).unwrap();
        let lines = text.lines().map(|line| match line.starts_with("CCN_IMG_URL") {
            true => format!(
                "CCN_IMG_URL := {base}/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/{}",
                brand.pxe_image
            ),
            false => line.to_owned(),
        });
        let text = lines.collect::<Vec<_>>().join("\n") + "\n";
        self.scene.put(COMMON_MK, text.as_bytes());
    }

    fn command(&self, line: &str) -> Command {
        self.scene.command(&[], &line.split_whitespace().collect::<Vec<_>>())
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    fn put(&self, path: &str, text: &str) {
        put_signed(&self.server, path, text);
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn foreign_tree_host_is_refused_before_a_request() {
    let tree = ForeignTree::new();
    let port = tree.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
        "evil.example",
        "release.core-os.net.evil.example",
    ] {
        tree.set_url(&format!("http://{host}:{port}"), Vendor::COREOS);
        for command in ["fetch", "bump-coreos latest", "bump-coreos 1032.0.0 --preview", "releases"] {
            let output = tree.run(&format!("{command} --insecure-http"));
            let text = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{host} {command}: {text}");
            assert!(text.contains("may not name the host") && text.contains("--allow-host"), "{text}");
        }
    }
    assert!(tree.server.requests().is_empty());
}

#[test]
fn allowed_hosts_are_contacted_in_any_notation() {
    let tree = ForeignTree::new();
    tree.set_url(&format!("http://127.1:{}", tree.port()), Vendor::COREOS);
    let output = tree.run("fetch --allow-host 127.0.0.1");
    assert!(output.status.success(), "{}", stderr(&output));
    let output = tree.run("fetch --allow-host 0x7f000001");
    assert!(output.status.success(), "{}", stderr(&output));
    let output = tree.command("fetch").env("XTASK_ALLOW_HOSTS", "a.example, 127.0.0.1").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let output = tree.run("fetch --allow-host http://127.0.0.1/");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("is not a host"));
}

#[test]
fn foreign_tree_redirect_to_private_is_refused() {
    let tree = ForeignTree::new();
    let inner = Server::start(Site::new()).unwrap();
    tree.set_url(&format!("http://127.0.0.1:{}", tree.port()), Vendor::COREOS);
    for location in [
        inner.url().replace("127.0.0.1", "localhost"),
        inner.url().replace("127.0.0.1", "[::1]"),
        inner.url().replace("127.0.0.1", "127.0.0.2"),
        "http://169.254.169.254".to_owned(),
        "http://192.168.1.1".to_owned(),
        "http://[::ffff:10.0.0.1]".to_owned(),
    ] {
        tree.server.misbehave(&format!("{IMAGE}.sig"), 1, Misbehavior::Redirect(format!("{location}/x")));
        let output = tree.run("fetch --allow-host 127.0.0.1 --insecure-http");
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{location}: {text}");
        assert!(text.contains("refusing the redirect to"), "{text}");
    }
    assert!(inner.requests().is_empty());
}

/// The user sets the mirror, and the tree around the working directory belongs to the user: both are trusted.
#[test]
fn mirror_and_own_tree_are_not_restricted() {
    let tree = ForeignTree::new();
    tree.set_url("http://10.0.0.1", Vendor::COREOS);
    let output = tree.run(&format!("fetch --mirror {}", tree.server.url()));
    assert!(output.status.success(), "{}", stderr(&output));
    tree.set_url(&format!("http://127.0.0.1:{}", tree.port()), Vendor::COREOS);
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["fetch", "--signing-key", "../key"])
        .current_dir(tree.scene.tree())
        .env("XTASK_CACHE_DIR", tree.scene.home().join("cache"))
        .env_remove("XTASK_MIRROR")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Publishes releases in the layout of Flatcar's content delivery network, `HOST/CHANNEL/BOARD/RELEASE/FILE`.
fn flatcar_cdn(tree: &ForeignTree) {
    let mut server = Site::new();
    for (channel, release) in
        [("alpha", "4722.0.0"), ("stable", "4593.2.5"), ("lts", "4081.3.6"), ("lts", "3510.3.9")]
    {
        let release = release.parse().unwrap();
        let image = ImageSpec::new(Vendor::FLATCAR, Board::Amd64, &release, example::AFTER.1)
            .program("bin/bash", &[]);
        let mut site = Site::new();
        add_signed_release(&mut site, &image, &certificate()).unwrap();
        server.extend(site.into_iter().map(|(path, bytes)| (format!("{channel}/{path}"), bytes)));
    }
    for (path, bytes) in server {
        tree.server.put(&path, bytes);
    }
    for (path, release) in [
        ("alpha/amd64-usr/current", "4722.0.0"),
        ("stable/amd64-usr/current", "4593.2.5"),
        ("lts/amd64-usr/current", "4081.3.6"),
        ("lts/amd64-usr/current-2023", "3510.3.9"),
    ] {
        tree.put(&format!("{path}/version.txt"), &format!("FLATCAR_VERSION_ID={release}\n"));
    }
    tree.server.put("lts/lts-info", b"3510:2023:supported\n4081:2024:unsupported\n".to_vec());
    tree.set_url(&format!("http://127.0.0.1:{}/stable", tree.port()), Vendor::FLATCAR);
}

#[test]
fn channels_in_the_path_and_lts_streams_are_followed() {
    let tree = ForeignTree::new();
    flatcar_cdn(&tree);
    for (channel, release, path) in [
        ("alpha", "4722.0.0", "alpha"),
        ("stable", "4593.2.5", "stable"),
        ("lts", "4081.3.6", "lts"),
        ("lts-2023", "3510.3.9", "lts"),
    ] {
        let line = format!(
            "--format json bump-coreos latest --channel {channel} --allow-host 127.0.0.1 --dry-run --drop-missing --systemd v257"
        );
        let output = tree.run(&line);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["release"]["to"], release, "{document}");
        assert_eq!(document["release"]["channel"], path, "{document}");
        let diff = document["edits"].to_string();
        assert!(diff.contains(&format!("/{path}/$(RKT_STAGE1_COREOS_BOARD)")), "{diff}");
    }
    // The release is found on another channel than the one in the URL.
    let output = tree.run(
        "--format json bump-coreos 4722.0.0 --allow-host 127.0.0.1 --dry-run --drop-missing --systemd v257",
    );
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["release"]["channel"], "alpha", "{document}");
}

#[test]
fn channel_without_a_match_is_an_error() {
    let tree = ForeignTree::new();
    tree.set_url(&format!("http://127.0.0.1:{}", tree.port()), Vendor::COREOS);
    let output = tree.run("fetch --channel beta --allow-host 127.0.0.1");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--channel beta has no effect"), "{}", stderr(&output));
}

#[test]
fn releases_lists_channels_and_streams() {
    let tree = ForeignTree::new();
    flatcar_cdn(&tree);
    let output = tree.run("--format json releases --allow-host 127.0.0.1");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = document["releases"].as_array().unwrap();
    let listed: Vec<String> =
        rows.iter().map(|row| format!("{} {} {}", row["channel"], row["release"], row["systemd"])).collect();
    assert_eq!(
        listed,
        [
            "\"alpha\" \"4722.0.0\" \"v229\"",
            "\"stable\" \"4593.2.5\" \"v229\"",
            "\"lts\" \"4081.3.6\" \"v229\"",
            "\"lts-2023\" \"3510.3.9\" \"v229\"",
        ]
    );
    let text =
        String::from_utf8(tree.run("releases --channel lts-2023 --allow-host 127.0.0.1").stdout).unwrap();
    assert!(
        text.contains("lts-2023") && text.contains("3510.3.9") && text.contains("pinned: 991.0.0"),
        "{text}"
    );
}
