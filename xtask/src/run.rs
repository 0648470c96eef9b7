//! Runs a command and tells what it did.

use crate::cache::Cache;
use crate::cli::{Cli, Color, Command, Format, GlobalArgs, PartialArgs};
use crate::commands::{
    self, bump_coreos, completions, diff, edit_manifest, fetch, sort_manifests, verify_manifests,
    verify_signature, why,
};
use crate::config::Config;
use crate::context::Context;
use crate::http::ClientConfig;
use crate::report::Report;
use crate::smoketest::smoketest;
use crate::terminal::{Term, Verbosity};
use crate::verbose;
use coreos_types::error::{Error, Result};

/// Runs a command, tells what it did, and gives the exit code of the contract.
pub fn run(invocation: &Cli) -> u8 {
    let GlobalArgs { format, color, verbosity, .. } = invocation.globals;
    let term = Term::new(format, color, Verbosity::of(verbosity));
    let (command, dry_run) = (invocation.command.name(), invocation.command.is_dry_run());
    let mut report = Report { command, dry_run, ..Report::default() };
    term.prepare_last_word(report.clone());
    if let Command::Demo { serve } = invocation.command {
        return crate::demo::run(&term, serve);
    }
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

/// Tells what clap says instead of an invocation: a help text, or what is wrong with the command line, in the face
/// that the command line asks for.
pub fn nothing(instead: &clap::Error, asked: PartialArgs) -> u8 {
    let is_help = instead.exit_code() == 0;
    let mut report = Report { command: asked.command, ..Report::default() };
    match asked.format {
        Format::Json if is_help => drop(report.extra.insert("help", instead.to_string().into())),
        Format::Json | Format::Github if !is_help => report.error = Some(usage(instead, asked.command)),
        _ => {
            // clap knows which of stdout and stderr a text belongs to; a closed pipe is no error.
            let _ = instead.print();
            return u8::try_from(instead.exit_code()).unwrap_or(2);
        }
    }
    match Term::new(asked.format, Color::Never, Verbosity::Quiet).tell(&report) {
        Ok(()) => report.exit_code(),
        Err(_) => 2,
    }
}

fn usage(error: &clap::Error, command: &str) -> Error {
    let text = error.to_string();
    // clap's own last line says what our hint says.
    let said = |line: &&str| !line.is_empty() && !line.starts_with("For more information");
    let mut lines = text.lines().map(str::trim).filter(said);
    let first = lines.next().unwrap_or_default();
    let help = ["cargo xtask", command, "--help"].into_iter().filter(|word| !word.is_empty());
    let fault = Error::failed(first.strip_prefix("error: ").unwrap_or(first))
        .with_hint(help.collect::<Vec<_>>().join(" "));
    lines.fold(fault, Error::with_cause)
}

fn carry_out(term: &Term, invocation: &Cli, report: &mut Report) -> Result<()> {
    let context = || Context::of(term, &invocation.globals);
    match &invocation.command {
        Command::BumpCoreos(flags) => {
            commands::told(&context()?, flags.report.as_deref(), report, |context, report| {
                bump_coreos(context, flags, report)
            })
        }
        Command::VerifyManifests(flags) => {
            commands::told(&context()?, flags.report.as_deref(), report, |context, report| {
                verify_manifests(context, flags, report)
            })
        }
        Command::Fetch(flags) => fetch(&context()?, flags, report),
        Command::Smoketest(flags) => smoketest(&context()?, flags, report),
        Command::VerifySignature(flags) => {
            // Without a home there is no cache, and what is fetched serves this run alone.
            let folder = Cache::of_environment().ok().map(|cache| cache.certificates());
            let keyring = Config::read()?.keyring(None, flags.signing_key.as_deref(), folder)?;
            verbose::tell_trust(term, &keyring);
            let client = verbose::client(
                term,
                ClientConfig { offline: flags.offline, ..ClientConfig::from_environment() },
            );
            let fetch = |url: &str| client.get_certificate(url);
            *report = verify_signature::run(flags, &keyring, (!flags.offline).then_some(&fetch));
            Ok(())
        }
        Command::EditManifest(flags) => edit_manifest(&context()?, flags, report),
        Command::SortManifests { check } => sort_manifests(term, &invocation.globals, *check, report),
        Command::Why(flags) => why(&context()?, flags, report),
        Command::Diff(flags) => diff(&context()?, flags, report),
        Command::Report(flags) => commands::report(&context()?, flags, report),
        Command::Completions { shell } => {
            completions(*shell, report);
            Ok(())
        }
        // It tells what it does as it goes; `run` has played it.
        Command::Demo { .. } => Ok(()),
    }
}
