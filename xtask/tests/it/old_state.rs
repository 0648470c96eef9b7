//! The state that commit c6f20ce, the last one before the present formats, left on a user's disk: it is read, or
//! ignored and replaced, never misread (fixtures/state-c6f20ce, made by that program: an update that was killed
//! between two renames, the report of a run, and the start of a cached tree).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pxe_image::Digest;
use xtask::config::Config;
use xtask::demo::example;

use crate::scene::{COMMON_MK, Scene, serve};

const MANIFEST: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest";

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state-c6f20ce").join(name)).unwrap()
}

#[test]
fn old_journal_is_replayed() {
    let scene = Scene::new();
    scene.put(COMMON_MK, &fixture("coreos-common.mk"));
    scene.put(MANIFEST, &fixture("staging/old.1"));
    for name in ["journal", "back", "new.1", "old.0", "old.1"] {
        scene.put(&format!(".xtask-staging/{name}"), &fixture(&format!("staging/{name}")));
    }
    let output = scene.run("edit-manifest --help");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(scene.read(MANIFEST), fixture("staging/old.1"));
    let output = scene.run("sort-manifests --check");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (scene.read(MANIFEST), scene.read(COMMON_MK)),
        (fixture("staging/new.1"), fixture("coreos-common.mk"))
    );
    assert!(text.contains("warning") && !scene.tree().join(".xtask-staging").exists(), "{text}");
}

#[test]
fn old_cache_is_read_and_its_trees_are_not() {
    let (scene, server) = (Scene::new(), serve([example::image_before()]));
    let url = format!("{}/amd64-usr/991.0.0/coreos_production_pxe_image.cpio.gz", server.url());
    let (image, signature) = (
        fs::read(scene.home().join("991.0.0")).unwrap(),
        fs::read(scene.home().join("991.0.0.sig")).unwrap(),
    );
    let digest = Digest::sha256(&image).hex();
    let release = scene.home().join("cache/releases/coreos/amd64-usr/991.0.0");
    let path = release.join(&digest).join("coreos_production_pxe_image.cpio.gz");
    put(&path, &image);
    put(&path.with_extension("gz.sig"), &signature);
    put(&path.with_file_name("from"), format!("{url}\n").as_bytes());
    put(&release.join("lock"), b"");
    put(&release.join("coreos_production_pxe_image.cpio.gz.partial"), &image[..1000]);
    put(
        &release.join("coreos_production_pxe_image.cpio.gz.partial.state"),
        format!("{}\n\"etag\"\n", image.len()).as_bytes(),
    );
    let tree = old_tree(&path, &digest, &signature);
    // The tree of a file that has just changed is not cached: see `FileId::is_racy`.
    std::thread::sleep(std::time::Duration::from_millis(50));
    let line = format!("--mirror {}", server.url());
    let requests = server.requests().len();
    let output = scene.run(&format!("verify-manifests -v {line} --offline"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    // The old tree has a few files only: read as a whole one, it would make findings.
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("its cached tree is"), "{text}");
    assert_eq!(server.requests().len(), requests);
    let tree = fs::read(&tree).unwrap();
    assert!(tree.starts_with(b"image-tree ") && !tree.starts_with(b"image-tree 2\n"));
    let output = scene.run(&format!("fetch {line}"));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), path.to_str().unwrap());
    // The report of the last run is printed as it is.
    let run = Digest::sha256(scene.tree().as_os_str().as_encoded_bytes()).hex();
    put(&scene.home().join("cache/last-run").join(&run[..16]).join("report.md"), &fixture("report.md"));
    assert_eq!(scene.run("report").stdout, fixture("report.md"));
}

/// Writes a tree in the old form that is valid for this image in every respect but its form.
fn old_tree(image: &Path, digest: &str, signature: &[u8]) -> PathBuf {
    let found = fs::metadata(image).unwrap();
    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let head = format!(
        "image-tree 2\nfile {}\nimage {digest}\nstamp {} {} {} {} {}\nsignature {}\ncertificates {digest}\nhash {digest}",
        image.display(),
        found.dev(),
        found.ino(),
        found.len(),
        nanos(found.mtime(), found.mtime_nsec()),
        nanos(found.ctime(), found.ctime_nsec()),
        Digest::sha256(signature).hex(),
    );
    let check = Digest::sha256(head.as_bytes()).hex();
    let name = Digest::sha256(image.as_os_str().as_encoded_bytes()).hex();
    let path = image.ancestors().nth(6).unwrap().join("trees").join(&name[..32]);
    put(&path, &[format!("{head}\ncheck {check}\n\n").as_bytes(), &fixture("tree.txt")].concat());
    path
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn old_configuration_is_read() {
    let text = "[workspace.metadata.stage1]\nmirror = \"https://m.example\"\nsigning-key = \"k.asc\"\npins = [\"AB\"]\nkey-servers = []\n";
    let config = Config::parse_cargo_toml(text).unwrap();
    assert_eq!((config.mirror.as_deref(), config.pins), (Some("https://m.example"), vec!["AB".to_owned()]));
    assert_eq!((config.signing_key, config.key_servers), (Some(PathBuf::from("k.asc")), Some(Vec::new())));
    assert_eq!(config.vendors, Default::default());
}
