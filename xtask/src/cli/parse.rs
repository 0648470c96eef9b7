//! From words to types.

use std::ffi::OsString;

use clap::ArgMatches;

use super::image::ImageArgs;
use super::syntax::{NAMES, syntax};
use super::{
    BumpCoreos, Cli, Color, Command, Diff, Drawing, EditManifest, Fetch, FixArgs, Format, GlobalArgs,
    ReportFlags, Smoketest, VerifyManifests, VerifySignature, Why,
};
use coreos_types::release::Release;
use usr::elf::DlopenPriority;

/// Reads a whole command line, the program's name first.
///
/// # Errors
/// clap's, which knows its own text and exit code; `--help` and `--version` are among them.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = syntax().try_get_matches_from(args)?;
    let Some((name, sub)) = matches.subcommand() else {
        return Err(syntax().error(clap::error::ErrorKind::MissingSubcommand, "a command is required"));
    };
    Ok(Cli { globals: globals(&matches), command: command(name, sub) })
}

/// What a command line asks for that does not parse as a whole, or asks for help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartialArgs {
    /// The face that the result gets.
    pub format: Format,
    /// The command's name; empty where there is none, or an unknown one.
    pub command: &'static str,
}

/// Reads as much of a command line as can be told by its words, the program's name first.
pub fn asked(args: impl IntoIterator<Item = OsString>) -> PartialArgs {
    let words: Vec<String> = args.into_iter().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let mut words = words.iter().map(String::as_str);
    let (mut asked, mut first) = (PartialArgs::default(), None);
    while let Some(word) = words.next() {
        let (option, value) =
            word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
        match option {
            "--format" => asked.format = format(value.or_else(|| words.next()).unwrap_or_default()),
            "--repo" | "--color" if value.is_none() => drop(words.next()),
            _ if !word.starts_with('-') => drop(first.get_or_insert(word)),
            _ => {}
        }
    }
    asked.command = NAMES.into_iter().find(|name| Some(*name) == first).unwrap_or_default();
    asked
}

fn format(word: &str) -> Format {
    match word {
        "json" => Format::Json,
        "github" => Format::Github,
        _ => Format::Text,
    }
}

fn globals(matches: &ArgMatches) -> GlobalArgs {
    let word = |name| matches.get_one::<String>(name).map_or("", String::as_str);
    GlobalArgs {
        repo: matches.get_one("repo").cloned(),
        format: format(word("format")),
        color: match word("color") {
            "always" => Color::Always,
            "never" => Color::Never,
            _ => Color::Auto,
        },
        verbosity: if matches.get_flag("quiet") {
            -1
        } else {
            matches.get_count("verbose").min(2).cast_signed()
        },
    }
}

fn command(name: &str, sub: &ArgMatches) -> Command {
    match name {
        "bump-coreos" => Command::BumpCoreos(bump_coreos(sub)),
        "verify-manifests" => Command::VerifyManifests(VerifyManifests {
            image: ImageArgs::of(sub),
            mend: mending(sub),
            fix: sub.get_flag("fix"),
            report: sub.get_one("report").cloned(),
        }),
        "smoketest" => Command::Smoketest(smoketest(sub)),
        "fetch" => {
            Command::Fetch(Fetch { release: sub.get_one("RELEASE").cloned(), image: ImageArgs::of(sub) })
        }
        "verify-signature" => Command::VerifySignature(VerifySignature {
            file: required(sub, "FILE"),
            signature: sub.get_one("signature").cloned(),
            signing_key: sub.get_one("signing-key").cloned(),
            offline: sub.get_flag("offline"),
        }),
        "why" => Command::Why(Why {
            subject: required(sub, "SUBJECT"),
            image: ImageArgs::of(sub),
            drawing: match (sub.get_flag("dot"), sub.get_flag("mermaid")) {
                (true, _) => Drawing::Dot,
                (_, true) => Drawing::Mermaid,
                _ => Drawing::Tree,
            },
        }),
        "diff" => Command::Diff(Diff {
            from: required::<Release>(sub, "FROM"),
            to: required::<Release>(sub, "TO"),
            image: ImageArgs::of(sub),
        }),
        "report" => Command::Report(ReportFlags { file: sub.get_one("FILE").cloned() }),
        "edit-manifest" => Command::EditManifest(EditManifest {
            file: required(sub, "FILE"),
            add: sub.get_many("add").into_iter().flatten().cloned().collect(),
            remove: sub.get_many("remove").into_iter().flatten().cloned().collect(),
        }),
        "sort-manifests" => Command::SortManifests { check: sub.get_flag("check") },
        "completions" => Command::Completions { shell: required(sub, "SHELL") },
        "demo" => Command::Demo { serve: sub.get_flag("serve") },
        other => unreachable!("clap knows no command {other}"),
    }
}

fn bump_coreos(sub: &ArgMatches) -> BumpCoreos {
    BumpCoreos {
        release: required(sub, "RELEASE"),
        image: ImageArgs::of(sub),
        mend: mending(sub),
        dry_run: sub.get_flag("dry-run"),
        check: sub.get_flag("check"),
        preview: sub.get_flag("preview"),
        report: sub.get_one("report").cloned(),
        commit: sub.get_flag("commit"),
    }
}

fn smoketest(sub: &ArgMatches) -> Smoketest {
    Smoketest {
        image: ImageArgs::of(sub),
        no_build: sub.get_flag("no-build"),
        no_static: sub.get_flag("no-static"),
        no_link: sub.get_flag("no-link"),
        no_run: sub.get_flag("no-run"),
        vm: sub.get_flag("vm"),
        rootfs: sub.get_one("rootfs").cloned(),
        jobs: sub.get_one::<u16>("jobs").map(|&jobs| jobs.into()),
        timeout: required(sub, "timeout"),
        app: sub.get_one("app").cloned(),
    }
}

fn mending(sub: &ArgMatches) -> FixArgs {
    FixArgs {
        drop_missing: sub.get_flag("drop-missing"),
        dlopen: match sub.get_one::<String>("dlopen").map_or("", String::as_str) {
            "none" => None,
            "recommended" => Some(DlopenPriority::Recommended),
            "all" => Some(DlopenPriority::Suggested),
            _ => Some(DlopenPriority::Required),
        },
        systemd: sub.get_one("systemd").copied(),
    }
}

/// A value that clap has made sure is there.
fn required<T: Clone + Send + Sync + 'static>(sub: &ArgMatches, name: &str) -> T {
    sub.get_one::<T>(name).cloned().unwrap_or_else(|| unreachable!("clap requires {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        parse(std::iter::once("xtask").chain(line.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn the_contract_s_lines_parse() {
        for line in [
            "bump-coreos 1032.0.0",
            "bump-coreos latest --channel stable --format json --check",
            "--repo /x --format github --color never -v verify-manifests --fix --dlopen none --drop-missing",
            "bump-coreos 1.2.3 --image a --image b --board amd64-usr --board arm64-usr --unsigned -q",
            "smoketest --no-build --no-static --no-link --no-run --vm --rootfs d --jobs 2 --timeout 5 --app x.aci",
            "fetch",
            "verify-signature f --signature g --signing-key k",
            "why libpam.so.0 --dot",
            "diff 991.0.0 1032.0.0",
            "edit-manifest f --remove bin/a --add bin/b bin/c",
            "sort-manifests --check",
            "demo --serve",
            "completions bash",
        ] {
            let parsed = parsed(line);
            assert!(parsed.is_ok(), "{line}: {}", parsed.err().map(|e| e.to_string()).unwrap_or_default());
        }
    }

    #[test]
    fn a_smoketest_s_options_are_told_again() {
        for line in [
            "smoketest",
            "smoketest --no-build --no-static --no-link --no-run --vm --rootfs d --jobs 2 --timeout 5 --app x.aci",
            "smoketest --no-run",
        ] {
            let Command::Smoketest(flags) = parsed(line).unwrap().command else { panic!("{line}") };
            assert_eq!([vec!["smoketest".to_owned()], flags.words()].concat().join(" "), line);
        }
    }

    #[test]
    fn what_a_bad_line_asks_for_is_told_all_the_same() {
        for (line, format, command) in [
            ("--format json bump-coreos 1.2", Format::Json, "bump-coreos"),
            ("--repo fetch why --format=github", Format::Github, "why"),
            ("--repo=x -v --color always diff --format json", Format::Json, "diff"),
            ("bump fetch --format", Format::Text, ""),
            ("--format json", Format::Json, ""),
            ("--format xml fetch", Format::Text, "fetch"),
        ] {
            let words = std::iter::once("xtask").chain(line.split_whitespace()).map(OsString::from);
            assert_eq!(asked(words), PartialArgs { format, command }, "{line}");
        }
    }

    #[test]
    fn options_come_back_as_the_words_they_were() {
        for options in [
            "",
            "--channel beta --mirror http://m --insecure-http --signing-key k --brand flatcar",
            "--image a --image b --signature=-s --board arm64-usr --offline",
            "--image a --unsigned --drop-missing --dlopen all --systemd v230",
            "--dlopen none",
        ] {
            let Ok(Command::VerifyManifests(flags)) =
                parsed(&format!("verify-manifests {options}")).map(|i| i.command)
            else {
                panic!("{options}");
            };
            let words = [flags.image.source(), flags.image.image(), flags.mend.words()].concat();
            assert_eq!(words.join(" "), options);
        }
    }

    #[test]
    fn what_is_wrong_is_usage() {
        for line in [
            "",
            "bump-coreos",
            "bump-coreos 1032",
            "fetch --unsigned",
            "why",
            "bump-coreos 1.2.3 --board x",
            "edit-manifest f",
        ] {
            assert!(parsed(line).is_err_and(|error| error.exit_code() == 2), "{line}");
        }
    }
}
