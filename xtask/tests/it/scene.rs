//! The guide's tree, its two releases as signed files next to it, and the tool itself run on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use release_fixture::certificate::TestCertificate;
use release_fixture::pack;
use serde_json::Value;
use xtask::demo::example;

/// A tree of its own, with a cache of its own.
pub(crate) struct Scene {
    home: tempfile::TempDir,
}

/// What is next to the tree: a certificate, and each release's image with its signature.
fn beside() -> &'static [(String, Vec<u8>)] {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let maker = TestCertificate::throwaway(5).unwrap();
        let mut files = vec![("key".to_owned(), maker.binary().unwrap())];
        for (release, image) in
            [(example::BEFORE.0, example::image_before()), (example::AFTER.0, example::image_after())]
        {
            let image = pack::pxe_image(&image.unwrap()).unwrap();
            files.push((format!("{release}.sig"), maker.sign(&image).unwrap()));
            files.push((release.to_owned(), image));
        }
        files
    })
}

impl Scene {
    pub(crate) fn new() -> Scene {
        let scene = Scene { home: tempfile::tempdir().unwrap() };
        for (path, content) in example::FILES {
            scene.put(path, content.as_bytes());
        }
        for (path, target) in example::LINKS {
            let path = scene.tree().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, path).unwrap();
        }
        for (name, bytes) in beside() {
            fs::write(scene.home().join(name), bytes).unwrap();
        }
        scene
    }

    /// Where the tool is run: the images lie here, each named for its release.
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

    /// The tool on this tree, below `wrapper`.
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
            .env_remove("XTASK_MIRROR")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    /// Runs a line of words.
    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(&[], &line.split_whitespace().collect::<Vec<_>>()).output().unwrap()
    }

    /// The document of a run, and its exit code.
    pub(crate) fn json(&self, line: &str) -> (Value, i32) {
        let output = self.run(&format!("--format json {line}"));
        let said = String::from_utf8_lossy(&output.stderr);
        let document =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {said}"));
        (document, output.status.code().unwrap_or_else(|| panic!("{line}: {}", output.status)))
    }
}

/// A manifest of the tree, for what a test does to it.
pub(crate) const SYSTEMD: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest";

/// Whether a path is a symlink, wherever it leads.
pub(crate) fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|what| what.is_symlink())
}
