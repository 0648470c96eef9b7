//! The command line: clap types and help, nothing else.
//!
//! Names, options and exit codes are a contract that scripts rely on: add freely, rename or drop nothing.

mod image;
mod parse;
mod syntax;

use std::path::PathBuf;
use std::str::FromStr;

use coreos_types::release::{ParseError, Release, SystemdVersion};
use manifest::mend::FixOptions;
use usr::elf::DlopenPriority;

pub use crate::report::Format;
pub use crate::terminal::ColorChoice as Color;
pub use image::ImageArgs;
use image::Words;
pub use parse::{PartialArgs, asked, parse};
pub use syntax::syntax;

/// A whole command line.
#[derive(Debug, Clone)]
pub struct Cli {
    /// The options every command takes.
    pub globals: GlobalArgs,
    /// What to do.
    pub command: Command,
}

/// The options every command takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GlobalArgs {
    /// The tree to work on; `None` is the one that holds the current directory.
    pub repo: Option<PathBuf>,
    /// What stdout carries.
    pub format: Format,
    /// When to colour.
    pub color: Color,
    /// `-v` as 1, `-q` as -1.
    pub verbosity: i8,
}

/// What to do.
#[derive(Debug, Clone)]
pub enum Command {
    /// The whole guide up to the build.
    BumpCoreos(BumpCoreos),
    /// The check alone, against the pinned release.
    VerifyManifests(VerifyManifests),
    /// Clean build, link check, run.
    Smoketest(Smoketest),
    /// Download and verify into the cache.
    Fetch(Fetch),
    /// What `gpg --verify` did.
    VerifySignature(VerifySignature),
    /// Who lists it and who needs it.
    Why(Why),
    /// What changed between two releases.
    Diff(Diff),
    /// The last run's report, told again.
    Report(ReportFlags),
    /// Lines into a manifest, and out of it.
    EditManifest(EditManifest),
    /// What `scripts/sort-stage1-manifests.sh` does; `check` writes nothing.
    SortManifests {
        /// Exit 1 if a file would change, and write nothing.
        check: bool,
    },
    /// The guide's own example in a scratch copy.
    Demo {
        /// Keep tree and server up.
        serve: bool,
    },
    /// Shell completions on stdout.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Whether it writes nothing, on request.
    pub fn is_dry_run(&self) -> bool {
        match self {
            Command::BumpCoreos(flags) => flags.dry_run || flags.check || flags.preview,
            Command::SortManifests { check } => *check,
            _ => false,
        }
    }

    /// The name as typed.
    pub fn name(&self) -> &'static str {
        match self {
            Command::BumpCoreos(_) => "bump-coreos",
            Command::VerifyManifests(_) => "verify-manifests",
            Command::Smoketest(_) => "smoketest",
            Command::Fetch(_) => "fetch",
            Command::VerifySignature(_) => "verify-signature",
            Command::Why(_) => "why",
            Command::Diff(_) => "diff",
            Command::Report(_) => "report",
            Command::EditManifest(_) => "edit-manifest",
            Command::SortManifests { .. } => "sort-manifests",
            Command::Demo { .. } => "demo",
            Command::Completions { .. } => "completions",
        }
    }
}

/// A release on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseSpec {
    /// This one.
    Number(Release),
    /// The one that the channel calls current.
    Latest,
}

impl FromStr for ReleaseSpec {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<ReleaseSpec, ParseError> {
        if text == "latest" { Ok(ReleaseSpec::Latest) } else { text.parse().map(ReleaseSpec::Number) }
    }
}

/// `bump-coreos`.
#[derive(Debug, Clone)]
pub struct BumpCoreos {
    /// The release to go to.
    pub release: ReleaseSpec,
    /// Where the image comes from.
    pub image: ImageArgs,
    /// How far mending goes.
    pub mend: FixArgs,
    /// Print the diff and write nothing.
    pub dry_run: bool,
    /// As `dry_run`, and exit 1 if anything would change.
    pub check: bool,
    /// Work from the signed lists, without the image.
    pub preview: bool,
    /// Write a report (`.md`, `.html`).
    pub report: Option<PathBuf>,
    /// Make one git commit of exactly the changed files.
    pub commit: bool,
}

/// `verify-manifests`.
#[derive(Debug, Clone)]
pub struct VerifyManifests {
    /// Where the image comes from.
    pub image: ImageArgs,
    /// How far mending goes.
    pub mend: FixArgs,
    /// Apply what `bump-coreos` would.
    pub fix: bool,
    /// Write a report (`.md`, `.html`).
    pub report: Option<PathBuf>,
}

/// How far mending goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixArgs {
    /// Drop paths that vanished without successor.
    pub drop_missing: bool,
    /// The least priority of `.note.dlopen` entries that count as needs; `None` counts none and gives no advice.
    pub dlopen: Option<DlopenPriority>,
    /// The systemd version, where the images do not tell one.
    pub systemd: Option<SystemdVersion>,
}

impl Default for FixArgs {
    fn default() -> FixArgs {
        FixArgs { drop_missing: false, dlopen: Some(DlopenPriority::Required), systemd: None }
    }
}

impl FixArgs {
    /// The same in the words of mending.
    pub fn reach(self) -> FixOptions {
        FixOptions { dlopen: self.dlopen, drop_missing: self.drop_missing, by_names_only: false }
    }

    /// The options again, as words of a command line.
    pub fn words(self) -> Vec<String> {
        let mut words = Words::default();
        words.switch("--drop-missing", self.drop_missing);
        let level = match self.dlopen {
            None => Some("none"),
            Some(DlopenPriority::Required) => None,
            Some(DlopenPriority::Recommended) => Some("recommended"),
            Some(DlopenPriority::Suggested) => Some("all"),
        };
        words.option("--dlopen", level);
        words.option("--systemd", self.systemd);
        words.0
    }
}

/// `smoketest`.
#[derive(Debug, Clone)]
pub struct Smoketest {
    /// Where the image comes from.
    pub image: ImageArgs,
    /// Take the root filesystem as it was built last.
    pub no_build: bool,
    /// Skip the check of the manifests.
    pub no_static: bool,
    /// Leave the real loader out.
    pub no_link: bool,
    /// Build and link only.
    pub no_run: bool,
    /// Boot in a virtual machine.
    pub vm: bool,
    /// A built root filesystem from elsewhere.
    pub rootfs: Option<PathBuf>,
    /// How many link checks at once.
    pub jobs: Option<usize>,
    /// How long the run may take, in seconds.
    pub timeout: u64,
    /// What `rkt run` runs.
    pub app: Option<String>,
}

impl Smoketest {
    /// How long the run may take where nobody says it, in seconds.
    const SECONDS: u64 = 60;

    /// The options again, but for those of the image, as words of a command line.
    pub fn words(&self) -> Vec<String> {
        let mut words = Words::default();
        words.switch("--no-build", self.no_build);
        words.switch("--no-static", self.no_static);
        words.switch("--no-link", self.no_link);
        words.switch("--no-run", self.no_run);
        words.switch("--vm", self.vm);
        words.option("--rootfs", self.rootfs.as_ref().map(|path| path.display()));
        words.option("--jobs", self.jobs);
        words.option("--timeout", Some(self.timeout).filter(|&seconds| seconds != Smoketest::SECONDS));
        words.option("--app", self.app.as_deref());
        words.0
    }
}

/// `fetch`.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// The release; `None` is the pinned one.
    pub release: Option<ReleaseSpec>,
    /// Where the image comes from.
    pub image: ImageArgs,
}

/// `verify-signature`.
#[derive(Debug, Clone)]
pub struct VerifySignature {
    /// The signed file.
    pub file: PathBuf,
    /// Its detached signature; `None` is `FILE.sig`.
    pub signature: Option<PathBuf>,
    /// A certificate in place of the pinned keys.
    pub signing_key: Option<PathBuf>,
    /// Use no network.
    pub offline: bool,
}

/// `why`.
#[derive(Debug, Clone)]
pub struct Why {
    /// A path of the image or a soname.
    pub subject: String,
    /// Where the image comes from.
    pub image: ImageArgs,
    /// How the tree is drawn.
    pub drawing: Drawing,
}

/// How `why` draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Drawing {
    /// As `cargo tree`.
    #[default]
    Tree,
    /// Graphviz.
    Dot,
    /// Mermaid.
    Mermaid,
}

/// `diff`.
#[derive(Debug, Clone)]
pub struct Diff {
    /// The release before.
    pub from: Release,
    /// The release after.
    pub to: Release,
    /// Where the images come from.
    pub image: ImageArgs,
}

/// `report`.
#[derive(Debug, Clone)]
pub struct ReportFlags {
    /// Where to write it (`.md`, `.html`); `None` prints Markdown.
    pub file: Option<PathBuf>,
}

/// `edit-manifest`.
#[derive(Debug, Clone)]
pub struct EditManifest {
    /// The manifest, relative to the tree or to the current directory.
    pub file: PathBuf,
    /// Lines to put in.
    pub add: Vec<String>,
    /// Lines to take out.
    pub remove: Vec<String>,
}
