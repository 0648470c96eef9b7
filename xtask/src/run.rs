//! Runs a command and tells what it did.

use crate::cmd::{
    self, Context, bump_coreos, completions, diff, fetch, smoketest, sort_manifests, verify_manifests,
    verify_signature, why,
};
use crate::edge::cache::Cache;
use crate::edge::http::{Client, Rules};
use crate::edge::settings::Settings;
use crate::edge::term::{Term, Verbosity};
use crate::fault::{Fault, Result};
use crate::flags::{Color, Command, Format, Globals, Invocation};
use crate::report::Report;

/// Runs a command, tells what it did, and gives the exit code of the contract.
pub fn run(invocation: &Invocation) -> u8 {
    if let Command::Demo { serve } = invocation.command {
        return crate::demo::run(&invocation.globals, serve);
    }
    let Globals { format, color, verbosity, .. } = invocation.globals;
    let term = Term::new(format, color, Verbosity::of(verbosity));
    let mut report = Report { command: invocation.command.name(), ..Report::default() };
    if let Err(fault) = carry_out(&term, invocation, &mut report) {
        report.error = Some(fault);
    }
    match term.tell(&report) {
        Ok(()) => report.exit_code(),
        Err(fault) => {
            term.fault(&fault);
            2
        }
    }
}

/// A command line that does not parse, told as the JSON document that it asked for.
pub fn usage(error: &clap::Error) -> u8 {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let fault = Fault::failed(first.strip_prefix("error: ").unwrap_or(first)).hint("cargo xtask --help");
    let report = Report { error: Some(lines.fold(fault, Fault::because)), ..Report::default() };
    match Term::new(Format::Json, Color::Never, Verbosity::Quiet).tell(&report) {
        Ok(()) => report.exit_code(),
        Err(_) => 2,
    }
}

fn carry_out(term: &Term, invocation: &Invocation, report: &mut Report) -> Result<()> {
    let context = || Context::of(term, &invocation.globals);
    match &invocation.command {
        Command::BumpCoreos(flags) => {
            cmd::told(&context()?, flags.report.as_deref(), report, |context, report| {
                bump_coreos(context, flags, report)
            })
        }
        Command::VerifyManifests(flags) => {
            cmd::told(&context()?, flags.report.as_deref(), report, |context, report| {
                verify_manifests(context, flags, report)
            })
        }
        Command::Fetch(flags) => fetch(&context()?, flags, report),
        Command::Smoketest(flags) => smoketest(&context()?, flags, report),
        Command::VerifySignature(flags) => {
            // Without a home there is no cache, and what is fetched serves this run alone.
            let folder = Cache::of_environment().ok().map(|cache| cache.certificates());
            let keyring = Settings::read()?.keyring(None, flags.signing_key.as_deref(), folder)?;
            let client = Client::new(Rules { offline: flags.offline, ..Rules::from_environment() });
            let fetch = |url: &str| client.get_certificate(url);
            *report = verify_signature::run(flags, &keyring, (!flags.offline).then_some(&fetch));
            Ok(())
        }
        Command::SortManifests { check } => sort_manifests(term, &invocation.globals, *check, report),
        Command::Why(flags) => why(&context()?, flags, report),
        Command::Diff(flags) => diff(&context()?, flags, report),
        Command::Report(flags) => cmd::report(&context()?, flags, report),
        Command::Completions { shell } => {
            completions(*shell, report);
            Ok(())
        }
        other => Err(crate::fault::Fault::failed(format!("{} is not built yet", other.name()))),
    }
}
