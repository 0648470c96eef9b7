//! The input of every command that works on a tree.

use std::env;
use std::path::PathBuf;

use crate::accepted_findings_toml;
use crate::cache::Cache;
use crate::cli::{Cli, GivenArgs, ImageArgs};
use crate::config::Config;
use crate::repo::Repo;
use crate::report::invocation::{Invocation, words};
use crate::terminal::Term;
use crate::verbose_log::log_tree;
use coreos_types::{Board, Error, Release, Result, ResultExt, Vendor, Vendors};
use manifest::common_mk::CommonMk;
use manifest::stage1_sources::Stage1Sources;

/// The lowest major number of a release of Flatcar.
const FLATCAR_FIRST: u64 = 1600;
/// The major number of the last release of CoreOS.
const COREOS_LAST: u64 = 2514;

/// The tree, the configuration, and the options of the run.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Prints progress and diagnostics.
    pub term: &'a Term,
    /// Configuration of the options, the environment and this program's workspace.
    pub settings: Config,
    /// A cache to use instead of the user's own.
    pub cache: Option<Cache>,
    /// The current directory.
    pub cwd: PathBuf,
    /// `--repo DIR`.
    pub repo: Option<PathBuf>,
    /// The command's name.
    pub command: String,
    /// The arguments of the command, for hints.
    pub given: GivenArgs,
    /// Where images come from.
    pub image_args: ImageArgs,
    /// The tree.
    pub tree: Repo,
    /// Its sources.
    pub sources: Stage1Sources,
    /// The values of its coreos-common.mk.
    pub pins: CommonMk,
}

/// The words that start this program: `xtask` if the shell found it in its PATH, else `cargo xtask`.
pub fn program() -> &'static str {
    if std::env::args_os().next().is_some_and(|name| name == "xtask") { "xtask" } else { "cargo xtask" }
}

/// The current directory.
///
/// # Errors
/// It was removed, or cannot be searched.
pub fn current_dir() -> Result<PathBuf> {
    env::current_dir().with_context(|| "cannot determine the current directory")
}

/// Replaces `cargo xtask` in the hint of an error by [`program`].
pub fn with_program_in_hint(error: Error) -> Error {
    Error { hint: error.hint.map(|hint| hint.replace("cargo xtask", program())), ..error }
}

impl<'a> Context<'a> {
    /// Finds and reads the tree. An interrupted transaction is recovered first, with a warning.
    ///
    /// # Errors
    /// There is no tree, or a file cannot be read.
    pub fn recover_and_load(term: &'a Term, cli: &Cli) -> Result<Context<'a>> {
        // Read before the recovery: the files that it writes must not change the trusted keys.
        Context::load_with_config(term, cli, Config::read()?)
    }

    /// As [`Context::recover_and_load`], with another configuration.
    pub fn load_with_config(term: &'a Term, cli: &Cli, mut settings: Config) -> Result<Context<'a>> {
        let cwd = current_dir()?;
        let image_args = cli.command.image_args().cloned().unwrap_or_default();
        settings.override_with(&image_args);
        if let Some(id) = image_args.brand.as_deref().filter(|id| settings.vendors.get(id).is_none()) {
            return Err(unknown_vendor_error(id, &settings.vendors));
        }
        if let Some(warning) = ignored_channel_warning(&cli.name, &image_args, &settings) {
            term.warn(warning);
        }
        let tree = Repo::find(cli.globals.repo.as_deref(), &cwd)?;
        let mut read = tree.recover_and_read()?;
        read.sources.accepted = accepted_findings_toml::read(tree.root())?;
        read.sources.vendors = settings.vendors.clone();
        for warning in &read.warnings {
            term.warn(warning);
        }
        let pins = read.sources.parse_common_mk()?;
        log_tree(term, &tree, &read.sources, &pins);
        Ok(Context {
            term,
            settings,
            cache: None,
            cwd,
            repo: cli.globals.repo.clone(),
            command: cli.name.clone(),
            given: cli.given.clone(),
            image_args,
            tree,
            sources: read.sources,
            pins,
        })
    }

    /// The command line for hints, without the options of this run.
    pub fn bare_invocation(&self) -> Invocation {
        let is_cwd_root = self.cwd.canonicalize().is_ok_and(|cwd| cwd == self.tree.root());
        Invocation {
            program: program(),
            repo: self.repo.as_ref().map(|repo| repo.display().to_string()),
            root: (!is_cwd_root).then(|| self.tree.root().display().to_string()),
            ..Invocation::default()
        }
    }

    /// The command line of `command` for hints, with this run's options for images and fixes.
    pub fn command_invocation(&self, command: &[&str]) -> Invocation {
        Invocation {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            source: self.given.source_words(),
            image: self.given.image_words(),
            fix: self.given.fix_words(),
            without_trial: Some(self.rerun_command(&[], &["dry_run", "check", "preview"])),
            ..self.bare_invocation()
        }
    }

    /// The command line of the bump to `release` for hints: the bump itself fixes its findings.
    pub fn bump_invocation(&self, release: &Release) -> Invocation {
        self.command_invocation(&["bump-coreos", release.as_str()])
    }

    /// The command line of this run for a POSIX shell, with the words `with` and without the options of `without`,
    /// which are names of fields of the command's arguments.
    pub fn rerun_command(&self, with: &[&str], without: &[&str]) -> String {
        let with = with.iter().map(|&word| word.to_owned()).collect();
        self.bare_invocation().command_line([
            &vec![self.command.clone()],
            &self.given.without(without),
            &with,
        ])
    }

    /// The vendor of the images: `--brand`, else the one in the pinned URL, else CoreOS.
    pub fn vendor(&self) -> &'static Vendor {
        self.requested_vendor().or(self.pins.vendor()).unwrap_or(Vendor::COREOS)
    }

    /// The vendor of `--brand`; [`Context::recover_and_load`] has checked that it is known.
    pub fn requested_vendor(&self) -> Option<&'static Vendor> {
        self.settings.vendors.get(self.image_args.brand.as_deref()?)
    }

    /// Checks, before a request, that the vendor of `--brand` can have a release. A mirror may have any.
    ///
    /// # Errors
    /// The number is outside the vendor's first and last release.
    pub fn ensure_vendor_has_release(&self, release: &Release) -> Result<()> {
        let is_vendors_server = self.image_args.images.is_empty() && self.settings.mirror.is_none();
        let requested = self.requested_vendor().filter(|_| is_vendors_server);
        let Some(vendor) = requested else { return Ok(()) };
        let why = if vendor == Vendor::FLATCAR && release.major() < FLATCAR_FIRST {
            "Flatcar began in 2018, with releases above 1600"
        } else if vendor == Vendor::COREOS && release.major() > COREOS_LAST {
            "CoreOS ended in 2020, with release 2514"
        } else {
            return Ok(());
        };
        Err(Error::failed(format!("there is no {vendor} release {release}"))
            .with_cause(why)
            .with_hint(self.flatcar_command()))
    }

    /// Adds a hint to a network error of a CoreOS server: these servers are gone, so a retry does not help.
    pub fn with_closed_server_hint(&self, error: Error) -> Error {
        if !error.url.as_ref().is_some_and(|url| url.contains(".release.core-os.net/")) {
            return error;
        }
        let mut hint = String::from(
            "to try the tool: cargo xtask demo; else use a copy of the releases (--mirror URL) or an image (--image FILE)",
        );
        if self.command == "bump-coreos" {
            hint += &format!("; to move to Flatcar, which continues CoreOS: {}", self.flatcar_command());
        }
        Error { hint: Some(hint), ..error }
    }

    /// The command that moves the tree to Flatcar.
    fn flatcar_command(&self) -> String {
        let latest = words(["bump-coreos", "latest", "--brand", Vendor::FLATCAR.id]);
        self.bare_invocation().command_line([&latest])
    }

    /// The boards of the run: `--board`, else every board that has manifests.
    ///
    /// # Errors
    /// A requested board has no manifests.
    pub fn boards(&self) -> Result<Vec<Board>> {
        let requested = &self.image_args.boards;
        let available = self.sources.boards();
        let names = available.iter().map(|board| board.id()).collect::<Vec<_>>().join(" or ");
        if let Some(board) = requested.iter().find(|board| !available.contains(board)) {
            let message = format!("{board} has no manifests: manifest-{board}.d does not exist");
            return Err(Error::failed(message).with_hint(format!("omit --board, or use {names}")));
        }
        let is_requested = |board: &Board| requested.is_empty() || requested.contains(board);
        Ok(available.into_iter().filter(is_requested).collect())
    }
}

/// The warning that `--channel` does not select the image: a local image and a mirror are on no channel.
fn ignored_channel_warning(command: &str, args: &ImageArgs, settings: &Config) -> Option<String> {
    let channel = args.channel?;
    let source = match args.images.is_empty() {
        false => "--image",
        // A long-term stream is a directory of the mirror.
        true if settings.mirror.is_some() && channel.year.is_none() => "the mirror",
        true => return None,
    };
    let effect = match command {
        "bump-coreos" | "verify-manifests" => "it sets only the channel in CCN_IMG_URL",
        _ => "it has no effect here",
    };
    Some(format!("--channel {channel} does not select the image, which is that of {source}: {effect}"))
}

fn unknown_vendor_error(id: &str, vendors: &Vendors) -> Error {
    let hint =
        format!("describe it in [workspace.metadata.stage1.vendors.{id}] of this program's Cargo.toml");
    Error::usage(format!("{id:?} is not a brand: expected {}", vendors.joined_ids())).with_hint(hint)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn channel_without_effect_is_reported() {
        let own_mirror = Config { mirror: Some("https://m.example".to_owned()), ..Config::default() };
        for (line, mut settings, expected) in [
            ("fetch --channel beta", Config::default(), None),
            ("fetch --channel beta", own_mirror.clone(), Some("the mirror: it has no effect here")),
            (
                "fetch --channel beta --mirror https://m.example",
                Config::default(),
                Some("the mirror: it has no"),
            ),
            ("fetch latest --channel lts-2024 --mirror https://m.example", Config::default(), None),
            ("why x --channel beta --image i", Config::default(), Some("--image: it has no effect here")),
            (
                "bump-coreos 1.0.0 --channel beta --image i",
                Config::default(),
                Some("only the channel in CCN_IMG_URL"),
            ),
            ("bump-coreos 1.0.0 --image i", own_mirror, None),
        ] {
            let words = ["xtask"].into_iter().chain(line.split(' ')).map(Into::into);
            let cli = crate::cli::parse(words).unwrap();
            let args = cli.command.image_args().unwrap();
            settings.override_with(args);
            let warning = ignored_channel_warning(&cli.name, args, &settings);
            assert_eq!(warning.is_some(), expected.is_some(), "{line}: {warning:?}");
            assert!(warning.unwrap_or_default().contains(expected.unwrap_or_default()), "{line}");
        }
    }
}
