//! `cargo xtask demo`: the guide's example against a release server in this process.

use std::ffi::OsString;

use super::example;
use super::scratch::{self, DemoDir};
use crate::cache::Cache;
use crate::cli::{self, Command, Demo};
use crate::commands::bump_coreos;
use crate::config::Config;
use crate::context::{Context, program, with_program};
use crate::report::Report;
use crate::terminal::Term;
use coreos_types::error::{Error, Result};
use coreos_types::shell::quote;
use release_fixture::certificate::TestCertificate;
use release_fixture::release::{Site, make_current, publish};
use release_fixture::server::Server;

/// Bytes per second that the server sends: about half a second for an image, so that its bar can be seen.
const SPEED: u64 = 3 << 20;

/// Runs the example; with `--serve` keeps tree and server up until a signal comes. Returns the exit code.
pub fn run(term: &Term, args: &Demo, mut report: Report) -> u8 {
    let session =
        if args.env { print_env(&mut report).map(|()| None) } else { start(term, args, &mut report) };
    if let Err(error) = &session {
        report.error = Some(with_program(error.clone()));
    }
    if let Err(error) = term.print_report(&report) {
        term.print_error(&error);
        return 2;
    }
    if args.serve && session.is_ok() {
        wait_for_signal();
    }
    report.exit_code()
}

fn print_env(report: &mut Report) -> Result<()> {
    let exports = scratch::served_env()?;
    report.extra.insert("env", exports.as_str().into());
    report.output = exports.lines().map(str::to_owned).collect();
    Ok(())
}

/// The server and the directory of the demo.
struct DemoSession {
    server: Server,
    directory: DemoDir,
}

fn start(term: &Term, args: &Demo, report: &mut Report) -> Result<Option<DemoSession>> {
    let session = DemoSession::start()?;
    if args.serve {
        session.print_commands(report)?;
        term.stage("serving", format!("{} until Ctrl-C", session.server.url()));
    } else {
        session.server.slow_down(SPEED);
        term.stage(
            "serving",
            format!("{} and {} on {}", example::BEFORE.0, example::AFTER.0, session.server.url()),
        );
        session.bump(term, report)?;
    }
    Ok(Some(session))
}

impl DemoSession {
    /// Makes both releases and the tree, and starts the server.
    fn start() -> Result<DemoSession> {
        let certificate = TestCertificate::throwaway(1)?;
        let mut site = Site::new();
        for image in [example::image_before(), example::image_after()] {
            let image = image.map_err(bad_example)?;
            publish(&mut site, &image, &certificate)?;
            make_current(&mut site, &image);
        }
        let directory = DemoDir::make(&certificate.armored()?)?;
        Ok(DemoSession { server: Server::start(site)?, directory })
    }

    /// The command itself, in this process.
    fn bump(&self, term: &Term, report: &mut Report) -> Result<()> {
        let (tree, key) =
            (self.directory.tree().into_os_string(), self.directory.signing_key().into_os_string());
        let words = ["xtask", "bump-coreos", example::AFTER.0, "--mirror", &self.server.url()];
        let words = words.map(OsString::from).into_iter();
        let options = [OsString::from("--signing-key"), key, OsString::from("--repo"), tree];
        let cli = cli::parse(words.chain(options)).map_err(bad_example)?;
        let Command::BumpCoreos(flags) = &cli.command else { return Ok(()) };
        let cache = Some(Cache::new(&self.directory.cache()));
        let context = Context { settings: Config::default(), cache, ..Context::load(term, &cli)? };
        bump_coreos(&context, flags, report)
    }

    /// The guide's three commands: in JSON each by itself, in text short ones after the exports that they need.
    fn print_commands(&self, report: &mut Report) -> Result<()> {
        let (tree, key) = (self.directory.tree(), self.directory.signing_key());
        let (tree, key) = (tree.to_string_lossy().into_owned(), key.to_string_lossy().into_owned());
        // The example's programs have no code: they can be cut out and compared, not linked or run.
        let commands = [
            format!("bump-coreos {}", example::AFTER.0),
            "verify-manifests".into(),
            "smoketest --no-link --no-run".into(),
        ];
        let from = format!("--mirror {} --signing-key {}", self.server.url(), quote(&key));
        let by_itself = |command| format!("{} --repo {} {command} {from}", program(), quote(&tree));
        report.extra.insert("commands", commands.iter().map(by_itself).collect::<Vec<_>>().into());
        let exports = [
            ("XTASK_DEMO", tree.clone()),
            ("XTASK_MIRROR", self.server.url()),
            ("XTASK_SIGNING_KEY", key.clone()),
            ("XTASK_CACHE_DIR", self.directory.cache().to_string_lossy().into_owned()),
        ];
        let exports: Vec<String> =
            exports.iter().map(|(name, value)| format!("export {name}={}", quote(value))).collect();
        self.directory.store_env(&(exports.join("\n") + "\n"))?;
        report.extra.insert("tree", tree.into());
        report.extra.insert("mirror", self.server.url().into());
        report.extra.insert("signing_key", key.into());
        report.extra.insert("env", exports.join("\n").into());
        report.output = vec![
            format!(
                "# A tree at {}, and a server with {} and {}, until Ctrl-C.",
                example::BEFORE.0,
                example::BEFORE.0,
                example::AFTER.0
            ),
            format!(
                "# Paste into a second terminal; for the exports alone: eval \"$({} demo --env)\"",
                program()
            ),
        ];
        report.output.extend(exports);
        report
            .output
            .extend(commands.map(|command| format!("{} --repo \"$XTASK_DEMO\" {command}", program())));
        Ok(())
    }
}

fn bad_example(error: impl std::fmt::Display) -> Error {
    Error::failed("the example is broken").with_cause(error)
}

/// The thread of [`crate::signals`] ends the process, and removes the directory before it does.
fn wait_for_signal() -> ! {
    loop {
        std::thread::park();
    }
}
