//! Bumps over a series of Debian releases: what remains needs a decision, each hint does what it says, and the sshd of
//! the kvm flavor serves a login with only the listed files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::e2e::{output_of, put_cargo, releases, script, workspace};

const MANIFESTS: &str = "manifest-amd64-usr.d";

/// A tree that is bumped from release to release, and a shell with `cargo xtask`.
struct Series {
    home: TempDir,
}

impl Series {
    /// The tree of the first release.
    fn new(first: &str) -> Series {
        let series = Series { home: tempfile::tempdir().unwrap() };
        let tree = series.tree();
        script("make-debian-tree.sh", &[releases().to_str().unwrap(), first, tree.to_str().unwrap()]);
        put_cargo(&series.path("bin"));
        series
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn tree(&self) -> PathBuf {
        self.path("tree")
    }

    fn sh(&self, line: &str) -> Output {
        Command::new("sh")
            .args(["-c", line])
            .current_dir(self.home.path())
            .env("PATH", format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap()))
            .env("XTASK_CACHE_DIR", self.path("cache"))
            .env("XTASK_ADVISORIES", "none")
            .env_remove("XTASK_MIRROR")
            .output()
            .unwrap()
    }

    /// The findings of a command, and its exit code.
    fn findings(&self, line: &str) -> (Vec<Value>, i32) {
        let output = self.sh(&format!("cargo xtask --repo tree --format json {line}"));
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{line}: {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(document["error"], Value::Null, "{line}");
        (document["findings"].as_array().unwrap().clone(), output.status.code().unwrap())
    }

    /// Runs the hint of each finding on a copy of the tree, and asserts that the finding is gone. A hint that adds or
    /// removes lines changes only these, and removes nothing that the image has.
    fn paste_hints(&self, findings: &[Value], image: &Path, verify: &str) {
        for finding in findings {
            let hint = finding["hint"].as_str().unwrap();
            if !hint.starts_with("cargo xtask") {
                panic!("{finding:#}: the hint is no command");
            }
            let before = self.lines();
            output_of(Command::new("cp").args(["-a", "tree", "kept"]).current_dir(self.home.path()));
            let run = self.sh(hint);
            let stderr = String::from_utf8_lossy(&run.stderr);
            assert!(run.status.code().is_some_and(|code| code < 2), "{hint}: {}\n{stderr}", run.status);
            let key = |one: &Value| ["kind", "path", "file"].map(|key| one[key].clone());
            let (after, _) = self.findings(verify);
            assert!(!after.iter().any(|one| key(one) == key(finding)), "{hint} left {finding:#}");
            let now = self.lines();
            assert_ne!(before, now, "{hint} changed nothing");
            for line in before.iter().filter(|line| !now.contains(line)) {
                assert!(fs::symlink_metadata(image.join(line)).is_err(), "{hint} removed {line}");
            }
            fs::remove_dir_all(self.tree()).unwrap();
            fs::rename(self.path("kept"), self.tree()).unwrap();
        }
    }

    /// The lines of all manifests.
    fn lines(&self) -> Vec<String> {
        ["coreos", "kvm"].iter().flat_map(|flavor| self.flavor_lines(flavor)).collect()
    }

    fn flavor_lines(&self, flavor: &str) -> Vec<String> {
        let directory = self.tree().join(format!("stage1/usr_from_{flavor}/{MANIFESTS}"));
        let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let mut lines: Vec<String> = files
            .flat_map(|file| fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        lines.sort();
        lines.dedup();
        lines
    }

    /// The program that serves a login by ssh, in a root filesystem with the listed files of the kvm flavor.
    fn log_in(&self, squashfs: &Path) -> String {
        let directory = tempfile::tempdir_in(self.home.path()).unwrap();
        let (root, client) = (directory.path().join("root"), directory.path().join("client"));
        [&root, &client].into_iter().for_each(|path| fs::create_dir(path).unwrap());
        let list = client.join("list");
        fs::write(&list, self.flavor_lines("kvm").join("\n") + "\n").unwrap();
        let words =
            [&root.join("usr"), &list, &squashfs.to_owned()].map(|path| path.to_str().unwrap().to_owned());
        let [usr, list, squashfs] = &words;
        let arguments = ["-q", "-n", "-no-wildcards", "-d", usr, "-ef", list, squashfs];
        output_of(Command::new("unsquashfs").args(arguments).current_dir(directory.path()));
        for name in ["bin", "lib", "lib64"] {
            std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name)).unwrap();
        }
        let sshd = workspace().join("xtask/tests/it/series/sshd.sh");
        let words = [&sshd, &root, &client].map(|path| path.to_str().unwrap().to_owned());
        let [sshd, root_text, client] = &words;
        let arguments = ["-m", "-n", "bash", sshd, root_text, client];
        let printed = output_of(Command::new("unshare").args(arguments).current_dir(directory.path()));
        let (server, answer) = printed.trim_end().split_once('\n').unwrap_or_else(|| panic!("{printed}"));
        assert_eq!(answer, "finished");
        Path::new(server).strip_prefix(&root).unwrap().to_str().unwrap().to_owned()
    }
}

#[test]
#[ignore = "needs root, ssh, unsquashfs, cpio and Debian releases"]
fn bumps_over_debian_releases_leave_decisions() {
    let mut numbers: Vec<String> = fs::read_dir(releases().join("amd64-usr"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    numbers.sort();
    let series = Series::new(&numbers[0]);
    for release in &numbers {
        let directory = releases().join("amd64-usr").join(release);
        let image = directory.join("coreos_production_pxe_image.cpio.gz");
        let unpack = tempfile::tempdir_in(series.home.path()).unwrap();
        let extract = "zcat \"$0\" | cpio -i --quiet '*usr.squashfs' && mv \"$(find . -name usr.squashfs)\" all && \
                       unsquashfs -q -n -d usr all";
        output_of(
            Command::new("sh").args(["-c", extract, image.to_str().unwrap()]).current_dir(unpack.path()),
        );
        let options = format!(
            "--image {} --signing-key {}",
            image.display(),
            releases().join("signing-key.asc").display()
        );
        let (findings, code) = series.findings(&format!("bump-coreos {release} {options}"));
        let open: Vec<&Value> = findings.iter().filter(|finding| finding["severity"] != "advice").collect();
        assert_eq!(code, i32::from(!open.is_empty()));
        for finding in &open {
            println!(
                "{release} {}: {}",
                finding["flavor"].as_str().unwrap(),
                finding["message"].as_str().unwrap()
            );
            // A decision, and what it is between.
            assert_eq!(finding["fixable"], false, "{finding:#}");
            assert_eq!(finding["kind"], "missing", "{finding:#}");
            assert!(finding["message"].as_str().unwrap().contains("decide"), "{finding:#}");
        }
        let verify = format!("verify-manifests {options}");
        series.paste_hints(&findings, &unpack.path().join("usr"), &verify);
        let (_, code) = series.findings(&format!("bump-coreos {release} {options} --drop-missing"));
        assert_eq!(code, 0, "{release}");
        let server = series.log_in(&unpack.path().join("all"));
        println!("{release}: login served by {server}");
        let has_session = series.flavor_lines("kvm").iter().any(|line| line.ends_with("/sshd-session"));
        assert_eq!(server.ends_with("/sshd-session"), has_session, "{server}");
    }
}
