//! Benchmarks of single components: `cargo bench --profile dev` for the profile that users run; `-- link` selects those
//! with "link" in their name.
//!
//! The release fixture generates the inputs, so that the times of two machines can be compared. Each benchmark runs for
//! about a second after a warm-up and prints the fastest and the median run. No time is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use coreos_types::{Board, Flavor, SystemdVersion, Vendor};
use manifest::plan::bump::{BumpOptions, plan_bump};
use manifest::plan::check_stage1_sources::check_stage1_sources;
use manifest::rules::lint_and_fix::FixOptions;
use manifest::selection::ManifestRef;
use manifest::stage1_sources::{COMMON_MK, Stage1Sources};
use openpgp_policy::{Certificate, DetachedSignatures, Pin, SHA1_CUTOFF, TrustPolicy};
use pxe_image::{SignatureCheck, TempFileDir, VerifiedImage};
use release_fixture::image_spec::{ImageSpec, NodeSpec};
use release_fixture::pack;
use usr::{DlopenPriority, DynamicLoader, UsrTree};
use xtask::demo::example;
use xtask::keyring::Keyring;

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let bench = Bench { only };
    hashing(&bench);
    reading(&bench);
    text_form(&bench);
    for lines in [150, 1_500, 15_000] {
        planning(&bench, lines);
    }
}

struct Bench {
    only: Vec<String>,
}

impl Bench {
    fn run<T>(&self, name: &str, mut part: impl FnMut() -> T) {
        if !self.only.is_empty() && !self.only.iter().any(|word| name.contains(word.as_str())) {
            return;
        }
        black_box(part());
        let mut runs: Vec<Duration> = Vec::new();
        let started = Instant::now();
        while runs.len() < 5 || (started.elapsed() < Duration::from_secs(1) && runs.len() < 1_000) {
            let run = Instant::now();
            black_box(part());
            runs.push(run.elapsed());
        }
        runs.sort();
        let median = runs[runs.len() / 2];
        println!("{name:<44} fastest {:>10.3?}  median {median:>10.3?}  of {}", runs[0], runs.len());
    }
}

/// Hashing for a signature. SHA-1 is with collision detection, for the CoreOS releases before 2017.
fn hashing(bench: &Bench) {
    let fixture = |name: &str| {
        std::fs::read(format!("{}/tests/fixtures/openpgp/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let bytes = noise(64 << 20);
    for (hash, certificate, signature) in [
        ("SHA-1", "gpg.pgp", "gpg-sha1.sig"),
        ("SHA-256", "rsa.pgp", "rsa-sha256.sig"),
        ("SHA-512", "plain.pgp", "sha512.sig"),
    ] {
        let certificate = Certificate::parse(&fixture(certificate), certificate).unwrap();
        let pin = Pin {
            sha1_until: Some(SHA1_CUTOFF),
            ..Pin::built_in_or_new(certificate.fingerprint().clone(), "a bench")
        };
        let policy = TrustPolicy { pins: vec![pin], now: 1_767_268_800 };
        let signature = DetachedSignatures::parse(&fixture(signature), signature).unwrap();
        let keyring = Keyring::from_certificates(policy, vec![certificate]);
        bench.run(&format!("{hash} of a signature, 64 MiB"), || {
            let mut verification = keyring.begin_verification(&signature, None).unwrap();
            assert!(verification.needs_data(), "{hash}");
            verification.update(&bytes);
            verification.signature_digests()
        });
    }
}

/// Inflating, extracting and opening an image of 64 MiB that gzip cannot compress.
fn reading(bench: &Bench) {
    let image = example::image_before().unwrap().put("share/noise", NodeSpec::Bytes(noise(64 << 20)));
    let packed = pack::pxe_image(&image).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let temp_dir = TempFileDir::new(directory.path());
    let verified = || {
        VerifiedImage::read_and_verify("bench", packed.as_slice(), None, SignatureCheck::new(None), &temp_dir)
            .unwrap()
    };
    bench.run("inflate and cpio, 64 MiB", verified);
    bench.run("inflate, cpio and squashfs tables, 64 MiB", || verified().open().unwrap().tree().len());
}

/// Bytes of a xorshift generator (Marsaglia 2003).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length / 8).flat_map(|_| next()).collect()
}

fn text_form(bench: &Bench) {
    let tree = wide(15_000).tree();
    let text = tree.to_text();
    bench.run("tree to text, 15,000 programs", || tree.to_text());
    bench.run("tree from text, 15,000 programs", || UsrTree::from_text(text.as_bytes()).unwrap());
}

/// The loader's graph, check and fix with `lines` listed programs, each with three libraries.
fn planning(bench: &Bench, lines: usize) {
    let tree = wide(lines).tree();
    let sources = listing(&tree);
    let trees = BTreeMap::from([(Board::Amd64, &tree)]);
    let programs: Vec<_> =
        tree.iter().map(|(path, _)| path.clone()).filter(|path| path.as_str().starts_with("bin/")).collect();
    bench.run(&format!("link graph, {lines} lines"), || {
        let loader = DynamicLoader::new(&tree, Board::Amd64, DynamicLoader::rkt_library_path(&tree), None);
        programs.iter().map(|program| loader.load(program).objects.len()).sum::<usize>()
    });
    let request = BumpOptions {
        release: "1032.0.0".parse().unwrap(),
        channel: None,
        vendor: None,
        systemd: Some(SystemdVersion(229)),
        min_dlopen_priority: Some(DlopenPriority::Required),
        fix_options: FixOptions::default(),
    };
    bench.run(&format!("check, {lines} lines"), || check_stage1_sources(&sources, &request, &trees).unwrap());
    bench.run(&format!("check and fix, {lines} lines"), || plan_bump(&sources, &request, &trees).unwrap());
}

/// An image with this number of programs, and one library per ten programs.
fn wide(programs: usize) -> ImageSpec {
    let release = "1032.0.0".parse().unwrap();
    let mut image = ImageSpec::new(Vendor::COREOS, Board::Amd64, &release, "229");
    let libraries = programs.div_ceil(10);
    for at in 0..libraries {
        let soname = format!("libwide{at}.so.1");
        image = image.library(&format!("lib64/{soname}.2.3"), &soname, &["libc.so.6"]);
    }
    for at in 0..programs {
        let needs = [at % libraries, (at + 1) % libraries].map(|at| format!("libwide{at}.so.1"));
        image = image.program(&format!("bin/wide{at}"), &[&needs[0], &needs[1], "libc.so.6"]);
    }
    image
}

/// Sources with one manifest that lists everything except each tenth library.
fn listing(tree: &UsrTree) -> Stage1Sources {
    let file = "stage1/usr_from_coreos/manifest-amd64-usr.d/wide.manifest".to_owned();
    let paths = tree.iter().filter(|(path, node)| {
        node.kind != usr::NodeKind::Directory && !path.as_str().contains("0.so.1") && path.parent().is_some()
    });
    let lines: String = paths.map(|(path, _)| format!("{path}\n")).collect();
    let flavor = Flavor::from_dir_name("usr_from_coreos").unwrap();
    let manifest_refs =
        vec![ManifestRef { board: Board::Amd64, flavor, directory_entry: file.clone(), file: file.clone() }];
    let common_mk =
        example::FILES.iter().find(|(path, _)| path.ends_with(".mk")).unwrap().1.as_bytes().to_vec();
    Stage1Sources {
        common_mk_path: COMMON_MK.to_owned(),
        common_mk,
        manifests: BTreeMap::from([(file, lines.into_bytes())]),
        manifest_refs,
        ..Stage1Sources::default()
    }
}
