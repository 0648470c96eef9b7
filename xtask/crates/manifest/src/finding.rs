//! Findings and fixes, each with its reason.

use std::fmt;

use super::suggestion::Suggestion;
use coreos_types::release::{Board, Flavor};

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A listed path is not in the image.
    Missing,
    /// A listed symlink points to something that is not listed, or not in the image.
    Dangling,
    /// A listed file needs a file that the image has and no manifest of the flavor lists.
    NeedsUnlisted,
    /// A listed file needs a file that is nowhere in the image.
    NeedsNowhere,
    /// The library that the loader takes does not define a needed symbol version.
    VersionUnsatisfied,
    /// A listed ELF file is for another machine than the board.
    WrongMachine,
    /// A malformed line, or a unit and its program listed without each other.
    Tidy,
    /// Worth knowing; never makes the command fail.
    Advice,
}

impl FindingKind {
    /// Every kind.
    pub const ALL: [FindingKind; 8] = [
        FindingKind::Missing,
        FindingKind::Dangling,
        FindingKind::NeedsUnlisted,
        FindingKind::NeedsNowhere,
        FindingKind::VersionUnsatisfied,
        FindingKind::WrongMachine,
        FindingKind::Tidy,
        FindingKind::Advice,
    ];

    /// The word in JSON.
    pub fn id(self) -> &'static str {
        match self {
            FindingKind::Missing => "missing",
            FindingKind::Dangling => "dangling",
            FindingKind::NeedsUnlisted => "needs-unlisted",
            FindingKind::NeedsNowhere => "needs-nowhere",
            FindingKind::VersionUnsatisfied => "version-unsatisfied",
            FindingKind::WrongMachine => "wrong-machine",
            FindingKind::Tidy => "tidy",
            FindingKind::Advice => "advice",
        }
    }

    /// The severity that goes with the kind.
    pub fn severity(self) -> Severity {
        match self {
            FindingKind::Tidy => Severity::Warning,
            FindingKind::Advice => Severity::Advice,
            _ => Severity::Error,
        }
    }
}

/// The severity of a finding. `Error` and `Warning` make exit code 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Severity {
    Error,
    Warning,
    Advice,
}

impl Severity {
    /// The word in JSON and text.
    pub fn id(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Advice => "advice",
        }
    }
}

/// A problem in the tree, for a fix or a manual decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The manifest to edit, relative to the tree.
    pub file: String,
    /// Line number from 1, in the file on disk at the end of the command; `None` for a whole file or a missing line.
    pub line: Option<usize>,
    /// The kind.
    pub kind: FindingKind,
    /// The severity.
    pub severity: Severity,
    /// The board.
    pub board: Board,
    /// The flavor.
    pub flavor: Flavor,
    /// The line verbatim; without a line, the path or name.
    pub path: String,
    /// Listed dependents.
    pub needed_by: Vec<String>,
    /// Paths of the image that can replace it.
    pub candidates: Vec<String>,
    /// The problem and its cause in words.
    pub message: String,
    /// The remedy.
    pub suggestion: Suggestion,
    /// Whether `--fix` removes the finding; `false` in a plan, where fixes were made already.
    pub fixable: bool,
}

/// The kinds of fixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FixKind {
    /// A line gets the new name of its file.
    Rename,
    /// A line gets the new directory of its file.
    Move,
    /// A line is added.
    Add,
    /// A line is removed.
    Drop,
    /// A malformed line is rewritten; a comment, blank or repeated line is removed.
    Tidy,
}

impl FixKind {
    /// The word in JSON.
    pub fn id(self) -> &'static str {
        match self {
            FixKind::Rename => "rename",
            FixKind::Move => "move",
            FixKind::Add => "add",
            FixKind::Drop => "drop",
            FixKind::Tidy => "tidy",
        }
    }
}

impl fmt::Display for FixKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// One change of one manifest. `Add` has `to` only and `Drop` has `from` only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fix {
    /// The manifest, relative to the tree, at its real path.
    pub file: String,
    /// The kind of change.
    pub kind: FixKind,
    /// The old line, verbatim.
    pub from: Option<String>,
    /// The new line, verbatim.
    pub to: Option<String>,
    /// The reason, which a reader can check in the image.
    pub reason: String,
}
