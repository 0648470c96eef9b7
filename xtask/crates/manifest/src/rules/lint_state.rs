//! The state of a check: one flavor of one board, the analyses that rules share, and the findings so far.

use std::collections::{BTreeMap, BTreeSet};

use super::dependents::Dependents;
use crate::file::ManifestFile;
use crate::finding::{Finding, FindingKind, Severity};
use crate::image_index::ImageIndex;
use crate::selection::{Location, ManifestSet, ManifestsByPath, Selection};
use crate::suggestion::Suggestion;
use crate::unit_and_script_execs::ExecReference;
use crate::unsatisfied_dependencies::{MinDlopenPriority, UnsatisfiedDependencies};
use usr::path::UsrPath;

/// One flavor under check.
pub(super) struct Lint<'a, 's> {
    /// The paths that the flavor's manifests select from the image.
    pub(super) selection: &'s Selection<'a>,
    /// The manifests of every flavor.
    pub(super) manifests: &'s ManifestsByPath<'a>,
    pub(super) index: &'s ImageIndex<'a>,
    /// The unresolved dependencies of the selected files.
    pub(super) dependencies: &'s UnsatisfiedDependencies,
    /// The programs that selected units and scripts start.
    pub(super) exec_references: &'s [ExecReference],
    /// The minimum priority of `.note.dlopen` entries that are dependencies.
    pub(super) dlopen: MinDlopenPriority,
    /// The reverse dependencies in the selection.
    pub(super) dependents: Dependents<'a, 's>,
    /// The findings of this flavor and the flavors before it, for deduplication.
    pub(super) reported: &'s mut Reported,
    /// The findings so far.
    pub(super) findings: &'s mut Vec<Finding>,
}

/// A problem that a rule reports about a line or path.
pub(super) struct Problem {
    kind: FindingKind,
    severity: Severity,
    message: String,
    suggestion: Suggestion,
    needed_by: Vec<String>,
    candidates: Vec<String>,
}

impl Problem {
    /// A problem with the severity of its kind.
    pub(super) fn new(kind: FindingKind, message: String, suggestion: Suggestion) -> Problem {
        let severity = kind.severity();
        Problem { kind, severity, message, suggestion, needed_by: Vec::new(), candidates: Vec::new() }
    }

    /// Sets the listed dependents.
    pub(super) fn needed_by<'p>(mut self, paths: impl IntoIterator<Item = &'p UsrPath>) -> Problem {
        self.needed_by = paths.into_iter().map(ToString::to_string).collect();
        self
    }

    /// Sets the paths of the image that could be listed.
    pub(super) fn candidates<'p>(mut self, paths: impl IntoIterator<Item = &'p UsrPath>) -> Problem {
        self.candidates = paths.into_iter().map(ToString::to_string).collect();
        self
    }

    /// Sets another severity than that of the kind.
    pub(super) fn severity(mut self, severity: Severity) -> Problem {
        self.severity = severity;
        self
    }
}

/// Reported findings, for deduplication: a line that two flavors share is reported once, and a line suggested for one
/// manifest of a flavor is for the whole flavor.
#[derive(Default)]
pub(super) struct Reported {
    lines: BTreeSet<(String, FindingKind, Option<usize>, String)>,
    /// Unlisted paths, and the manifests that were suggested for them.
    manifests_by_path: BTreeMap<String, BTreeSet<String>>,
}

impl Reported {
    /// Records a finding; returns whether it is new.
    fn insert(&mut self, finding: &Finding, flavor: &ManifestSet) -> bool {
        if finding.kind == FindingKind::NeedsUnlisted {
            let is_covered = self.covers(&finding.path, flavor, |_| true);
            for path in finding.candidates.iter().chain([&finding.path]) {
                self.record(path, &finding.file);
            }
            return !is_covered;
        }
        self.lines.insert((finding.file.clone(), finding.kind, finding.line, finding.path.clone()))
    }

    /// Whether a line for the path was suggested before for one of these manifests.
    fn covers(&self, path: &str, flavor: &ManifestSet, is_one: impl Fn(&str) -> bool) -> bool {
        let mut manifests = self.manifests_by_path.get(path).into_iter().flatten();
        manifests.any(|file| flavor.files.contains(file) && is_one(file))
    }

    fn record(&mut self, path: &str, file: &str) {
        self.manifests_by_path.entry(path.to_owned()).or_default().insert(file.to_owned());
    }
}

impl<'a> Lint<'a, '_> {
    /// Reports a problem of the line at a location, about `path`.
    pub(super) fn emit(&mut self, location: Location<'_>, path: &str, problem: Problem) {
        self.emit_at(location.file, Some(location.line), path, problem);
    }

    /// Reports a problem of a file, or of a line of it.
    pub(super) fn emit_at(&mut self, file: &str, line: Option<usize>, path: &str, problem: Problem) {
        let finding = Finding {
            file: file.to_owned(),
            line,
            kind: problem.kind,
            severity: problem.severity,
            board: self.selection.manifests.board,
            flavor: self.selection.manifests.flavor.clone(),
            path: path.to_owned(),
            needed_by: problem.needed_by,
            candidates: problem.candidates,
            message: problem.message,
            suggestion: problem.suggestion,
            fixable: false,
        };
        if self.reported.insert(&finding, self.selection.manifests) {
            self.findings.push(finding);
        }
    }

    /// The flavor's manifests by their real paths.
    pub(super) fn files(&self) -> Vec<(&'a str, &'a ManifestFile)> {
        let files = self.selection.manifests.files.iter();
        files
            .filter_map(|file| self.manifests.get_key_value(file.as_str()))
            .map(|(file, text)| (*file, *text))
            .collect()
    }

    /// The line that lists a path or a directory above the path.
    pub(super) fn location(&self, path: &UsrPath) -> Option<Location<'a>> {
        self.selection.location(path)
    }

    /// Whether the build extracts a path.
    pub(super) fn is_selected(&self, path: &UsrPath) -> bool {
        self.selection.paths.contains(path)
    }

    /// Suggests removing the lines of some paths and of their dependents.
    pub(super) fn removal<'p>(&self, paths: impl IntoIterator<Item = &'p UsrPath>) -> Suggestion {
        self.dependents.removal_closure(paths, None)
    }

    /// As [`Lint::removal`], and the lines of all dependents of the library `missing`.
    pub(super) fn removal_without<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p UsrPath>,
        missing: &str,
    ) -> Suggestion {
        self.dependents.removal_closure(paths, Some(missing))
    }

    /// The paths below a directory that selected files elsewhere need, with the symlinks to them.
    pub(super) fn needed_outside(&self, directory: &UsrPath) -> BTreeSet<UsrPath> {
        self.dependents.needed_outside(directory)
    }

    /// The manifest for a path that a file of another kind needs: the one that lists most files of the path's directory,
    /// else the manifest of that file. The line is the nearest entry.
    pub(super) fn preferred_location(&self, path: &UsrPath, needed_by: Location<'a>) -> Location<'a> {
        self.selection.nearest_entry(path, needed_by.file).unwrap_or(needed_by)
    }

    /// Claims a library for a suggestion to one manifest of the flavor. `false` if it was suggested for another one,
    /// or is a dependency, which is reported as such.
    pub(super) fn claim(&mut self, library: &UsrPath, location: Location<'_>) -> bool {
        if self.dependencies.unresolved.iter().any(|unresolved| unresolved.chain.contains(library)) {
            return false;
        }
        let flavor = self.selection.manifests;
        let is_covered = self.reported.covers(library.as_str(), flavor, |file| file != location.file);
        if !is_covered {
            self.reported.record(library.as_str(), location.file);
        }
        !is_covered
    }
}

/// The lines that name a node of the image.
pub(super) fn entries_in_image<'t>(
    lines: impl Iterator<Item = &'t str>,
    index: &ImageIndex<'_>,
) -> BTreeSet<UsrPath> {
    lines
        .filter_map(|line| UsrPath::new(line).ok())
        .filter(|path| index.tree.get(path.as_str()).is_some())
        .collect()
}

/// The dependents as the subject of a sentence.
pub(super) fn subject(dependents: &BTreeSet<UsrPath>) -> String {
    let mut names = dependents.iter();
    match (names.next(), dependents.len()) {
        (Some(only), 1) => format!("{only} needs"),
        (Some(first), count) => format!("{first} and {} more need", count - 1),
        (None, _) => "something needs".to_owned(),
    }
}

/// Joins paths: `a and b`.
pub(super) fn joined_by_and(paths: &[&UsrPath]) -> String {
    paths.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(" and ")
}
