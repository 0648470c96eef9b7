//! Drives the tree's own build (xshell): clean, then everything.
//!
//! A tree with `autogen.sh` and `configure.ac` is rkt's; any other is built by `stage1/Makefile`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;
use xshell::{Cmd, Shell, cmd};

use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::release::{Board, Flavor, SystemdVersion};
use coreos_types::shell::quote;

/// A build to be made.
#[derive(Debug, Clone)]
pub struct Build<'a> {
    /// The tree, absolute.
    pub tree: &'a Path,
    /// The boards to build, each with its options for `xtask fetch`, which both builds get their image from.
    pub boards: BTreeMap<Board, Vec<String>>,
    /// The systemd that coreos-common.mk names.
    pub systemd: SystemdVersion,
    /// Arguments for `make` in place of the usual ones.
    pub make: Option<&'a [String]>,
    /// Arguments for rkt's `configure` in place of the usual ones.
    pub configure: Option<&'a [String]>,
}

/// Which build a tree has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildSystem {
    /// `stage1/Makefile`.
    Stage1,
    /// rkt's autotools.
    Rkt,
}

/// How a build went.
#[derive(Debug, Clone)]
pub struct Built {
    /// The commands, for people.
    pub commands: Vec<String>,
    /// `None` where all went well, else the last lines of output.
    pub failure: Option<String>,
    /// All of the output.
    pub log: PathBuf,
    /// How long it took.
    pub took: Duration,
}

/// One root filesystem in a build directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltRootfs {
    /// Where it is.
    pub path: PathBuf,
    /// Its flavor.
    pub flavor: Flavor,
    /// The image that it was cut out of, as the build unpacked it.
    pub squashfs: PathBuf,
    /// The rkt that was built beside it.
    pub rkt: Option<PathBuf>,
}

impl Build<'_> {
    /// Which build the tree has.
    pub fn kind(&self) -> BuildSystem {
        let is_rkt = ["autogen.sh", "configure.ac"].iter().all(|file| self.tree.join(file).is_file());
        if is_rkt { BuildSystem::Rkt } else { BuildSystem::Stage1 }
    }

    /// A directory of the build that `make clean` leaves alone, for logs.
    pub fn log_directory(&self) -> Result<PathBuf> {
        let directory = match self.kind() {
            BuildSystem::Stage1 => self.tree.join("stage1/build-smoketest"),
            BuildSystem::Rkt => self.tree.join("build-rkt-smoketest"),
        };
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(directory)
    }

    /// Builds all of it anew.
    ///
    /// # Errors
    /// No make, or an image that is not to be had or not trusted (as `xtask fetch` says it). A build that fails for
    /// another reason is no error of ours: [`Built::failure`].
    pub fn run(&self) -> Result<Built> {
        let started = Instant::now();
        let shell = Shell::new().with_context(|| "cannot open the current directory")?;
        shell.change_dir(self.tree);
        shell.set_var("LC_ALL", "C");
        let mut record = Record { text: String::new(), commands: Vec::new() };
        let failure = match self.kind() {
            BuildSystem::Stage1 => self.stage1(&shell, &mut record),
            BuildSystem::Rkt => self.rkt(&shell, &mut record),
        }?;
        let log = self.log_directory()?.join("build.log");
        fs::write(&log, &record.text).with_context(|| format!("cannot write {}", log.display()))?;
        Ok(Built { commands: record.commands, failure, log, took: started.elapsed() })
    }

    fn stage1(&self, shell: &Shell, record: &mut Record) -> Result<Option<String>> {
        let tool = self.tool()?;
        for (board, fetch) in &self.boards {
            let fetch = fetch.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
            let board_is = format!("RKT_STAGE1_COREOS_BOARD={board}");
            let arguments = self.make_arguments();
            let clean = cmd!(shell, "make -C stage1 {board_is} clean");
            let make = cmd!(shell, "make -C stage1 {board_is} {arguments...}")
                .env("XTASK", &tool)
                .env("XTASK_FETCH_FLAGS", dollars(&fetch));
            if let Some(tail) = record.run(clean)? {
                return Ok(Some(tail));
            }
            if let Some(tail) = record.run(make)? {
                // Whether it was the image, and then how bad that is, the tool itself tells best.
                self.image(shell, *board)?;
                return Ok(Some(tail));
            }
        }
        Ok(None)
    }

    fn rkt(&self, shell: &Shell, record: &mut Record) -> Result<Option<String>> {
        let Some(board) = self.boards.keys().find(|board| board.machine() == std::env::consts::ARCH) else {
            return Err(Error::failed("rkt's own build makes the board of this machine only"));
        };
        let image = self.image(shell, *board)?;
        let arguments = self.configure.map_or_else(
            || {
                vec![
                    "--with-stage1-flavors=coreos,kvm".to_owned(),
                    format!("--with-coreos-local-pxe-image-path={}", image.display()),
                    format!("--with-coreos-local-pxe-image-systemd-version={}", self.systemd),
                ]
            },
            <[String]>::to_vec,
        );
        let make = self.make_arguments();
        for step in [
            cmd!(shell, "./autogen.sh"),
            cmd!(shell, "./configure {arguments...}"),
            cmd!(shell, "make clean"),
            cmd!(shell, "make {make...}"),
        ] {
            if let Some(tail) = record.run(step)? {
                return Ok(Some(tail));
            }
        }
        Ok(None)
    }

    fn make_arguments(&self) -> Vec<String> {
        self.make.map_or_else(|| vec!["-j2".to_owned()], <[String]>::to_vec)
    }

    /// This program, on this tree, as a shell and make read it.
    fn tool(&self) -> Result<String> {
        let program = std::env::current_exe().with_context(|| "cannot tell which program this is")?;
        let words = [program.to_string_lossy(), "-q".into(), "--repo".into(), self.tree.to_string_lossy()];
        Ok(dollars(&words.map(|word| quote(&word)).join(" ")))
    }

    /// A proved image of a board.
    fn image(&self, shell: &Shell, board: Board) -> Result<PathBuf> {
        let program = std::env::current_exe().with_context(|| "cannot tell which program this is")?;
        let (tree, options, board) = (self.tree, self.boards.get(&board).into_iter().flatten(), board.id());
        let output =
            cmd!(shell, "{program} -q --format json --repo {tree} fetch --board {board} {options...}")
                .quiet()
                .ignore_status()
                .output()
                .with_context(|| "cannot run xtask fetch")?;
        fetched(&output)
    }

    /// Every root filesystem of the last build of a board.
    ///
    /// # Errors
    /// None is there.
    pub fn rootfses(&self, board: Board) -> Result<Vec<BuiltRootfs>> {
        let mut found = Vec::new();
        for home in self.build_directories(board) {
            for name in sorted_names(&home) {
                let flavor = name.strip_prefix("aci-for-").and_then(|rest| rest.strip_suffix("-flavor"));
                let path = home.join(&name).join("rootfs");
                let Some(flavor) = flavor.and_then(|word| Flavor::from_dir_name(&format!("usr_from_{word}")))
                else {
                    continue;
                };
                if path.join("usr").is_dir() {
                    let squashfs = home.join("tmp/coreos-common/usr.squashfs");
                    let rkt = Some(home.join("target/bin/rkt")).filter(|rkt| rkt.is_file());
                    found.push(BuiltRootfs { path, flavor, squashfs, rkt });
                }
            }
        }
        if found.is_empty() {
            return Err(Error::failed(format!(
                "no root filesystem of {board} was built: there is no build-*/aci-for-FLAVOR-flavor/rootfs in {}",
                self.tree.display()
            )));
        }
        Ok(found)
    }

    fn build_directories(&self, board: Board) -> Vec<PathBuf> {
        match self.kind() {
            BuildSystem::Stage1 => vec![self.tree.join(format!("stage1/build-{board}"))],
            BuildSystem::Rkt => sorted_names(self.tree)
                .into_iter()
                .filter(|name| name.starts_with("build-rkt-"))
                .map(|name| self.tree.join(name))
                .collect(),
        }
    }
}

/// The output of all commands, one after the other.
struct Record {
    text: String,
    commands: Vec<String>,
}

/// How many lines of a failed command are shown.
const TAIL: usize = 30;

impl Record {
    /// Runs a command; the last lines of its output where it fails.
    fn run(&mut self, command: Cmd<'_>) -> Result<Option<String>> {
        let name = command.to_string();
        let output =
            command.quiet().ignore_status().output().with_context(|| format!("cannot run {name}"))?;
        self.text.push_str(&format!("$ {name}\n"));
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        self.text.push_str(&stdout);
        self.text.push_str(&stderr);
        self.commands.push(name.clone());
        if output.status.success() {
            return Ok(None);
        }
        let lines: Vec<&str> = stdout.lines().chain(stderr.lines()).collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        Ok(Some(format!("{name} ended with {}\n{tail}", output.status)))
    }
}

/// The image that `xtask fetch` told of, or its error, whole.
fn fetched(output: &Output) -> Result<PathBuf> {
    let document: Value = serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        Error::failed(format!("xtask fetch ended with {}", output.status))
            .with_cause(said.lines().next().unwrap_or_default())
    })?;
    if let Some(path) = document["files"][0]["path"].as_str() {
        return Ok(PathBuf::from(path));
    }
    let error = &document["error"];
    let message = error["message"].as_str().unwrap_or("xtask fetch told of no image");
    let refused = output.status.code() == Some(3);
    let fault = if refused { Error::refused(message) } else { Error::failed(message) };
    let causes = error["causes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let fault = causes.fold(fault, |fault, cause| fault.with_cause(cause));
    Err(match error["hint"].as_str() {
        Some(hint) => fault.with_hint(hint),
        None => fault,
    })
}

fn sorted_names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A value that make takes from the environment: it expands what looks like a variable.
fn dollars(text: &str) -> String {
    text.replace('$', "$$")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn what_fetch_says_is_told_whole() {
        let refused = Error::refused("a.gz: bad").with_cause("one").with_cause("two");
        let hinted = refused.clone().with_hint("cargo xtask verify-signature a.gz");
        for (code, stdout, stderr, told) in [
            (
                0,
                r#"{"files":[{"board":"amd64-usr","path":"/a b.gz"}],"error":null}"#,
                "",
                Ok("/a b.gz".into()),
            ),
            (
                3,
                r#"{"error":{"message":"a.gz: bad","causes":["one","two"],"hint":"cargo xtask verify-signature a.gz"}}"#,
                "",
                Err(hinted),
            ),
            (3, r#"{"error":{"message":"a.gz: bad","causes":["one","two"],"hint":null}}"#, "", Err(refused)),
            (2, r#"{"error":{"message":"no","causes":[],"hint":null}}"#, "", Err(Error::failed("no"))),
            (
                101,
                "",
                "it broke\nhere\n",
                Err(Error::failed("xtask fetch ended with exit status: 101").with_cause("it broke")),
            ),
        ] {
            let status = ExitStatus::from_raw(code << 8);
            let output = Output { status, stdout: stdout.into(), stderr: stderr.into() };
            assert_eq!(fetched(&output), told, "{stdout}");
        }
    }

    #[test]
    fn words_for_make() {
        assert_eq!(dollars("'$HOME'"), "'$$HOME'");
    }
}
