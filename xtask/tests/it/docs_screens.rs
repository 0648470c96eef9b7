//! Comparison of the screens in the documents with the output of runs on the tree and server of the demo.
//! `scripts/update-docs-output.sh` updates the documents.

mod svg;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use expect_test::expect_file;

/// A running demo server and its tree.
struct DemoServer {
    demo: Child,
    temporary: tempfile::TempDir,
    tree: PathBuf,
    key: String,
    mirror: String,
}

impl DemoServer {
    fn start() -> DemoServer {
        let temporary = tempfile::tempdir().unwrap();
        let mut demo = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["demo", "--serve"])
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines: Vec<String> =
            BufReader::new(demo.stdout.as_mut().unwrap()).lines().take(9).map(Result::unwrap).collect();
        let export = |name: &str| {
            let start = format!("export {name}=");
            lines.iter().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
        };
        let (tree, key, mirror) =
            (export("XTASK_DEMO").into(), export("XTASK_SIGNING_KEY"), export("XTASK_MIRROR"));
        DemoServer { demo, temporary, tree, key, mirror }
    }

    /// Runs a command in the tree with colours. Returns the prompt, the output and the exit code.
    fn capture(&self, arguments: &str) -> String {
        let output = Command::new("sh")
            .args(["-c", "exec \"$0\" --color always \"$@\" 2>&1", env!("CARGO_BIN_EXE_xtask")])
            .args(arguments.split(' '))
            .current_dir(&self.tree)
            .env("XTASK_CACHE_DIR", self.temporary.path().join("cache"))
            .env("XTASK_MIRROR", &self.mirror)
            .env("XTASK_SIGNING_KEY", &self.key)
            .env("TMPDIR", self.temporary.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let code = match output.status.code().unwrap_or_else(|| panic!("{arguments}: {}", output.status)) {
            0 => String::new(),
            code => format!("$ echo $?\n{code}\n"),
        };
        let places = regex::Regex::new(r"http://127\.0\.0\.1:[0-9]+").unwrap();
        let text = places.replace_all(&text, "http://127.0.0.1:8000");
        // Progress lines, which appear on slow machines, are removed.
        let progress = regex::Regex::new(r"(?m)^[a-z]+ +[^\n]*B/s(, [0-9]+ s left)?\n").unwrap();
        let text = progress.replace_all(&text, "");
        let text = text.replace(&format!("{}/", self.temporary.path().display()), "");
        format!("$ cargo xtask {arguments}\n{text}{code}")
    }

    fn manifest(&self) -> PathBuf {
        self.tree.join("stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest")
    }
}

impl Drop for DemoServer {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.demo.id().to_string()]).status();
        let _ = self.demo.wait();
    }
}

/// All screens by name.
fn screens() -> Vec<(&'static str, String)> {
    let server = DemoServer::start();
    let mut screens = vec![("demo", server.capture("demo"))];

    let sound = fs::read_to_string(server.manifest()).unwrap();
    let broken = sound.replace("lib64/libseccomp.so.2\n", "").replace("libz.so.1.2.8\n", "libz.so.1.2.7\n");
    fs::write(server.manifest(), broken).unwrap();
    screens.push(("findings", server.capture("verify-manifests")));
    fs::write(server.manifest(), sound).unwrap();

    server.capture("bump-coreos 1032.0.0");
    screens.push(("why", server.capture("why libpam.so.0")));

    let fetched = server.capture("-q fetch");
    let image = server.temporary.path().join(fetched.lines().nth(1).unwrap());
    let changed = server.tree.join("pxe_image.cpio.gz");
    let mut bytes = fs::read(&image).unwrap();
    bytes[2000] ^= 1;
    fs::write(&changed, bytes).unwrap();
    fs::copy(signature_path(&image), signature_path(&changed)).unwrap();
    screens.push(("refused", server.capture("verify-manifests --image pxe_image.cpio.gz")));
    screens
}

fn signature_path(file: &Path) -> PathBuf {
    PathBuf::from(format!("{}.sig", file.display()))
}

/// The text without colours.
fn plain(text: &str) -> String {
    regex::Regex::new("\x1b\\[[0-9;]*m").unwrap().replace_all(text, "").into_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn screens_are_the_output_of_a_run() {
    let screens = screens();
    for (name, screen) in &screens {
        expect_file![root().join(format!("docs/screens/{name}.svg"))].assert_eq(&svg::render(screen));
    }
    for document in ["README.md", "docs/guide.md", "docs/troubleshooting.md", "docs/adopting.md"] {
        let path = root().join(document);
        let text = fs::read_to_string(&path).unwrap();
        expect_file![path].assert_eq(&with_screens(&text, &screens));
    }
}

/// Each screen is a picture in one document, and text in at most one other.
#[test]
fn each_screen_is_shown_once() {
    let documents = ["README.md", "docs/guide.md", "docs/troubleshooting.md", "docs/adopting.md"];
    let text: String = documents.map(|document| fs::read_to_string(root().join(document)).unwrap()).concat();
    for entry in fs::read_dir(root().join("docs/screens")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(text.matches(&format!("screens/{name}.svg)")).count(), 1, "the picture of {name}");
        assert!(text.matches(&format!("<!-- screen {name} -->")).count() <= 1, "the text of {name}");
        let svg = fs::read_to_string(&path).unwrap();
        let lines = svg.lines().filter(|line| line.starts_with("<text"));
        for line in lines {
            assert!(line.contains(" xml:space=\"preserve\""), "{line}");
        }
        let width = svg.split_once("viewBox=\"0 0 ").and_then(|(_, rest)| rest.split_once(' ')).unwrap().0;
        assert!(width.parse::<usize>().unwrap() <= 820, "{name} is {width} pixels wide");
    }
}

/// The document with each block after `<!-- screen NAME -->` replaced.
fn with_screens(text: &str, screens: &[(&str, String)]) -> String {
    let block = regex::Regex::new("(?s)<!-- screen ([a-z]+) -->\n```console\n.*?```\n").unwrap();
    let fresh = |found: &regex::Captures<'_>| {
        let name = &found[1];
        let (_, screen) = screens.iter().find(|(known, _)| *known == name).expect("a screen with this name");
        format!("<!-- screen {name} -->\n```console\n{}```\n", plain(screen))
    };
    block.replace_all(text, fresh).into_owned()
}
