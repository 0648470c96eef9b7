//! A finding is what is wrong; a fix is how it is mended. Both carry their reason.

use std::fmt;

use super::suggestion::Suggestion;
use coreos_types::release::{Board, Flavor};

/// What is wrong with a line of a manifest, or with its absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A listed path is not in the image.
    NotFound,
    /// A listed symlink leads to something that is not listed, or not in the image.
    Dangling,
    /// A listed file needs a file that the image has and no manifest of the flavor lists.
    NeedsUnlisted,
    /// A listed file needs a file that is nowhere in the image.
    NeedsNowhere,
    /// A needed symbol version is not defined by the library that the loader would take.
    VersionUnsatisfied,
    /// A listed ELF file is for another machine than the board.
    WrongMachine,
    /// A line that is right in substance and wrong in form, or a unit and program listed without each other.
    Tidy,
    /// Worth knowing; never makes the command fail.
    Advice,
}

impl FindingKind {
    /// The word in JSON.
    pub fn id(self) -> &'static str {
        match self {
            FindingKind::NotFound => "missing",
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

/// Something in the tree that a person, or a fix, has to settle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The manifest it concerns, relative to the tree: the file to edit.
    pub file: String,
    /// The line, counted from 1 in the file as it stands on disk when the command ends; `None` where a line is lacking.
    pub line: Option<usize>,
    /// What is wrong.
    pub kind: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// The board it was found on.
    pub board: Board,
    /// The flavor it was found in.
    pub flavor: Flavor,
    /// The line verbatim, or the path or name that lacks one.
    pub path: String,
    /// Listed paths that need it.
    pub needed_by: Vec<String>,
    /// Paths of the image that could take its place.
    pub candidates: Vec<String>,
    /// What is wrong, in words, and why.
    pub message: String,
    /// What mends it.
    pub remedy: Suggestion,
    /// Whether `--fix` removes the finding; `false` in a plan, where fixes were made already.
    pub fixable: bool,
}

/// What a fix does to the lines of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FixKind {
    /// A line gets the name that the file has now.
    Rename,
    /// A line gets the directory that the file is in now.
    Move,
    /// A line is new.
    Add,
    /// A line goes.
    Drop,
    /// A line is put in form, or goes because it says nothing.
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
