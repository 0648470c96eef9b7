//! Findings and fixes, each with its reason.

use super::suggestion::Suggestion;
use coreos_types::{Board, Flavor, word_enum};

word_enum! {
    /// The kinds of findings. The words are those in JSON.
    FindingKind {
        /// A listed path is not in the image.
        Missing = "missing",
        /// A listed symlink points to something that is not listed, or not in the image.
        Dangling = "dangling",
        /// A listed file needs a file that the image has and no manifest of the flavor lists.
        NeedsUnlisted = "needs-unlisted",
        /// A listed file needs a file that is nowhere in the image.
        NeedsNowhere = "needs-nowhere",
        /// The library that the loader takes does not define a needed symbol version.
        VersionUnsatisfied = "version-unsatisfied",
        /// A listed ELF file is for another machine than the board.
        WrongMachine = "wrong-machine",
        /// A malformed line, or a unit and its program listed without each other.
        Tidy = "tidy",
        /// Worth knowing; never makes the command fail.
        Advice = "advice",
    }
}

impl FindingKind {
    /// The severity that goes with the kind.
    pub fn severity(self) -> Severity {
        match self {
            FindingKind::Tidy => Severity::Warning,
            FindingKind::Advice => Severity::Advice,
            _ => Severity::Error,
        }
    }
}

word_enum! {
    /// The severity of a finding, in JSON and text. `Error` and `Warning` make exit code 1.
    #[allow(missing_docs)]
    Severity {
        Error = "error",
        Warning = "warning",
        Advice = "advice",
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

/// The place of a finding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FindingSite<'a> {
    pub(crate) board: Board,
    pub(crate) flavor: &'a Flavor,
    /// The file, relative to the tree.
    pub(crate) file: &'a str,
    /// Line number from 1; `None` for the whole file or a missing line.
    pub(crate) line: Option<usize>,
}

impl Finding {
    /// A finding about `path`, with the severity of its kind.
    pub(crate) fn new(
        kind: FindingKind,
        site: FindingSite<'_>,
        path: &str,
        message: String,
        suggestion: Suggestion,
    ) -> Finding {
        Finding {
            file: site.file.to_owned(),
            line: site.line,
            kind,
            severity: kind.severity(),
            board: site.board,
            flavor: site.flavor.clone(),
            path: path.to_owned(),
            needed_by: Vec::new(),
            candidates: Vec::new(),
            message,
            suggestion,
            fixable: false,
        }
    }

    /// Sets the listed dependents.
    pub(crate) fn needed_by<T: ToString>(mut self, paths: impl IntoIterator<Item = T>) -> Finding {
        self.needed_by = paths.into_iter().map(|path| path.to_string()).collect();
        self
    }

    /// Sets the paths of the image that could be listed.
    pub(crate) fn candidates<T: ToString>(mut self, paths: impl IntoIterator<Item = T>) -> Finding {
        self.candidates = paths.into_iter().map(|path| path.to_string()).collect();
        self
    }

    /// Sets another severity than that of the kind.
    pub(crate) fn severity(mut self, severity: Severity) -> Finding {
        self.severity = severity;
        self
    }

    pub(crate) fn site(&self) -> FindingSite<'_> {
        FindingSite { board: self.board, flavor: &self.flavor, file: &self.file, line: self.line }
    }
}

word_enum! {
    /// The kinds of fixes. The words are those in JSON.
    FixKind {
        /// A line gets the new name of its file.
        Rename = "rename",
        /// A line gets the new directory of its file.
        Move = "move",
        /// A line is added.
        Add = "add",
        /// A line is removed.
        Drop = "drop",
        /// A malformed line is rewritten; a comment, blank or repeated line is removed.
        Tidy = "tidy",
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
