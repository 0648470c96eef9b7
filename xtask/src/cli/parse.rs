//! Parses the command line into types.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};

use super::help_layout::clap_command;
use super::{Cli, Color, GivenArgs, OutputFormat};

/// Parses a command line, the program's name first.
///
/// # Errors
/// clap's, which has its own text and exit code; `--help` and `--version` are among them.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut command = Cli::command();
    let mut matches = command.try_get_matches_from_mut(&args);
    if matches.is_err() {
        // Only a help text and an error need the layout, which takes longer than the rest.
        command = clap_command();
        matches = command.try_get_matches_from_mut(&args);
    }
    let matches = matches.map_err(|error| with_owners_of_option(error, &command))?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    cli.name = matches.subcommand_name().unwrap_or_default().to_owned();
    cli.given = GivenArgs::from_matches(&command, &matches);
    Ok(cli)
}

/// Replaces clap's advice for an option of other commands, to pass it as a value, by the names of these commands.
fn with_owners_of_option(mut error: clap::Error, command: &clap::Command) -> clap::Error {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg).cloned() else {
        return error;
    };
    if error.kind() != ErrorKind::UnknownArgument || error.remove(ContextKind::Suggested).is_none() {
        return error;
    }
    let has_option = |command: &&clap::Command| {
        command.get_arguments().any(|arg| arg.get_long().is_some_and(|name| option == format!("--{name}")))
    };
    let owners: Vec<&str> =
        command.get_subcommands().filter(has_option).map(clap::Command::get_name).collect();
    if !owners.is_empty() {
        let tip = format!("'{option}' is an option of {}", owners.join(", "));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The parts that are known of a wrong command line, or of one with `--help`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartialArgs {
    /// The output format.
    pub format: OutputFormat,
    /// Whether to use colours.
    pub color: Color,
    /// The command's name; empty where there is none, or an unknown one.
    pub command: String,
}

/// Parses the valid parts of a command line; the first argument is the program's name.
pub fn parse_partially(args: impl IntoIterator<Item = OsString>) -> PartialArgs {
    let words: Vec<OsString> = args.into_iter().skip(1).take(MAX_WORDS).collect();
    let lenient = clap_command()
        .ignore_errors(true)
        .no_binary_name(true)
        .arg_required_else_help(false)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true);
    let mut partial = PartialArgs::default();
    // clap stops at the first error, so what follows is parsed as a command line of its own.
    for start in 0..words.len() {
        let Ok(matches) = lenient.clone().try_get_matches_from(&words[start..]) else { continue };
        if let Some(name) = matches.subcommand_name().filter(|_| start == 0) {
            partial.command = name.to_owned();
        }
        let is_given = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        if let Some(color) = matches.get_one("color").filter(|_| is_given("color")) {
            partial.color = *color;
        }
        if let Some(format) = matches.get_one("format").filter(|_| is_given("format")) {
            partial.format = *format;
        }
    }
    partial
}

/// Most words of an invalid command line that are examined.
const MAX_WORDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Cli, clap::Error> {
        parse(std::iter::once("xtask").chain(line.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn each_command_is_parsed() {
        let names: std::collections::BTreeSet<String> =
            LINES.iter().map(|line| parse_line(line).unwrap().name).collect();
        assert_eq!(names.len(), clap_command().get_subcommands().count());
    }

    const LINES: &[&str] = &[
        "bump-coreos 1032.0.0",
        "bump-coreos latest --channel stable --format json --check",
        "--repo /x --format github --color never -v verify-manifests --fix --dlopen none --drop-missing",
        "bump-coreos 1.2.3 --image a --image b --board amd64-usr --board arm64-usr --unsigned -q",
        "smoketest --no-build --no-static --no-link --no-run --vm --rootfs d --jobs 2 --timeout 5 --app x.aci",
        "fetch",
        "fetch --output f",
        "cache list",
        "cache prune --older-than 30",
        "verify-signature f --signature g --signing-key k",
        "why libpam.so.0 --dot",
        "diff 991.0.0 1032.0.0",
        "sbom --sbom-format cyclonedx --flavor coreos --output f",
        "unneeded --prove --max-boots 3 --flavor coreos",
        "report",
        "releases",
        "edit-manifest f --remove bin/a --add bin/b bin/c",
        "edit-manifest f --add bin/b",
        "edit-manifest f --remove bin/b",
        "sort-manifests --check",
        "demo --serve",
        "completions bash",
    ];

    #[test]
    fn given_args_repeat_the_command_line() {
        for line in [
            "smoketest",
            "smoketest --no-build --no-static --no-link --no-run --vm --rootfs d --jobs 2 --timeout 5 --app x.aci",
            "smoketest --no-run --image a --image b",
            "edit-manifest f --add=-b --add c d --remove e",
            "bump-coreos latest --dry-run --dlopen all",
        ] {
            let cli = parse_line(line).unwrap();
            let words = [vec![cli.name.clone()], cli.given.without(&[])].concat();
            assert_eq!(words.join(" "), line);
        }
    }

    #[test]
    fn given_args_without_some() {
        let cli = parse_line("smoketest --no-build --vm --timeout 60").unwrap();
        assert_eq!(cli.given.without(&["no_build"]).join(" "), "--vm --timeout 60");
    }

    #[test]
    fn given_args_select_source_image_and_fix() {
        for (source, image, fix) in [
            ("", "", ""),
            ("--channel beta --mirror http://m --insecure-http --signing-key k --brand flatcar", "", ""),
            ("", "--image a --image b --signature=-s --board arm64-usr --offline", ""),
            ("", "--image a --unsigned", "--drop-missing --dlopen all --systemd v230"),
            ("--mirror m", "--board amd64-usr", "--dlopen none"),
        ] {
            for command in ["verify-manifests --fix", "bump-coreos 1.2.3 --check"] {
                let cli = parse_line(&format!("-v {command} {fix} {image} {source} --format json")).unwrap();
                let given = [cli.given.source_words(), cli.given.image_words(), cli.given.fix_words()];
                assert_eq!(given.map(|words| words.join(" ")), [source, image, fix]);
            }
        }
    }

    #[test]
    fn partial_args_of_a_wrong_line() {
        for (line, format, command) in [
            ("--format json bump-coreos 1.2", OutputFormat::Json, "bump-coreos"),
            ("--repo fetch why --format=github", OutputFormat::Github, "why"),
            ("--repo=x -v --color always diff --format json", OutputFormat::Json, "diff"),
            ("bump --format", OutputFormat::Text, ""),
            ("--format json", OutputFormat::Json, ""),
            ("--format xml fetch", OutputFormat::Text, "fetch"),
            ("--bogus fetch --format json", OutputFormat::Json, ""),
            ("--repo fetch bump", OutputFormat::Text, ""),
            ("fetch --bogus --format json", OutputFormat::Json, "fetch"),
            ("fetch --board x --format json", OutputFormat::Json, "fetch"),
            ("bump-coreos 1.2 --format json", OutputFormat::Json, "bump-coreos"),
            ("bump-coreos --help --format json", OutputFormat::Json, "bump-coreos"),
            ("--version --format json", OutputFormat::Json, ""),
        ] {
            let words = std::iter::once("xtask").chain(line.split_whitespace()).map(OsString::from);
            let color = if line.contains("always") { Color::Always } else { Color::Auto };
            assert_eq!(
                parse_partially(words),
                PartialArgs { color, format, command: command.into() },
                "{line}"
            );
        }
    }

    #[test]
    fn wrong_lines_exit_with_2() {
        for line in [
            "",
            "bump-coreos",
            "bump-coreos 1032",
            "fetch --unsigned",
            "why",
            "bump-coreos 1.2.3 --board x",
            "edit-manifest f",
        ] {
            assert!(parse_line(line).is_err_and(|error| error.exit_code() == 2), "{line}");
        }
    }

    #[test]
    fn usage_error_has_advice_that_applies() {
        for (line, advice) in [
            ("bump-coreos 1.2.3 --fix", "tip: '--fix' is an option of verify-manifests"),
            ("smoketest --jobs -1", "'-1' for '--jobs <N>': expected a whole number, at least 1"),
            ("smoketest --timeout 0", "expected a whole number, at least 1"),
            ("cache prune --older-than x", "expected a whole number, at least 0"),
            ("edit-manifest f", "<FILE> [--add <PATH>...] [--remove <PATH>...]"),
            ("fetch --channel gamma", "expected alpha, beta, stable, lts or lts-YEAR"),
        ] {
            let error = parse_line(line).unwrap_err().to_string();
            assert!(error.contains(advice) && error.contains("try '--help'"), "{line}: {error}");
            assert!(!error.contains("as a value"), "{line}: {error}");
        }
    }

    #[test]
    fn dry_runs_are_known() {
        for (line, expected) in [
            ("sort-manifests", (false, false)),
            ("sort-manifests --check", (true, true)),
            ("verify-manifests --fix --dry-run", (true, false)),
            ("bump-coreos 1.2.3 --check", (true, true)),
            ("bump-coreos 1.2.3 --preview", (true, false)),
            ("fetch", (false, false)),
        ] {
            assert_eq!(parse_line(line).unwrap().command.dry_run_and_check(), expected, "{line}");
        }
    }
}
