//! The command line: clap types, help texts and the options of the run for hints; nothing else.
//!
//! Names, options and exit codes are a contract that scripts rely on: add freely, rename or drop nothing. A doc
//! comment here is a help text: its first paragraph is what `-h` prints, all of it what `--help` prints.

mod command_args;
mod diff;
mod given_args;
mod help_layout;
mod image;
mod parse;
mod unneeded;

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Parser, Subcommand};

use coreos_types::{Error, Release};

pub use crate::report::OutputFormat;
pub use crate::terminal::ColorChoice as Color;
pub use command_args::{
    BumpCoreos, Demo, DlopenLevel, EditManifest, Fetch, FixArgs, Sbom, Smoketest, VerifyManifests,
    VerifySignature, Why,
};
pub use diff::{AdvisorySource, Diff};
pub use given_args::GivenArgs;
pub use help_layout::{clap_command, style_help};
pub use image::ImageArgs;
pub use parse::{PartialArgs, parse, parse_partially};
pub use unneeded::Unneeded;

const EXIT_CODES: &str = "\
Exit codes: 0 success, 1 problems found, 2 error, 3 untrusted image or
signature. Changes are atomic: all files or none.

First steps:
  cargo xtask demo                      an example bump, without network
  cargo xtask verify-manifests          check this tree
  cargo xtask bump-coreos 1032.0.0      move it to another release
  cargo xtask help bump-coreos          all about a command";

/// Update and check the CoreOS/Flatcar image pinned in an rkt source tree.
#[derive(Debug, Clone, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// The options that every command has.
    #[command(flatten)]
    pub globals: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The command's name as typed.
    #[arg(skip)]
    pub name: String,
    /// The options as they were given, for hints.
    #[arg(skip)]
    pub given: GivenArgs,
}

/// The options that every command has.
#[derive(Debug, Clone, PartialEq, Eq, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Source tree [default: that of the current directory].
    ///
    /// The default is the current directory, or the nearest one above it, that has
    /// stage1/usr_from_coreos/coreos-common.mk.
    #[arg(long, global = true, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// Trust a tree of another user.
    ///
    /// Required to build such a tree, to use its settings, and to recover an
    /// interrupted run in it; not to read or check it. Trees in git's safe.directory
    /// and in the variable XTASK_TRUST_TREE are trusted too.
    #[arg(long, global = true, value_name = "DIR")]
    pub trust_tree: Vec<PathBuf>,
    /// Format: text, json, github, sarif.
    ///
    /// json is one document (docs/report.schema.json); github prints annotations for
    /// GitHub Actions. Progress and errors go to standard error in every format.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub format: OutputFormat,
    /// Colorize output: auto, always, never.
    ///
    /// auto uses colors on a terminal, unless NO_COLOR or CI is set or TERM is dumb.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: Color,
    /// Verbose output (-vv: per-file detail).
    ///
    /// Prints files read, trusted keys, HTTP responses and cache hits, with timings.
    /// Long lists are printed in full.
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Print only problems.
    ///
    /// No diff, suggestions, progress or summary. What a command is run for is still
    /// printed: the path of fetch, the tree of why.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Update the tree to another release and fix its manifests.
    ///
    /// Downloads and verifies the image, checks every manifest against it, and edits
    /// coreos-common.mk and the manifests in one atomic step. Problems with exactly
    /// one solution are fixed; those that need a decision are reported.
    BumpCoreos(BumpCoreos),
    /// Check every manifest against the pinned release.
    ///
    /// Reports missing files, unlisted dependencies, dangling symlinks, undefined
    /// symbol versions and more, for every board and flavor. --fix fixes them.
    VerifyManifests(VerifyManifests),
    /// Build from scratch, link every file, and boot the result.
    ///
    /// This runs the tree's build as you, and code of the image: its loader without
    /// any rights, its systemd in a user namespace (with --vm: in qemu). SECURITY.md
    /// has the limits.
    Smoketest(Smoketest),
    /// Download and verify images, and print their paths.
    Fetch(Fetch),
    /// List or remove the images in the cache.
    #[command(subcommand)]
    Cache(CacheAction),
    /// Verify a release file's signature against the pinned keys.
    VerifySignature(VerifySignature),
    /// Show which manifests list a path and which files need it.
    Why(Why),
    /// Show what changes for this tree between two releases.
    Diff(Diff),
    /// Print the software bill of materials of the flavors.
    Sbom(Sbom),
    /// List entries that nothing needs; --prove boots without them.
    Unneeded(Unneeded),
    /// List the newest release of each channel.
    #[command(after_help = "Examples:
  cargo xtask releases
  cargo xtask releases --channel lts-2024 --brand flatcar")]
    Releases(ImageArgs),
    /// Write a report of the last bump-coreos or verify-manifests.
    Report {
        /// A .md or .html file [default: Markdown on stdout].
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Add lines to a manifest, keeping its order, or remove lines.
    EditManifest(EditManifest),
    /// Sort the manifests and remove duplicates.
    SortManifests {
        /// Write nothing; exit 1 if a file would change.
        #[arg(long)]
        check: bool,
    },
    /// Bump a scratch tree, with a release server on this machine.
    Demo(Demo),
    /// Print shell completions for cargo xtask.
    #[command(after_long_help = "Install:
  cargo xtask completions bash > ~/.xtask-completion
  # and in ~/.bashrc (or ~/.zshrc, after compinit): source ~/.xtask-completion
  cargo xtask completions fish > ~/.config/fish/conf.d/xtask.fish")]
    Completions {
        /// Your shell.
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Whether no file is to be written, and whether `--check` is given.
    pub fn dry_run_and_check(&self) -> (bool, bool) {
        match self {
            Command::BumpCoreos(args) => (args.dry_run || args.check || args.preview, args.check),
            Command::VerifyManifests(args) => (args.dry_run || args.check, args.check),
            Command::SortManifests { check } => (*check, *check),
            _ => (false, false),
        }
    }

    /// The options for images, if the command has them.
    pub fn image_args(&self) -> Option<&ImageArgs> {
        Some(match self {
            Command::BumpCoreos(args) => &args.image,
            Command::VerifyManifests(args) => &args.image,
            Command::Smoketest(args) => &args.image,
            Command::Fetch(args) => &args.image,
            Command::Why(args) => &args.image,
            Command::Diff(args) => &args.image,
            Command::Releases(image) => image,
            Command::Sbom(args) => &args.image,
            Command::Unneeded(args) => &args.image,
            _ => return None,
        })
    }
}

/// What to do with the cache.
#[derive(Debug, Clone, Subcommand)]
pub enum CacheAction {
    /// List the images by release, size and last use.
    List,
    /// Remove images that can be downloaded again.
    ///
    /// The release that the tree pins stays, and so does an image that no server has any
    /// more. Images also expire without this command: after 180 days without use, and
    /// above 10 GiB in all.
    Prune {
        /// Only images that were not used for DAYS days.
        #[arg(long, value_name = "DAYS", allow_negative_numbers = true, value_parser = parse_at_least::<u64, 0>)]
        older_than: Option<u64>,
    },
}

/// A release on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseSpec {
    /// This one.
    Number(Release),
    /// The current one of the channel.
    Latest,
}

impl ReleaseSpec {
    /// The number; `None` for the current release of the channel.
    pub fn number(&self) -> Option<&Release> {
        match self {
            ReleaseSpec::Number(release) => Some(release),
            ReleaseSpec::Latest => None,
        }
    }
}

impl FromStr for ReleaseSpec {
    type Err = Error;
    fn from_str(text: &str) -> Result<ReleaseSpec, Error> {
        if text == "latest" { Ok(ReleaseSpec::Latest) } else { text.parse().map(ReleaseSpec::Number) }
    }
}

/// Parses a whole number that is at least `MIN`.
fn parse_at_least<T: FromStr + PartialOrd + From<u8>, const MIN: u8>(text: &str) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| *number >= T::from(MIN));
    number.ok_or_else(|| format!("expected a whole number, at least {MIN}"))
}
