//! Runs a command and prints its report.

use std::ffi::OsString;

use crate::cli::{self, Cli, Color, Command, OutputFormat};
use crate::commands::{
    self, bump_coreos, completions, diff, edit_manifest, fetch, releases, run_and_store_report,
    sort_manifests, verify_manifests, verify_signature, why,
};
use crate::context::{Context, program, with_program_in_hint};
use crate::github_actions;
use crate::report::Report;
use crate::smoketest::smoketest;
use crate::terminal::{Term, Verbosity};
use crate::trusted_owners;
use clap::error::ErrorKind;
use coreos_types::{Error, Result, shell::quote};

/// Runs a command, prints its report, and returns the documented exit code.
pub fn run(cli: &Cli) -> u8 {
    let term = Term::new(
        cli.globals.format,
        cli.globals.color,
        Verbosity::new(cli.globals.quiet, cli.globals.verbose),
    );
    let mut report = new_report(cli);
    let words = std::env::args_os().skip(1).map(|word| quote(&word.to_string_lossy()));
    let command_line = std::iter::once(program().to_owned()).chain(words).collect::<Vec<_>>();
    term.print_on_termination(report.clone(), command_line.join(" "));
    let trusted = trusted_owners::set_trusted_trees(&cli.globals.trust_tree);
    if let (Command::Demo(args), Ok(())) = (&cli.command, &trusted) {
        return crate::demo::run(&term, args, report);
    }
    if let Err(error) = trusted.and_then(|()| dispatch(&term, cli, &mut report)) {
        report.error = Some(error);
    }
    report.error = report.error.map(with_program_in_hint);
    let printed = term.print_report(&report).and_then(|()| match cli.globals.format {
        OutputFormat::Github => github_actions::append_summary_and_outputs(&report),
        _ => Ok(()),
    });
    match printed {
        Ok(()) => report.exit_code(),
        Err(error) => {
            term.print_error(&error);
            2
        }
    }
}

/// The empty report of a command.
pub fn new_report(cli: &Cli) -> Report {
    let (dry_run, check) = cli.command.dry_run_and_check();
    Report { command: cli.name.clone(), dry_run, check, ..Report::default() }
}

/// Prints a help text or a usage error, in the format that the command line selects.
pub fn print_usage_or_help(usage: &clap::Error, words: impl IntoIterator<Item = OsString>) -> u8 {
    let args = cli::parse_partially(words);
    let is_help = usage.exit_code() == 0;
    let text = usage.to_string().replace("cargo xtask", program());
    let mut report = Report { command: args.command, ..Report::default() };
    match args.format {
        OutputFormat::Json if is_help => drop(report.extra.insert("help", text.into())),
        OutputFormat::Json | OutputFormat::Github | OutputFormat::Sarif if !is_help => {
            // clap's text is the help.
            let lacks_subcommand = usage.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
            let text = if lacks_subcommand { "expected a subcommand" } else { &text };
            report.error = Some(usage_error(text, &report.command))
        }
        _ => {
            let term = Term::new(args.format, args.color, Verbosity::Normal);
            return match term.print_usage(is_help, &cli::style_help(&text)) {
                Ok(()) => u8::try_from(usage.exit_code()).unwrap_or(2),
                Err(_) => 2,
            };
        }
    }
    match Term::new(args.format, Color::Never, Verbosity::Quiet).print_report(&report) {
        Ok(()) => report.exit_code(),
        Err(_) => 2,
    }
}

fn usage_error(text: &str, command: &str) -> Error {
    // The hint replaces clap's last line.
    let is_kept = |line: &&str| !line.is_empty() && !line.starts_with("For more information");
    let mut lines = text.lines().map(str::trim).filter(is_kept);
    let first = lines.next().unwrap_or_default();
    let help = [program(), command, "--help"].into_iter().filter(|word| !word.is_empty());
    let error = Error::usage(first.strip_prefix("error: ").unwrap_or(first))
        .with_hint(help.collect::<Vec<_>>().join(" "));
    lines.fold(error, Error::with_cause)
}

fn dispatch(term: &Term, cli: &Cli, report: &mut Report) -> Result<()> {
    let context = || Context::recover_and_load(term, cli);
    match &cli.command {
        Command::BumpCoreos(flags) => {
            run_and_store_report(bump_coreos, &context()?, flags, flags.report.as_deref(), report)
        }
        Command::VerifyManifests(flags) => {
            run_and_store_report(verify_manifests, &context()?, flags, flags.report.as_deref(), report)
        }
        Command::Fetch(flags) => fetch(&context()?, flags, report),
        Command::Cache(action) => commands::cache(term, &cli.globals, action, report),
        Command::Smoketest(flags) => run_and_store_report(smoketest, &context()?, flags, None, report),
        Command::VerifySignature(flags) => {
            *report = verify_signature::verify_with_configured_keys(term, flags)?;
            Ok(())
        }
        Command::Sbom(args) => commands::sbom(&context()?, args, report),
        Command::Unneeded(args) => crate::unneeded::unneeded(&context()?, args, report),
        Command::EditManifest(flags) => edit_manifest(&context()?, flags, report),
        Command::SortManifests { .. } => sort_manifests(term, &cli.globals, report),
        Command::Why(flags) => why(&context()?, flags, report),
        Command::Diff(flags) => diff(&context()?, flags, report),
        Command::Releases(_) => releases(&context()?, report),
        Command::Report { file } => commands::last_report(&context()?, file.as_deref(), report),
        Command::Completions { shell } => {
            completions(*shell, report);
            Ok(())
        }
        // `run` handles it: the report is printed while the server still runs.
        Command::Demo(_) => Ok(()),
    }
}
