//! The state of a check: one flavor of one board, the analyses that rules share, and the findings so far.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Deref;

use super::dependents::Dependents;
use crate::finding::{Finding, FindingKind, FindingSite};
use crate::image_index::ImageIndex;
use crate::selection::{Location, ManifestSet, Selection};
use crate::suggestion::Suggestion;
use crate::unit_and_script_execs::ExecReference;
use crate::unsatisfied_dependencies::UnsatisfiedDependencies;
use usr::UsrPath;

/// One flavor under check.
pub(super) struct Lint<'a, 's> {
    /// The paths that the flavor's manifests select from the image.
    pub(super) selection: &'s Selection<'a>,
    pub(super) index: &'s ImageIndex<'s>,
    /// The unresolved dependencies of the selected files.
    pub(super) dependencies: &'s UnsatisfiedDependencies,
    /// The paths of the image that satisfy them, with the symlinks to these.
    pub(super) dependency_paths: &'s HashSet<&'s UsrPath>,
    /// The programs that selected units and scripts start.
    pub(super) exec_references: &'s [ExecReference],
    /// The reverse dependencies in the selection, computed on first use.
    pub(super) dependents: &'s dyn Deref<Target = Dependents<'a, 's>>,
    /// The findings of this flavor and the flavors before it.
    pub(super) reported: &'s mut ReportedFindings,
}

/// Findings without repetitions: a line that two flavors share is reported once, and a line suggested for one manifest
/// of a flavor is for the whole flavor.
#[derive(Default)]
pub(super) struct ReportedFindings {
    pub(super) findings: Vec<Finding>,
    lines: BTreeSet<(String, FindingKind, Option<usize>, String)>,
    /// Unlisted paths, and the manifests that were suggested for them.
    manifests_by_path: BTreeMap<String, BTreeSet<String>>,
}

impl ReportedFindings {
    /// Records a finding; returns whether it is new.
    fn record_if_new(&mut self, finding: &Finding, flavor: &ManifestSet) -> bool {
        if finding.kind == FindingKind::NeedsUnlisted {
            let was_suggested = self.was_suggested(&finding.path, flavor, |_| true);
            for path in finding.candidates.iter().chain([&finding.path]) {
                self.record_suggestion(path, &finding.file);
            }
            return !was_suggested;
        }
        self.lines.insert((finding.file.clone(), finding.kind, finding.line, finding.path.clone()))
    }

    /// Whether a line for the path was suggested before for one of these manifests.
    fn was_suggested(&self, path: &str, flavor: &ManifestSet, is_one: impl Fn(&str) -> bool) -> bool {
        let mut manifests = self.manifests_by_path.get(path).into_iter().flatten();
        manifests.any(|file| flavor.files.contains(file) && is_one(file))
    }

    fn record_suggestion(&mut self, path: &str, file: &str) {
        self.manifests_by_path.entry(path.to_owned()).or_default().insert(file.to_owned());
    }
}

impl Lint<'_, '_> {
    /// A file of this flavor, or a line of it.
    pub(super) fn site<'f>(&'f self, file: &'f str, line: Option<usize>) -> FindingSite<'f> {
        let ManifestSet { board, flavor, .. } = self.selection.manifest_set;
        FindingSite { board: *board, flavor, file, line }
    }

    /// A finding about `path` at a line.
    pub(super) fn finding(
        &self,
        kind: FindingKind,
        location: Location<'_>,
        path: impl AsRef<str>,
        message: String,
        suggestion: Suggestion,
    ) -> Finding {
        let site = self.site(location.file, Some(location.line));
        Finding::new(kind, site, path.as_ref(), message, suggestion)
    }

    /// Reports a finding, unless it was reported before.
    pub(super) fn emit(&mut self, finding: Finding) {
        if self.reported.record_if_new(&finding, self.selection.manifest_set) {
            self.reported.findings.push(finding);
        }
    }

    /// Reports as advice about `path` that `by` may need `unlisted` paths, and suggests adding them to its manifest.
    pub(super) fn advise_adding(
        &mut self,
        location: Location<'_>,
        path: &UsrPath,
        by: &UsrPath,
        unlisted: &[&UsrPath],
        message: String,
    ) {
        let suggestion = Suggestion::add(location.file, unlisted);
        let finding = self.finding(FindingKind::Advice, location, path, message, suggestion);
        self.emit(finding.needed_by([by]).candidates(unlisted));
    }

    /// Claims a library for a suggestion to one manifest of the flavor. `false` if it was suggested for another one,
    /// or is a dependency, which is reported as such.
    pub(super) fn claim(&mut self, library: &UsrPath, location: Location<'_>) -> bool {
        if self.dependency_paths.contains(library) {
            return false;
        }
        let flavor = self.selection.manifest_set;
        let was_suggested =
            self.reported.was_suggested(library.as_str(), flavor, |file| file != location.file);
        if !was_suggested {
            self.reported.record_suggestion(library.as_str(), location.file);
        }
        !was_suggested
    }
}

/// The dependents as the subject of a sentence.
pub(super) fn subject_and_verb(dependents: &BTreeSet<UsrPath>) -> String {
    let mut names = dependents.iter();
    match (names.next(), dependents.len()) {
        (Some(only), 1) => format!("{only} needs"),
        (Some(first), count) => format!("{first} and {} more need", count - 1),
        (None, _) => "something needs".to_owned(),
    }
}

pub(super) fn join(paths: &[&UsrPath], separator: &str) -> String {
    paths.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(separator)
}
