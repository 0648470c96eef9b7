//! The guide's tree, its two releases as signed files next to the tree, and runs of the tool.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use release_fixture::certificate::TestCertificate;
use release_fixture::image_spec::ImageSpec;
use release_fixture::pack;
use release_fixture::server::Server;
use release_fixture::site::{Site, add_signed_release};
use serde_json::Value;
use xtask::demo::example;

/// A temporary tree with its own cache.
pub(crate) struct Scene {
    home: tempfile::TempDir,
}

/// Files next to the tree: a certificate, and the image and signature of each release.
fn neighbour_files() -> &'static [(String, Vec<u8>)] {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut files = vec![("key".to_owned(), certificate().binary().unwrap())];
        for (release, image) in
            [(example::BEFORE.0, example::image_before()), (example::AFTER.0, example::image_after())]
        {
            let image = pack::pxe_image(&image.unwrap()).unwrap();
            files.push((format!("{release}.sig"), certificate().sign(&image).unwrap()));
            files.push((release.to_owned(), image));
        }
        files
    })
}

/// The certificate that every scene trusts.
pub(crate) fn certificate() -> TestCertificate {
    TestCertificate::throwaway(5).unwrap()
}

/// Starts a server with these images as signed releases.
pub(crate) fn serve(images: impl IntoIterator<Item = coreos_types::Result<ImageSpec>>) -> Server {
    let mut site = Site::new();
    for image in images {
        add_signed_release(&mut site, &image.unwrap(), &certificate()).unwrap();
    }
    Server::start(site).unwrap()
}

/// Publishes a file and its signature on a server.
pub(crate) fn put_signed(server: &Server, path: &str, text: &str) {
    server.put(&format!("{path}.sig"), certificate().sign(text.as_bytes()).unwrap());
    server.put(path, text.as_bytes().to_vec());
}

impl Scene {
    pub(crate) fn new() -> Scene {
        let scene = Scene { home: tempfile::tempdir().unwrap() };
        for (path, content) in example::FILES {
            scene.put(path, content.as_bytes());
        }
        for (path, target) in example::symlinks() {
            let path = scene.tree().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, path).unwrap();
        }
        for (name, bytes) in neighbour_files() {
            fs::write(scene.home().join(name), bytes).unwrap();
        }
        scene
    }

    /// The directory that has the images, each named after its release, and in which the tool is run.
    pub(crate) fn home(&self) -> PathBuf {
        fs::canonicalize(self.home.path()).unwrap()
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.home().join("tree")
    }

    /// Writes a file of the tree.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.tree().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.tree().join(path)).unwrap()
    }

    /// The command of the tool on this tree, run by `wrapper` if there is one.
    pub(crate) fn command(&self, wrapper: &[&str], arguments: &[&str]) -> Command {
        let tree = self.tree().display().to_string();
        let tool = [env!("CARGO_BIN_EXE_xtask"), "--repo", &tree];
        let line: Vec<&str> = wrapper.iter().chain(&tool).chain(arguments).copied().collect();
        let mut command = Command::new(line[0]);
        command
            .args(&line[1..])
            .current_dir(self.home())
            .env("XTASK_CACHE_DIR", self.home().join("cache"))
            .env("XTASK_SIGNING_KEY", self.home().join("key"))
            .env("XTASK_ADVISORIES", "none")
            .env_remove("XTASK_MIRROR")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command line, split at blanks.
    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(&[], &line.split_whitespace().collect::<Vec<_>>()).output().unwrap()
    }

    /// The JSON document and the exit code of a run.
    pub(crate) fn json(&self, line: &str) -> (Value, i32) {
        let output = self.run(&format!("--format json {line}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        let document = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{line}: {error}: {stderr}"));
        (document, output.status.code().unwrap_or_else(|| panic!("{line}: {}", output.status)))
    }
}

pub(crate) const COMMON_MK: &str = "stage1/usr_from_coreos/coreos-common.mk";

/// A manifest of the tree that tests edit.
pub(crate) const SYSTEMD: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest";

/// Whether a path is a symlink, dangling or not.
pub(crate) fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|what| what.is_symlink())
}
