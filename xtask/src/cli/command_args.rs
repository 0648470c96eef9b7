//! The arguments of each command.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args, ValueEnum};

use super::{AdvisorySource, ImageArgs, ReleaseSpec, parse_at_least};
use coreos_types::SystemdVersion;
use packages::sbom::Format;
use usr::DlopenPriority;

/// `bump-coreos`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:
  cargo xtask bump-coreos 1032.0.0
  cargo xtask bump-coreos latest --channel stable --commit
  cargo xtask bump-coreos 4081.2.0 --brand flatcar --dry-run")]
pub struct BumpCoreos {
    /// Release number, or latest.
    #[arg(value_name = "RELEASE|latest")]
    pub release: ReleaseSpec,
    /// Print the diff, write nothing.
    ///
    /// Ends with the exit code of the real run. Off a terminal the diff can be piped
    /// to git apply or patch -p1.
    #[arg(long)]
    pub dry_run: bool,
    /// As --dry-run; exit 1 if anything would change.
    #[arg(long)]
    pub check: bool,
    /// Accept a latest that is older than the pinned release.
    #[arg(long)]
    pub allow_downgrade: bool,
    /// Plan from the signed file lists, write nothing.
    ///
    /// Fast but incomplete: the lists have only names, so dependencies of programs
    /// and libraries are not checked.
    #[arg(long)]
    pub preview: bool,
    /// Write a report to FILE: .md or .html.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Also download the pinned release, to compare sizes.
    #[arg(long, conflicts_with = "preview")]
    pub compare_sizes: bool,
    /// Vendor's release notes: URL, FILE or none.
    ///
    /// Reports the security fixes between the two releases in packages of which stage1
    /// takes a file [env: XTASK_ADVISORIES]. The notes are not signed: they are a hint
    /// and do not change the exit code. The default for Flatcar is its releases.json.
    #[arg(long, value_name = "URL")]
    pub advisories: Option<AdvisorySource>,
    /// Make one git commit of the changed files.
    ///
    /// Needs a git repository in which these files have no other changes. Runs no
    /// hooks: git commit --amend --no-edit runs yours afterwards.
    #[arg(long, conflicts_with_all = ["dry_run", "check", "preview"])]
    pub commit: bool,
    /// How far fixing goes.
    #[command(flatten)]
    pub fix_args: FixArgs,
    /// Where the image comes from.
    #[command(flatten)]
    pub image: ImageArgs,
}

/// `verify-manifests`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_long_help = "Examples:
  cargo xtask verify-manifests
  cargo xtask verify-manifests --fix --image my.cpio.gz")]
pub struct VerifyManifests {
    /// Fix the manifests as bump-coreos does.
    ///
    /// Problems that need a decision remain; each is printed with a command.
    #[arg(long)]
    pub fix: bool,
    /// With --fix: print the diff, write nothing.
    #[arg(long, requires = "fix")]
    pub dry_run: bool,
    /// As --dry-run; exit 1 if anything would change.
    #[arg(long, requires = "fix")]
    pub check: bool,
    /// Write a report to FILE: .md or .html.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// How far fixing goes.
    #[command(flatten)]
    pub fix_args: FixArgs,
    /// Where the image comes from.
    #[command(flatten)]
    pub image: ImageArgs,
}

/// How far fixing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Args)]
pub struct FixArgs {
    /// Remove lines of files that the image does not have.
    ///
    /// Only lines without a known replacement. By default they are findings, because
    /// the file may have a new name that the tool cannot recognize.
    #[arg(long)]
    pub drop_missing: bool,
    /// Which dlopen(3) libraries to add [default: required].
    ///
    /// none, required, recommended or all: the minimum priority in .note.dlopen at
    /// which a library is a dependency. Libraries of lower priority are suggestions;
    /// with none, they are not reported.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "required",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub dlopen: DlopenLevel,
    /// systemd version, if it cannot be detected.
    #[arg(long, value_name = "vN")]
    pub systemd: Option<SystemdVersion>,
}

/// `--dlopen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum DlopenLevel {
    /// None, and no advice either.
    None,
    /// Libraries without which the file does not work.
    #[default]
    Required,
    /// Also libraries for a usual feature.
    Recommended,
    /// Every one.
    All,
}

impl DlopenLevel {
    /// The same for the planner.
    pub fn min_priority(self) -> Option<DlopenPriority> {
        match self {
            DlopenLevel::None => None,
            DlopenLevel::Required => Some(DlopenPriority::Required),
            DlopenLevel::Recommended => Some(DlopenPriority::Recommended),
            DlopenLevel::All => Some(DlopenPriority::Suggested),
        }
    }
}

/// `smoketest`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:
  cargo xtask smoketest
  cargo xtask smoketest --no-build --vm --timeout 120")]
pub struct Smoketest {
    /// Reuse the previous build.
    #[arg(long)]
    pub no_build: bool,
    /// Skip the check of the manifests.
    #[arg(long)]
    pub no_static: bool,
    /// Skip the link check with the real loader.
    #[arg(long)]
    pub no_link: bool,
    /// Build and check links only.
    #[arg(long)]
    pub no_run: bool,
    /// Boot in a virtual machine (qemu).
    #[arg(long)]
    pub vm: bool,
    /// Test this root filesystem instead of building one.
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,
    /// Number of parallel link checks.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_at_least::<usize, 1>)]
    pub jobs: Option<usize>,
    /// Time limit of the run.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = parse_at_least::<u64, 1>, default_value = "60")]
    pub timeout: u64,
    /// App for rkt: a docker reference or an .aci file.
    #[arg(long, value_name = "IMAGE")]
    pub app: Option<String>,
    /// Test this flavor (repeatable) [default: all].
    #[arg(long = "flavor", value_name = "NAME")]
    pub flavors: Vec<String>,
    /// Argument for rkt's configure [env: XTASK_CONFIGURE].
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub configure: Vec<String>,
    /// Argument for make and make clean [env: XTASK_MAKE].
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub make: Vec<String>,
    /// Where the image comes from.
    #[command(flatten)]
    pub image: ImageArgs,
}

/// `fetch`.
#[derive(Debug, Clone, Args)]
pub struct Fetch {
    /// Release number, or latest [default: the pinned one].
    #[arg(value_name = "RELEASE|latest")]
    pub release: Option<ReleaseSpec>,
    /// Copy the image of one board to FILE, and verify the copy.
    ///
    /// FILE appears only when the signature over its bytes is valid. Unlike the path
    /// in the cache, it cannot be replaced between verification and use.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Where the image comes from.
    #[command(flatten)]
    pub image: ImageArgs,
}

/// `sbom`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  cargo xtask sbom --output stage1.spdx.json
  cargo xtask sbom --sbom-format cyclonedx --flavor coreos")]
pub struct Sbom {
    /// spdx (2.3) or cyclonedx (1.6) [default: spdx].
    ///
    /// The format of the document, in JSON.
    #[arg(
        long,
        value_name = "FORMAT",
        value_parser = PossibleValuesParser::new(["spdx", "cyclonedx"]).map(|name| sbom_format(&name)),
        default_value = "spdx",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub sbom_format: Format,
    /// Write to FILE [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Flavor to include (repeatable) [default: all].
    #[arg(long = "flavor", value_name = "NAME")]
    pub flavors: Vec<String>,
    /// Where the image comes from.
    #[command(flatten)]
    pub image: ImageArgs,
}

fn sbom_format(name: &str) -> Format {
    if name == "cyclonedx" { Format::CycloneDx } else { Format::Spdx }
}

/// `verify-signature`.
#[derive(Debug, Clone, Args)]
pub struct VerifySignature {
    /// The signed file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Detached signature [default: FILE.sig].
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// Trust only this certificate [env: XTASK_SIGNING_KEY].
    #[arg(long, value_name = "FILE")]
    pub signing_key: Option<PathBuf>,
    /// Use the cache only, no network.
    #[arg(long)]
    pub offline: bool,
}

/// `why`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:
  cargo xtask why libz.so.1
  cargo xtask why lib64/libpam.so.0.84.1 --mermaid")]
pub struct Why {
    /// Path in the image, or soname.
    #[arg(value_name = "PATH|SONAME")]
    pub subject: String,
    /// Print a graph for Graphviz.
    #[arg(long, conflicts_with = "mermaid")]
    pub dot: bool,
    /// Print a graph for Mermaid.
    #[arg(long)]
    pub mermaid: bool,
    /// Where the image comes from.
    #[command(flatten)]
    pub image: ImageArgs,
}

/// `edit-manifest`.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "cargo xtask edit-manifest <FILE> [--add <PATH>...] [--remove <PATH>...]")]
#[command(group = ArgGroup::new("lines").args(["add", "remove"]).required(true).multiple(true))]
#[command(after_long_help = "Example:
  cargo xtask edit-manifest \\
    stage1/usr_from_kvm/manifest-amd64-usr.d/ip.manifest --add bin/ip")]
pub struct EditManifest {
    /// Manifest, relative to the tree or the current directory.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Lines to add.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub add: Vec<String>,
    /// Lines to remove.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub remove: Vec<String>,
}

/// `demo`.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// Keep tree and server running, and print commands to try.
    #[arg(long)]
    pub serve: bool,
    /// Print the environment variables of a running demo.
    ///
    /// In a second terminal: eval "$(cargo xtask demo --env)".
    #[arg(long, conflicts_with = "serve")]
    pub env: bool,
}
