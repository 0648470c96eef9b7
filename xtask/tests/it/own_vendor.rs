//! A vendor of the configuration: its names, server, keys and boards, from a bump to `releases`.

use coreos_types::{Board, Vendor};
use release_fixture::certificate::TestCertificate;
use release_fixture::server::Server;
use release_fixture::site::{Site, add_signed_release};
use xtask::cache::Cache;
use xtask::cli::{Command, parse};
use xtask::commands::{bump_coreos, fetch, releases, verify_manifests};
use xtask::config::Config;
use xtask::context::Context;
use xtask::demo::example;
use xtask::report::Report;
use xtask::terminal::Term;

use crate::scene::{COMMON_MK, Scene};

struct Own {
    scene: Scene,
    server: Server,
    config: Config,
}

/// A copy of the example's releases as those of another vendor: file names, board names, server and key.
fn own() -> Own {
    let (scene, certificate) = (Scene::new(), TestCertificate::throwaway(21).unwrap());
    std::fs::write(scene.home().join("acme.asc"), certificate.armored().unwrap()).unwrap();
    let mut original = Site::new();
    for image in [example::image_before(), example::image_after()] {
        add_signed_release(&mut original, &image.unwrap(), &certificate).unwrap();
    }
    let rename =
        |path: &str| format!("stable/{path}").replace("amd64-usr", "x86-64").replace("coreos_", "acme_");
    let mut site: Site = original.iter().map(|(path, bytes)| (rename(path), bytes.clone())).collect();
    for name in ["version.txt", "version.txt.sig"] {
        let newest = site[&format!("stable/x86-64/{}/{name}", example::AFTER.0)].clone();
        site.insert(format!("stable/x86-64/current/{name}"), newest);
    }
    let server = Server::start(site).unwrap();
    let table = format!(
        "[workspace.metadata.stage1.vendors.acme]\nid = \"coreos\"\nvariable-prefix = \"COREOS\"\nurls = [\"{}/CHANNEL\"]\n\
         channels = [\"stable\"]\npins = [\"{}\"]\nboards = {{ amd64-usr = \"x86-64\" }}\n",
        server.url(),
        certificate.fingerprint(),
    );
    let mut config = Config::parse_cargo_toml(&table).unwrap();
    config.vendor_certificates = vec![scene.home().join("acme.asc")];
    Own { scene, server, config }
}

impl Own {
    fn run(&self, line: &str) -> Report {
        let tree = self.scene.tree().display().to_string();
        let words = ["xtask", "--repo", &tree, "-q"].into_iter().chain(line.split_whitespace());
        let cli = parse(words.map(Into::into)).unwrap();
        let term = Term::new(cli.globals.format, cli.globals.color, xtask::terminal::Verbosity::Quiet);
        let mut report = xtask::run::new_report(&cli);
        let done = Context::load_with_config(&term, &cli, self.config.clone()).and_then(|mut context| {
            context.cache = Some(Cache::new(&self.scene.home().join("cache")));
            match &cli.command {
                Command::BumpCoreos(args) => bump_coreos(&context, args, &mut report),
                Command::VerifyManifests(args) => verify_manifests(&context, args, &mut report),
                Command::Fetch(args) => fetch(&context, args, &mut report),
                Command::Releases(_) => releases(&context, &mut report),
                other => panic!("{other:?}"),
            }
        });
        report.error = done.err();
        report
    }

    fn url(&self) -> String {
        let text = String::from_utf8(self.scene.read(COMMON_MK)).unwrap();
        text.lines().find_map(|line| line.strip_prefix("CCN_IMG_URL := ")).unwrap().to_owned()
    }
}

#[test]
fn tree_moves_to_an_own_vendor_and_back() {
    let own = own();
    let before = own.url();
    let report = own.run("bump-coreos latest --brand acme --drop-missing");
    assert_eq!((report.error.clone(), report.exit_code()), (None, 0));
    assert_eq!(
        own.url(),
        format!(
            "{}/stable/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/acme_production_pxe_image.cpio.gz",
            own.server.url()
        )
    );
    assert!(report.images[0].source.contains("/stable/x86-64/1032.0.0/acme_"), "{}", report.images[0].source);
    for line in ["verify-manifests", "fetch", "releases", "bump-coreos latest --check"] {
        let report = own.run(line);
        assert_eq!((report.error.clone(), report.exit_code()), (None, 0), "{line}");
    }
    assert!(own.run("fetch").output[0].contains("/releases/acme/amd64-usr/1032.0.0/"));
    // The images of CoreOS are signed by another key.
    let line = "verify-manifests --brand coreos --offline";
    assert_eq!(own.run(line).exit_code(), 2);
    let mut pins = manifest::common_mk::CommonMk::parse_with_includes(
        &own.scene.read(COMMON_MK),
        &Default::default(),
        &own.config.vendors,
    )
    .unwrap();
    pins.set_vendor(Vendor::COREOS, Some(coreos_types::Channel::Alpha)).unwrap();
    assert_eq!(pins.url_as_written(), before);
    assert_eq!(pins.url(Board::Amd64).unwrap().matches("1032.0.0").count(), 1);
}

#[test]
fn vendor_of_a_foreign_tree_is_not_believed() {
    let scene = Scene::new();
    let table = "[workspace]\n[workspace.metadata.stage1.vendors.evil]\nurls = [\"https://evil.example\"]\n\
                 pins = [\"0123456789ABCDEF0123456789ABCDEF01234567\"]\n";
    scene.put("Cargo.toml", table.as_bytes());
    let output = scene.run("bump-coreos latest --brand evil");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("\"evil\" is not a brand: expected coreos or flatcar"), "{text}");
}
