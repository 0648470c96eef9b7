//! The input of every command that works on a tree.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;

use crate::cache::Cache;
use crate::cli::{Cli, GivenArgs, ImageArgs};
use crate::config::Config;
use crate::repo::Repo;
use crate::report::invocation::Invocation;
use crate::terminal::Term;
use crate::verbose::log_tree;
use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::release::{Board, Brand, Release};
use manifest::common_mk::CommonMk;
use manifest::plan::sources::Stage1Sources;

/// The lowest number that a release of Flatcar can have.
const FLATCAR_FIRST: u32 = 1600;
/// The number of the last release of CoreOS.
const COREOS_LAST: u32 = 2514;

/// A tree as it was read, the settings, and the options of the run.
#[derive(Debug)]
pub struct Context<'a> {
    /// Prints progress and diagnostics.
    pub term: &'a Term,
    /// The environment and the tool's own workspace.
    pub settings: Config,
    /// A cache to use instead of the user's own.
    pub cache: Option<Cache>,
    /// The current directory.
    pub here: PathBuf,
    /// `--repo DIR`.
    pub repo: Option<PathBuf>,
    /// The command's name.
    pub command: &'static str,
    /// The arguments of the command, for hints.
    pub given: GivenArgs,
    /// The tree.
    pub tree: Repo,
    /// Its sources.
    pub sources: Stage1Sources,
    /// The values of its coreos-common.mk.
    pub pins: CommonMk,
}

impl<'a> Context<'a> {
    /// Finds and reads the tree. An interrupted write is finished or undone first, with a warning.
    ///
    /// # Errors
    /// There is no tree, or it cannot be read.
    pub fn load(term: &'a Term, cli: &Cli) -> Result<Context<'a>> {
        let here = env::current_dir().with_context(|| "cannot determine the current directory")?;
        // Before an interrupted run is finished: nothing that it writes may decide whom to trust.
        let settings = Config::read()?;
        let tree = Repo::find(cli.globals.repo.as_deref(), &here)?;
        let read = tree.read()?;
        for note in &read.warnings {
            term.warn(note);
        }
        let pins = read.sources.pins()?;
        log_tree(term, &tree, &read.sources, &pins);
        Ok(Context {
            term,
            settings,
            cache: None,
            here,
            repo: cli.globals.repo.clone(),
            command: cli.command.name(),
            given: cli.given.clone(),
            tree,
            sources: read.sources,
            pins,
        })
    }

    /// The command line of a command without the options of this run, in hints.
    pub fn bare(&self) -> Invocation {
        let is_here = self.here.canonicalize().is_ok_and(|here| here == self.tree.root());
        Invocation {
            repo: self.repo.as_ref().map(|repo| repo.display().to_string()),
            root: (!is_here).then(|| self.tree.root().display().to_string()),
            ..Invocation::default()
        }
    }

    /// The command line of `command` in hints, with the options of this run that say where images come from and
    /// how far fixing goes.
    pub fn replay(&self, command: &[&str]) -> Invocation {
        Invocation {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            source: self.given.source(),
            image: self.given.image(),
            fix: self.given.fix(),
            ..self.bare()
        }
    }

    /// The command line of the bump to `release` in hints: what fixes its findings is the bump itself.
    pub fn replay_bump(&self, release: &Release) -> Invocation {
        self.replay(&["bump-coreos", release.as_str()])
    }

    /// The command line of this run for a POSIX shell, with the words `with` and without the options of `without`,
    /// which are names of fields of the command's arguments.
    pub fn rerun(&self, with: &[&str], without: &[&str]) -> String {
        let words = [vec![self.command.to_owned()], self.given.without(without)].concat();
        let words: Vec<String> = words.into_iter().chain(with.iter().map(|&word| word.to_owned())).collect();
        self.bare().command_line(&words)
    }

    /// How many flavors have manifests.
    pub fn flavors(&self) -> usize {
        self.sources.listings.iter().map(|listing| &listing.flavor).collect::<BTreeSet<_>>().len()
    }

    /// The vendor of the images: `--brand`, else the one in the pinned URL, else CoreOS.
    pub fn brand(&self, flags: &ImageArgs) -> Brand {
        flags.brand.or(self.pins.brand()).unwrap_or(Brand::CoreOs)
    }

    /// Makes sure that the vendor of `--brand` can have a release, before a server is asked. A mirror may have any.
    ///
    /// # Errors
    /// The number is beyond the vendor's first or last release.
    pub fn ensure_possible(&self, flags: &ImageArgs, release: &Release) -> Result<()> {
        let has_mirror = flags.mirror.is_some() || self.settings.mirror.is_some();
        let Some(brand) = flags.brand.filter(|_| flags.images.is_empty() && !has_mirror) else {
            return Ok(());
        };
        let number: u32 = release.as_str().split('.').next().and_then(|part| part.parse().ok()).unwrap_or(0);
        let why = match brand {
            Brand::Flatcar if number < FLATCAR_FIRST => "Flatcar began in 2018, with releases above 1600",
            Brand::CoreOs if number > COREOS_LAST => "CoreOS ended in 2020, with release 2514",
            _ => return Ok(()),
        };
        let latest = ["bump-coreos", "latest", "--brand", Brand::Flatcar.id()].map(str::to_owned);
        Err(Error::failed(format!("there is no {brand} release {release}"))
            .with_cause(why)
            .with_hint(self.bare().command_line(&latest)))
    }

    /// The hint for an error of the network. What CoreOS published is gone, so that another try does not help.
    pub fn with_offline_hint(&self, error: Error) -> Error {
        let is_gone = error.to_string().contains(Brand::CoreOs.release_domain())
            && error.to_string().contains("cannot download")
            && !error.to_string().contains("--offline");
        if !is_gone {
            return error;
        }
        let mut hint =
            "to try the tool: cargo xtask demo; else use a copy of the releases (--mirror URL) or an image \
                        (--image FILE)"
                .to_owned();
        if self.command == "bump-coreos" {
            let latest = ["bump-coreos", "latest", "--brand", Brand::Flatcar.id()].map(str::to_owned);
            hint.push_str(&format!(
                "; to move to Flatcar, which continues CoreOS: {}",
                self.bare().command_line(&latest)
            ));
        }
        Error { hint: Some(hint), ..error }
    }

    /// The boards of the run: `--board`, else every board that has manifests.
    ///
    /// # Errors
    /// A requested board has no manifests, or the tree has no manifests at all.
    pub fn boards(&self, flags: &ImageArgs) -> Result<Vec<Board>> {
        let there = self.sources.boards();
        if there.is_empty() {
            return Err(Error::failed(format!("{} has no manifests", self.tree.root().display()))
                .with_cause("expected files in stage1/usr_from_*/manifest-BOARD.d"));
        }
        if let Some(board) = flags.boards.iter().find(|board| !there.contains(board)) {
            return Err(Error::failed(format!("{board} has no manifests: there is no manifest-{board}.d"))
                .with_hint("omit --board, or use one of the tree's boards"));
        }
        Ok(there
            .into_iter()
            .filter(|board| flags.boards.is_empty() || flags.boards.contains(board))
            .collect())
    }
}
