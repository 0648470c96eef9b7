//! `cargo xtask demo`: the guide's example against a release server in this process.

use std::ffi::OsString;
use std::path::PathBuf;

use super::demo_dir::{self, DemoDir};
use super::example;
use crate::cache::Cache;
use crate::cli::{self, Command, Demo};
use crate::commands::bump_coreos;
use crate::config::Config;
use crate::context::{Context, program, with_program_in_hint};
use crate::report::Report;
use crate::terminal::Term;
use coreos_types::{Error, Result, shell::quote};
use release_fixture::certificate::TestCertificate;
use release_fixture::server::Server;
use release_fixture::site::{Site, add_signed_release, make_current};

/// Bytes per second that the server sends: about half a second for an image, so that its bar can be seen.
const BYTES_PER_SECOND: usize = 3 << 20;

/// Runs the example; with `--serve` keeps tree and server up until a signal comes. Returns the exit code.
pub fn run(term: &Term, args: &Demo, mut report: Report) -> u8 {
    let session = if args.env { report_env(&mut report) } else { run_example(term, args, &mut report) };
    report.error = session.as_ref().err().cloned().map(with_program_in_hint);
    if let Err(error) = term.print_report(&report) {
        term.print_error(&error);
        return 2;
    }
    if args.serve && session.is_ok() {
        wait_for_signal();
    }
    report.exit_code()
}

fn report_env(report: &mut Report) -> Result<Option<DemoSession>> {
    let exports = demo_dir::read_served_env()?;
    report.extra.insert("env", exports.as_str().into());
    report.output = exports.lines().map(str::to_owned).collect();
    Ok(None)
}

/// The server and the directory of the demo.
struct DemoSession {
    server: Server,
    directory: DemoDir,
}

fn run_example(term: &Term, args: &Demo, report: &mut Report) -> Result<Option<DemoSession>> {
    let session = DemoSession::start()?;
    let url = session.server.url();
    if args.serve {
        session.store_and_report_commands(report)?;
        term.stage("serving", format!("{url} until Ctrl-C"));
    } else {
        session.server.slow_down(BYTES_PER_SECOND);
        term.stage("serving", format!("{} and {} on {url}", example::BEFORE.0, example::AFTER.0));
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
            let image = image.map_err(broken_example_error)?;
            add_signed_release(&mut site, &image, &certificate)?;
            make_current(&mut site, &image);
        }
        let directory = DemoDir::make(&certificate.armored()?)?;
        Ok(DemoSession { server: Server::start(site)?, directory })
    }

    /// The command itself, in this process.
    fn bump(&self, term: &Term, report: &mut Report) -> Result<()> {
        let url = self.server.url();
        let words = ["xtask", "bump-coreos", example::AFTER.0, "--mirror", &url].map(OsString::from);
        let paths = [("--signing-key", &self.directory.signing_key), ("--repo", &self.directory.tree)];
        let options = paths.into_iter().flat_map(|(option, path)| [option.into(), path.into()]);
        let cli = cli::parse(words.into_iter().chain(options)).map_err(broken_example_error)?;
        let Command::BumpCoreos(flags) = &cli.command else { return Ok(()) };
        let loaded = Context::load_with_config(term, &cli, Config::default())?;
        let context = Context { cache: Some(Cache::new(&self.directory.cache)), ..loaded };
        bump_coreos(&context, flags, report)
    }

    /// The guide's three commands. JSON: complete commands. Text: the `export` lines, then short commands that use them.
    fn store_and_report_commands(&self, report: &mut Report) -> Result<()> {
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let (tree, key) = (text(&self.directory.tree), text(&self.directory.signing_key));
        let (url, program) = (self.server.url(), program());
        let (before, after) = (example::BEFORE.0, example::AFTER.0);
        // The example's programs are ELF headers without code: link check and run would fail.
        let commands = [&format!("bump-coreos {after}"), "verify-manifests", "smoketest --no-link --no-run"];
        let exports = [
            ("XTASK_DEMO", &tree),
            ("XTASK_MIRROR", &url),
            ("XTASK_SIGNING_KEY", &key),
            ("XTASK_CACHE_DIR", &text(&self.directory.cache)),
        ];
        let exports = exports.map(|(name, value)| format!("export {name}={}", quote(value)));
        self.directory.store_env(&(exports.join("\n") + "\n"))?;
        let from = format!("--mirror {url} --signing-key {}", quote(&key));
        let complete = commands.map(|command| format!("{program} --repo {} {command} {from}", quote(&tree)));
        report.output = vec![
            format!("# A tree at {before}, and a server with {before} and {after}, until Ctrl-C."),
            format!(
                "# Paste into a second terminal; for the exports alone: eval \"$({program} demo --env)\""
            ),
        ];
        report.output.extend_from_slice(&exports);
        report.output.extend(commands.map(|command| format!("{program} --repo \"$XTASK_DEMO\" {command}")));
        report.extra.extend([
            ("commands", complete.to_vec().into()),
            ("tree", tree.into()),
            ("mirror", url.into()),
            ("signing_key", key.into()),
            ("env", exports.join("\n").into()),
        ]);
        Ok(())
    }
}

fn broken_example_error(error: impl std::fmt::Display) -> Error {
    Error::failed("the example is broken").with_cause(error)
}

/// The thread of [`crate::signals`] ends the process, and removes the directory before it does.
fn wait_for_signal() -> ! {
    loop {
        std::thread::park();
    }
}
