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

/// How bad a finding is. `Error` and `Warning` make exit code 1.
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
    /// The manifest it concerns, relative to the tree: the file to edit.
    pub file: String,
    /// The line, counted from 1 in the file as it stands on disk when the command ends; `None` for a file, or for a line that is missing.
    pub line: Option<usize>,
    /// The kind.
    pub kind: FindingKind,
    /// The severity.
    pub severity: Severity,
    /// The board it was found on.
    pub board: Board,
    /// The flavor it was found in.
    pub flavor: Flavor,
    /// The line verbatim, or the path or name without a line.
    pub path: String,
    /// Listed paths that need it.
    pub needed_by: Vec<String>,
    /// Paths of the image that can replace it.
    pub candidates: Vec<String>,
    /// The problem and its cause in words.
    pub message: String,
    /// What to do about it.
    pub remedy: Suggestion,
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
    /// A line is new.
    Add,
    /// A line is removed.
    Drop,
    /// A malformed line is rewritten, or removed because it says nothing.
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
    /// What is done.
    pub kind: FixKind,
    /// The old line, verbatim.
    pub from: Option<String>,
    /// The new line, verbatim.
    pub to: Option<String>,
    /// Why, so that a reader can check it in the image.
    pub because: String,
}
