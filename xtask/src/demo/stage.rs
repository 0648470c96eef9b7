//! `cargo xtask demo`: the guide's own example against a release server of our own.

use std::ffi::OsString;

use super::example;
use super::scratch::DemoDir;
use crate::cache::Cache;
use crate::cli::{self, Command};
use crate::commands::bump_coreos;
use crate::config::Config;
use crate::context::Context;
use crate::report::Report;
use crate::terminal::Term;
use coreos_types::error::{Error, Result};
use coreos_types::shell::quote;
use release_fixture::certificate::TestCertificate;
use release_fixture::release::{Site, publish};
use release_fixture::server::Server;

/// Bytes a second that the server sends: about half a second for an image, so that its bar can be seen.
const SPEED: u64 = 3 << 20;

/// Runs the example, or with `serve` keeps tree and server up until a signal comes. Gives the exit code.
pub fn run(term: &Term, serve: bool, mut report: Report) -> u8 {
    let stage = play(term, serve, &mut report);
    if let Err(fault) = &stage {
        report.error = Some(fault.clone());
    }
    if let Err(fault) = term.tell(&report) {
        term.fault(&fault);
        return 2;
    }
    if serve && stage.is_ok() {
        wait_for_signal();
    }
    report.exit_code()
}

/// What has to live as long as the demo.
struct DemoSession {
    server: Server,
    scratch: DemoDir,
}

fn play(term: &Term, serve: bool, report: &mut Report) -> Result<DemoSession> {
    let stage = DemoSession::set()?;
    if serve {
        stage.tell_commands(report);
        term.stage("serving", format!("{} until Ctrl-C", stage.server.url()));
    } else {
        stage.server.slow_down(SPEED);
        term.stage(
            "serving",
            format!("{} and {} on {}", example::BEFORE.0, example::AFTER.0, stage.server.url()),
        );
        stage.bump(term, report)?;
    }
    Ok(stage)
}

impl DemoSession {
    /// Makes both releases and the tree, and starts the server.
    fn set() -> Result<DemoSession> {
        let certificate = TestCertificate::throwaway(1)?;
        let mut site = Site::new();
        for image in [example::image_before(), example::image_after()] {
            publish(&mut site, &image.map_err(bad_example)?, &certificate)?;
        }
        let scratch = DemoDir::make(&certificate.armored()?)?;
        Ok(DemoSession { server: Server::start(site)?, scratch })
    }

    /// The command itself, in this process.
    fn bump(&self, term: &Term, report: &mut Report) -> Result<()> {
        let (tree, key) = (self.scratch.tree().into_os_string(), self.scratch.signing_key().into_os_string());
        let words = ["xtask", "bump-coreos", example::AFTER.0, "--mirror", &self.server.url()];
        let words = words.map(OsString::from).into_iter();
        let options = [OsString::from("--signing-key"), key, OsString::from("--repo"), tree];
        let cli = cli::parse(words.chain(options)).map_err(bad_example)?;
        let Command::BumpCoreos(flags) = &cli.command else { return Ok(()) };
        let cache = Some(Cache::at(&self.scratch.cache()));
        let context = Context { settings: Config::default(), cache, ..Context::load(term, &cli)? };
        bump_coreos(&context, flags, report)
    }

    /// The card's three commands, ready to paste.
    fn tell_commands(&self, report: &mut Report) {
        let (tree, key) = (self.scratch.tree(), self.scratch.signing_key());
        let tree = quote(&tree.to_string_lossy());
        let from = format!("--mirror {} --signing-key {}", self.server.url(), quote(&key.to_string_lossy()));
        let commands = vec![
            format!("cargo xtask --repo {tree} bump-coreos {} {from}", example::AFTER.0),
            format!("cargo xtask --repo {tree} verify-manifests {from}"),
            // The example's programs have no code: they can be cut out and compared, not linked or run.
            format!("cargo xtask --repo {tree} smoketest --no-link --no-run {from}"),
        ];
        report.extra.insert("commands", commands.clone().into());
        report.extra.insert("tree", self.scratch.tree().to_string_lossy().into());
        report.extra.insert("mirror", self.server.url().into());
        report.extra.insert("signing_key", key.to_string_lossy().into());
        report.output = commands;
    }
}

fn bad_example(error: impl std::fmt::Display) -> Error {
    Error::failed("the example is broken").with_cause(error)
}

/// The thread of `edge::signals` ends the process, and removes the scratch copy before it does.
fn wait_for_signal() -> ! {
    loop {
        std::thread::park();
    }
}
