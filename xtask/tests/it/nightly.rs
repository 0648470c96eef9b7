//! `scripts/nightly-bump.sh` with the real tool and git, a release server on loopback, and a stub of gh(1) that records its
//! calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use release_fixture::server::Server;
use release_fixture::site::{Site, add_signed_release, make_current};
use xtask::demo::example;

use crate::e2e::{executable, output_of, workspace};
use crate::scene::{Scene, certificate};

/// Output of a smoke test that tries to close its code block and to run workflow commands.
const HOSTILE: &str = "FAIL link bin/x\n```\n# INJECTED @octocat\n````\n![x](https://evil.example)\n::set-env name=A::b\n##[error]x\n\u{1b}[2J\u{202e}end\n";

/// A repository at 991.0.0 with an origin, a server with both releases, and stubs of cargo and gh.
struct Nightly {
    scene: Scene,
    server: Server,
    /// version.txt of 991.0.0, and its signature.
    old_version: [Vec<u8>; 2],
}

struct ScriptResult {
    code: i32,
    output: String,
}

impl Nightly {
    fn new() -> Nightly {
        let mut site = Site::new();
        add_signed_release(&mut site, &example::image_before().unwrap(), &certificate()).unwrap();
        add_signed_release(&mut site, &example::image_after().unwrap(), &certificate()).unwrap();
        let old_version =
            ["", ".sig"].map(|suffix| site[&format!("amd64-usr/991.0.0/version.txt{suffix}")].clone());
        make_current(&mut site, &example::image_after().unwrap());
        let nightly = Nightly { scene: Scene::new(), server: Server::start(site).unwrap(), old_version };
        let home = nightly.home();
        fs::create_dir(home.join("bin")).unwrap();
        executable(
            &home.join("bin/cargo"),
            &format!(
                "#!/bin/sh\necho \"cargo $*\" >> {log}\n[ \"$4\" != smoketest ] || {{ cat {home}/smoketest; exit $(cat {home}/code); }}\nshift\nexec {tool} \"$@\"\n",
                log = nightly.log().display(),
                home = home.display(),
                tool = env!("CARGO_BIN_EXE_xtask")
            ),
        );
        executable(
            &home.join("bin/gh"),
            &format!(
                "#!/bin/sh\necho \"gh $*\" >> {log}\ncase \"$1 $2\" in\n'pr list') cat {home}/open ;;\n'pr create') echo https://github.example/o/r/pull/9 ;;\nesac\n\
                 while [ $# -gt 0 ]; do [ \"$1\" != --body-file ] || cp \"$2\" {home}/body.md; shift; done\n",
                log = nightly.log().display(),
                home = home.display()
            ),
        );
        fs::write(home.join("smoketest"), HOSTILE).unwrap();
        fs::write(home.join("code"), "0\n").unwrap();
        fs::write(home.join("open"), "").unwrap();
        let script = nightly.scene.tree().join("scripts/nightly-bump.sh");
        fs::create_dir(script.parent().unwrap()).unwrap();
        fs::copy(workspace().join("scripts/nightly-bump.sh"), &script).unwrap();
        nightly.git(&["init", "--quiet", "--initial-branch=main"]);
        nightly.git(&["add", "."]);
        nightly.git(&["commit", "--quiet", "--message=first"]);
        let origin = home.join("origin.git").display().to_string();
        nightly.git(&["init", "--quiet", "--bare", &origin]);
        nightly.git(&["remote", "add", "origin", &origin]);
        nightly
    }

    fn home(&self) -> PathBuf {
        self.scene.home()
    }

    fn log(&self) -> PathBuf {
        self.home().join("calls")
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:{}", self.home().join("bin").display(), std::env::var("PATH").unwrap());
        command.args(arguments).current_dir(self.scene.tree()).env("PATH", path).env("HOME", self.home());
        for name in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
            command.env(name, "bot@example.org");
        }
        command.env("XTASK_CACHE_DIR", self.home().join("cache")).stdin(Stdio::null());
        command.env("XTASK_ADVISORIES", "none");
        for name in ["XTASK_MIRROR", "XTASK_SIGNING_KEY", "GITHUB_ACTIONS", "GITHUB_OUTPUT"] {
            command.env_remove(name);
        }
        command
    }

    fn git(&self, arguments: &[&str]) -> String {
        output_of(&mut self.command(Path::new("git"), arguments)).trim_end().to_owned()
    }

    /// Runs the script with the options of the mirror behind `--`.
    fn run(&self, arguments: &[&str]) -> ScriptResult {
        let key = self.home().join("key").display().to_string();
        let url = self.server.url();
        let tail = ["--", "--mirror", &url, "--signing-key", &key, "--drop-missing"];
        self.run_exactly(&[arguments, &tail].concat(), false)
    }

    fn run_exactly(&self, arguments: &[&str], in_actions: bool) -> ScriptResult {
        let mut command = self.command(&self.scene.tree().join("scripts/nightly-bump.sh"), arguments);
        if in_actions {
            command.env("GITHUB_ACTIONS", "true").env("GITHUB_OUTPUT", self.home().join("outputs"));
        }
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        ScriptResult {
            code: output.status.code().unwrap(),
            output: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    /// Returns the recorded calls of a program, and clears the log.
    fn calls(&self, program: &str) -> Vec<String> {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().filter_map(|line| line.strip_prefix(program)).map(|line| line.trim().to_owned()).collect()
    }

    fn forget_calls(&self) {
        fs::write(self.log(), "").unwrap();
    }
}

#[test]
#[ignore = "needs bash and GNU coreutils"]
fn nightly_bump_help_prints_usage() {
    let nightly = Nightly::new();
    for option in ["-h", "--help"] {
        let result = nightly.run_exactly(&[option], false);
        assert!(
            result.code == 0 && result.output.contains("Usage: scripts/nightly-bump.sh"),
            "{}",
            result.output
        );
    }
    let result = nightly.run_exactly(&["--pussh"], false);
    assert!(
        result.code == 2 && result.output.contains("--pussh") && result.output.contains("--help"),
        "{}",
        result.output
    );
}

#[test]
#[ignore = "needs bash and GNU coreutils"]
fn nightly_bump_opens_one_pull_request() {
    let nightly = Nightly::new();
    fs::write(nightly.home().join("open"), "3 bump/800.0.0\n4 bump/1040.0.0\n5 feature\n").unwrap();
    let result = nightly.run(&["--push"]);
    assert_eq!(result.code, 0, "{}", result.output);
    assert_eq!(nightly.git(&["branch", "--show-current"]), "main");
    assert_eq!(nightly.git(&["status", "--porcelain"]), "");
    let gh = nightly.calls("gh");
    assert_eq!(gh.len(), 3, "{gh:?}");
    assert!(gh[0].starts_with("pr list --state open"), "{gh:?}");
    let title = "--title stage1: update to CoreOS 1032.0.0 and systemd v229";
    assert!(gh[1].starts_with("pr create --head bump/1032.0.0") && gh[1].contains(title), "{gh:?}");
    assert_eq!(gh[2], "pr close 3 --comment Replaced by #9.", "newer ones and other branches stay");
    // The options of the mirror reach both commands, those of bump-coreos it alone.
    let cargo = nightly.calls("cargo");
    assert_eq!(cargo.len(), 2, "{cargo:?}");
    assert!(
        cargo.iter().all(|call| call.contains("--mirror http://127.0.0.1") && call.contains("--signing-key"))
    );
    assert!(cargo[0].contains("--drop-missing") && !cargo[1].contains("--drop-missing"), "{cargo:?}");
    assert!(nightly.git(&["ls-remote", "origin"]).contains("refs/heads/bump/1032.0.0"));
    nightly.assert_body();
}

impl Nightly {
    /// The hostile output is one code block, followed by nothing but the end of the section.
    fn assert_body(&self) {
        let body = fs::read_to_string(self.home().join("body.md")).unwrap();
        let (_, block) = body.split_once("\n`````\n").unwrap_or_else(|| panic!("{body}"));
        let (text, rest) = block.split_once("\n`````\n").unwrap_or_else(|| panic!("{body}"));
        assert!(text.contains("# INJECTED") && text.contains("[2Jend"), "{text}");
        assert_eq!(rest, "\n</details>\n");
    }
}

#[test]
#[ignore = "needs bash and GNU coreutils"]
fn nightly_bump_updates_its_pull_request() {
    let nightly = Nightly::new();
    assert_eq!(nightly.run(&["--push"]).code, 0);
    nightly.forget_calls();
    fs::write(nightly.home().join("open"), "7 bump/1032.0.0\n").unwrap();
    fs::write(nightly.home().join("code"), "1\n").unwrap();
    // The base has a new commit: the same release is proposed again, on top of that commit.
    fs::write(nightly.scene.tree().join("README"), "new\n").unwrap();
    nightly.git(&["add", "."]);
    nightly.git(&["commit", "--quiet", "--message=second"]);
    nightly.git(&["branch", "--quiet", "-D", "bump/1032.0.0"]);
    let result = nightly.run(&["--push"]);
    assert_eq!(result.code, 1, "the smoke test failed\n{}", result.output);
    let gh = nightly.calls("gh");
    assert_eq!(gh.len(), 2, "{gh:?}");
    assert!(gh[1].starts_with("pr edit 7 --title stage1: update to CoreOS 1032.0.0"), "{gh:?}");
    let pushed = nightly.git(&["ls-remote", "origin", "refs/heads/bump/1032.0.0"]);
    assert!(pushed.starts_with(&nightly.git(&["rev-parse", "bump/1032.0.0"])), "{pushed}");
    // A commit of somebody else on the branch is not lost.
    nightly.git(&["checkout", "--quiet", "bump/1032.0.0"]);
    fs::write(nightly.scene.tree().join("README"), "mine\n").unwrap();
    nightly.git(&["commit", "--quiet", "--all", "--message=mine"]);
    nightly.git(&["push", "--quiet", "origin", "bump/1032.0.0"]);
    nightly.git(&["checkout", "--quiet", "main"]);
    let result = nightly.run(&["--push"]);
    assert!(result.code == 2 && result.output.contains("has commits of its own"), "{}", result.output);
    nightly.git(&["branch", "--quiet", "-D", "bump/1032.0.0"]);
    let result = nightly.run(&["--push"]);
    assert!(
        result.code == 2 && result.output.contains("on origin has commits of somebody else"),
        "{}",
        result.output
    );
}

#[test]
#[ignore = "needs bash and GNU coreutils"]
fn nightly_bump_without_a_newer_release_does_nothing() {
    let nightly = Nightly::new();
    assert_eq!(nightly.run(&["--push"]).code, 0);
    nightly.git(&["merge", "--quiet", "--ff-only", "bump/1032.0.0"]);
    nightly.git(&["branch", "--quiet", "-D", "bump/1032.0.0"]);
    nightly.forget_calls();
    let result = nightly.run(&["--push"]);
    assert!(result.code == 0 && result.output.contains("nothing to do"), "{}", result.output);
    assert_eq!(nightly.calls("gh"), [""; 0]);
    assert_eq!(nightly.git(&["branch", "--format=%(refname:short)"]), "main");
}

#[test]
#[ignore = "needs bash and GNU coreutils"]
fn nightly_bump_never_goes_back() {
    let nightly = Nightly::new();
    assert_eq!(nightly.run(&["--push"]).code, 0);
    nightly.git(&["merge", "--quiet", "--ff-only", "bump/1032.0.0"]);
    nightly.git(&["branch", "--quiet", "-D", "bump/1032.0.0"]);
    nightly.forget_calls();
    for (suffix, bytes) in ["", ".sig"].iter().zip(&nightly.old_version) {
        nightly.server.put(&format!("amd64-usr/current/version.txt{suffix}"), bytes.clone());
    }
    let result = nightly.run(&["--push"]);
    assert!(
        result.code == 0 && result.output.contains("nothing to do: the pinned release is newer"),
        "{}",
        result.output
    );
    assert_eq!(nightly.calls("gh"), [""; 0]);
}

/// Runs each job of the workflow separately, with the files of the earlier jobs.
#[test]
#[ignore = "needs bash and GNU coreutils"]
fn nightly_bump_jobs_pass_verified_results() {
    let nightly = Nightly::new();
    let state = nightly.home().join("state").display().to_string();
    let (url, key) = (nightly.server.url(), nightly.home().join("key").display().to_string());
    let tail = ["--", "--mirror", &url, "--signing-key", &key];
    let step = |arguments: &[&str]| {
        nightly.run_exactly(&[&["--state", &state, "--step"], arguments, &tail].concat(), true)
    };
    let result = step(&["bump"]);
    assert_eq!(result.code, 0, "{}", result.output);
    nightly.assert_commands_are_stopped(&result.output);
    let outputs = fs::read_to_string(nightly.home().join("outputs")).unwrap();
    let checksum = outputs.lines().find_map(|line| line.strip_prefix("checksum=")).unwrap().to_owned();
    assert!(outputs.contains("release=1032.0.0\n"), "{outputs}");
    let result = step(&["test"]);
    assert_eq!(result.code, 0, "{}", result.output);
    nightly.assert_commands_are_stopped(&result.output);
    nightly.git(&["branch", "--quiet", "-D", "bump/1032.0.0"]);
    // A report that another job replaced is not proposed.
    let report = Path::new(&state).join("report.md");
    let text = fs::read(&report).unwrap();
    fs::write(&report, "other").unwrap();
    let result = step(&["propose", "--checksum", &checksum]);
    assert!(result.code == 2 && result.output.contains("not those of the bump step"), "{}", result.output);
    fs::write(&report, text).unwrap();
    let result = step(&["propose", "--checksum", &checksum]);
    assert_eq!(result.code, 0, "{}", result.output);
    assert!(nightly.calls("gh").iter().any(|call| call.starts_with("pr create")));
    nightly.assert_body();
}

impl Nightly {
    /// Asserts that no line between `::stop-commands::` and its end is a command to the runner.
    fn assert_commands_are_stopped(&self, output: &str) {
        let mut token: Option<String> = None;
        for line in output.lines().map(str::trim_start) {
            match &token {
                Some(end) if line == format!("::{end}::") => token = None,
                Some(_) => {}
                None => {
                    assert!(!line.starts_with("##["), "{line}");
                    token = line.strip_prefix("::stop-commands::").map(str::to_owned);
                    assert!(token.is_some() || !line.starts_with("::"), "{line}");
                }
            }
        }
        assert_eq!(token, None);
    }
}
