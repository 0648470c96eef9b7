//! The result of a run: one [`Report`], several output formats.

pub mod added_dependents;
pub(crate) mod advisories;
pub(crate) mod commit_message;
pub(crate) mod github;
pub mod html;
pub(crate) mod image_diff;
pub mod invocation;
pub mod json;
pub(crate) mod markdown;
pub(crate) mod package_changes;
pub(crate) mod sarif;
pub mod sizes;
pub mod source_links;
pub(crate) mod styled_text;
pub(crate) mod text;
pub(crate) mod why;

mod edit_diff;
#[cfg(test)]
#[path = "tests/fixtures.rs"]
pub(crate) mod fixtures;
mod problem_groups;
mod summary;
mod tables;

pub use problem_groups::count_with_noun;

use std::collections::{BTreeMap, BTreeSet};

use invocation::Invocation;

use coreos_types::{Board, Channel, Error, ErrorKind, Flavor, Release, Signer, SystemdVersion, word_enum};
use manifest::finding::{Finding, Fix, FixKind, Severity};
use manifest::plan::edit_plan::EditPlan;
use packages::package_changes::PackageChange;

/// `--format`: the output format of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OutputFormat {
    /// Text for a terminal.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// Annotations of GitHub Actions.
    Github,
    /// One SARIF 2.1.0 document.
    Sarif,
}

/// The result of a command. Commands set what they know; the rest stays empty.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The command's name as typed.
    pub command: String,
    /// Whether nothing is written (`--dry-run`).
    pub dry_run: bool,
    /// `--check`: edits alone make exit code 1.
    pub check: bool,
    /// The pinned release before and after.
    pub release: Option<(Release, Release)>,
    /// The channel of the release.
    pub channel: Option<Channel>,
    /// The systemd version before and after.
    pub systemd: Option<(SystemdVersion, SystemdVersion)>,
    /// The images that were read, one per board.
    pub images: Vec<ImageOrigin>,
    /// The command line of the run, which its hints repeat.
    pub invocation: Invocation,
    /// The number of flavors in the tree.
    pub flavor_count: usize,
    /// The fixes.
    pub fixes: Vec<Fix>,
    /// The remaining findings.
    pub findings: Vec<Finding>,
    /// The findings that the tree accepts, each with its reason.
    pub accepted: Vec<(Finding, String)>,
    /// The files that change.
    pub plan: EditPlan,
    /// The bytes of every listed path, by manifest ([`sizes::compare`]).
    pub sizes: Vec<sizes::ManifestSizes>,
    /// Why the sizes before the change are unknown; `None` if they are known.
    pub no_sizes_before: Option<String>,
    /// Links to the files of the tree on the web.
    pub source_links: Option<source_links::SourceLinks>,
    /// The dependents of added paths ([`added_dependents::edges`]).
    pub added_dependents: Vec<added_dependents::DependencyEdge>,
    /// Package changes between the two releases; `None` if they are not known.
    pub package_changes: Option<Vec<PackageChange>>,
    /// Security fixes between the two releases; `None` if they were not requested.
    pub advisories: Option<advisories::AdvisoryReport>,
    /// The checks of smoketest.
    pub checks: Vec<Check>,
    /// Output before everything else (`fetch`: the path, `why`: the tree).
    pub output: Vec<String>,
    /// Styled output, after `output`.
    pub styled_output: styled_text::StyledText,
    /// Keys that one command alone adds to the JSON document.
    pub extra: BTreeMap<&'static str, serde_json::Value>,
    /// The error that ended the run.
    pub error: Option<Error>,
}

/// The source and the signer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageOrigin {
    /// Its board.
    pub board: Board,
    /// URL or path.
    pub source: String,
    /// Digest of the `.cpio.gz`: `sha256:HEX` or `sha512:HEX`.
    pub digest: String,
    /// The signer; `None` under `--unsigned`.
    pub signer: Option<Signer>,
    /// The variables of its os-release.
    pub os_release: BTreeMap<String, String>,
}

/// One check of `smoketest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// `build`, `link`, `rootfs` or `run`.
    pub name: &'static str,
    /// The subject, such as `bin/bash`.
    pub subject: String,
    /// The outcome.
    pub outcome: CheckOutcome,
    /// Details; after a failure with the manifest and the command.
    pub message: String,
    /// The manifest to look at after a failure, if there is one.
    pub file: Option<String>,
    /// The line of it that lists the subject, counted from 1.
    pub line: Option<usize>,
}

word_enum! {
    /// The outcome of a check. The words are those in JSON.
    #[allow(missing_docs)]
    CheckOutcome {
        Pass = "pass",
        Fail = "fail",
        Skip = "skip",
    }
}

impl Report {
    /// The exit code of the contract: 0 done, 1 findings left, 2 failed, 3 refused.
    pub fn exit_code(&self) -> u8 {
        match &self.error {
            Some(Error { kind: ErrorKind::Refused, .. }) => 3,
            Some(_) => 2,
            None if self.has_open_problems() => 1,
            None if self.check && !self.plan.is_empty() => 1,
            None => 0,
        }
    }

    /// The findings that remain, then those that are accepted, with the reason.
    fn all_findings(&self) -> impl Iterator<Item = (&Finding, Option<&String>)> {
        let open = self.findings.iter().map(|finding| (finding, None));
        open.chain(self.accepted.iter().map(|(finding, reason)| (finding, Some(reason))))
    }

    /// The command that fixes a finding of this run.
    pub fn hint(&self, finding: &Finding) -> String {
        self.invocation.hint(&finding.suggestion)
    }

    /// The word for the outcome in JSON.
    pub fn status(&self) -> &'static str {
        match self.exit_code() {
            0 => "clean",
            1 => "findings",
            2 => "failed",
            _ => "refused",
        }
    }

    /// Whether the signed file lists were used instead of the image.
    fn uses_file_lists(&self) -> bool {
        self.extra.contains_key("preview")
    }

    /// Whether findings remain that make exit code 1.
    fn has_problems(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity != Severity::Advice)
    }

    fn has_open_problems(&self) -> bool {
        self.has_problems() || self.count_checks(CheckOutcome::Fail) > 0
    }

    fn count_checks(&self, outcome: CheckOutcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }
}

/// An error with its causes and its hint, for formats without styles.
fn error_with_hint(error: &Error) -> String {
    match &error.hint {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    }
}

/// The first `max` names with commas, then `and N more`.
fn join_first_names(names: impl ExactSizeIterator<Item = impl ToString>, max: usize) -> String {
    let more = names.len().saturating_sub(max);
    let shown = names.take(max).map(|name| name.to_string()).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// The kinds of fixes in the order of texts, each as it is counted.
const FIX_VERBS: [(FixKind, &str); 5] = [
    (FixKind::Add, "added"),
    (FixKind::Rename, "renamed"),
    (FixKind::Move, "moved"),
    (FixKind::Drop, "removed"),
    (FixKind::Tidy, "tidied"),
];

/// A path without its directory, and a package without its category.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `FILE:LINE`, or the file alone.
fn file_and_line(file: &str, line: Option<usize>) -> String {
    line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"))
}

/// `coreos, kvm`.
fn join_flavors(flavors: &BTreeSet<Flavor>) -> String {
    flavors.iter().map(Flavor::as_str).collect::<Vec<_>>().join(", ")
}

/// A short form of a manifest's path: `stage1/usr_from_kvm/manifest-amd64-usr.d/ip.manifest` is `kvm/ip (amd64-usr)`.
fn short_manifest_name(file: &str) -> String {
    let parts = || {
        let rest = file.strip_prefix("stage1/usr_from_")?.strip_suffix(".manifest")?;
        let (flavor, rest) = rest.split_once('/')?;
        let (directory, name) = rest.split_once('/')?;
        let board = directory.strip_prefix("manifest-").and_then(|rest| rest.strip_suffix(".d"));
        Some(match board {
            Some(board) => format!("{flavor}/{name} ({board})"),
            None => format!("{flavor}/{name}"),
        })
    };
    parts().unwrap_or_else(|| file.to_owned())
}
