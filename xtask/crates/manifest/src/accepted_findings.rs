//! Findings that a tree accepts with a reason: these are not fixed, and do not fail a check.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::finding::{Finding, FindingKind, FindingSite};
use crate::selection::ManifestSet;
use crate::suggestion::Suggestion;
use coreos_types::{Board, Flavor};
use usr::glob;

/// The file of a tree that lists its accepted findings.
pub const ACCEPTED_FINDINGS_TOML: &str = "stage1/accepted-findings.toml";

/// The steps of the comparisons of patterns in a run: 20 entries and 100 findings take 10,000.
const MAX_STEPS: usize = 100_000_000;

/// One entry of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedFinding {
    /// Kind of the findings.
    pub kind: FindingKind,
    /// Pattern of the finding's path; see [`glob::match_counting_steps`].
    pub path: String,
    /// Pattern of the manifest's path, or its file name, with or without `.manifest`; `None` for every manifest.
    pub manifest: Option<String>,
    /// The flavor; `None` for every flavor.
    pub flavor: Option<String>,
    /// The board; `None` for every board.
    pub board: Option<Board>,
    /// Why the findings are accepted.
    pub reason: String,
    /// The last day on which they are, `2027-06-30`.
    pub expires: Option<String>,
    /// First and last line of the entry, from 1.
    pub lines: (usize, usize),
}

/// The accepted findings of a tree.
#[derive(Debug, Clone, Default)]
pub struct AcceptedFindings {
    valid: Vec<AcceptedFinding>,
    expired: Vec<AcceptedFinding>,
    /// The steps that comparisons took, of all copies together.
    steps: Arc<AtomicUsize>,
}

impl PartialEq for AcceptedFindings {
    fn eq(&self, other: &AcceptedFindings) -> bool {
        self.valid == other.valid && self.expired == other.expired
    }
}

impl Eq for AcceptedFindings {}

impl AcceptedFinding {
    fn matches(&self, kind: FindingKind, site: FindingSite<'_>, path: &str, steps: &AtomicUsize) -> bool {
        let is_match = |pattern: &str, text: &str| {
            let (is_match, taken) = glob::match_counting_steps(pattern, text);
            steps.fetch_add(taken, Ordering::Relaxed);
            is_match
        };
        let is_manifest = |pattern: &String| {
            let name = site.file.rsplit('/').next().unwrap_or(site.file);
            let names = [site.file, name, name.strip_suffix(".manifest").unwrap_or(name)];
            names.iter().any(|name| is_match(pattern, name))
        };
        self.kind == kind
            && self.board.is_none_or(|board| board == site.board)
            && self.flavor.as_ref().is_none_or(|flavor| flavor == site.flavor.as_str())
            && self.manifest.as_ref().is_none_or(is_manifest)
            && is_match(&self.path, path)
    }
}

impl AcceptedFindings {
    /// The entries of the file; an entry with a last day before `today` (`2026-11-28`, UTC) is not valid.
    pub fn new(entries: Vec<AcceptedFinding>, today: &str) -> AcceptedFindings {
        let is_expired =
            |entry: &AcceptedFinding| entry.expires.as_ref().is_some_and(|last| last.as_str() < today);
        let (expired, valid) = entries.into_iter().partition(is_expired);
        AcceptedFindings { valid, expired, steps: Arc::default() }
    }

    /// Whether a finding is accepted, so that it is not fixed: for any flavor with the manifest, since the finding is
    /// reported for one of them. If too many were compared, each finding of a kind that is accepted somewhere is.
    pub(crate) fn prevents_fix(
        &self,
        kind: FindingKind,
        flavors: &[ManifestSet],
        file: &str,
        path: &str,
    ) -> bool {
        let mut flavors = flavors.iter().filter(|flavor| flavor.files.contains(file));
        flavors.any(|ManifestSet { board, flavor, .. }| {
            let site = FindingSite { board: *board, flavor, file, line: None };
            self.valid.iter().any(|entry| match self.exceeds_max_steps() {
                true => entry.kind == kind,
                false => entry.matches(kind, site, path, &self.steps),
            })
        })
    }

    fn exceeds_max_steps(&self) -> bool {
        self.steps.load(Ordering::Relaxed) > MAX_STEPS
    }

    /// Splits findings into those that remain and those that are accepted, each with its reason. What remains includes
    /// a warning for each entry that is expired, or that matches nothing and `can_match` a finding of this run; or one
    /// warning that too many were compared, and then nothing is accepted.
    pub fn split_and_warn(
        &self,
        findings: Vec<Finding>,
        can_match: impl Fn(&AcceptedFinding) -> bool,
    ) -> (Vec<Finding>, Vec<(Finding, String)>) {
        let (mut open, mut accepted, mut used) = (Vec::new(), Vec::new(), BTreeSet::new());
        for finding in &findings {
            let is_match = |(_, entry): &(usize, &AcceptedFinding)| {
                let site = finding.site();
                !self.exceeds_max_steps() && entry.matches(finding.kind, site, &finding.path, &self.steps)
            };
            let matching: Vec<_> = self.valid.iter().enumerate().filter(is_match).collect();
            match matching.first() {
                Some((_, entry)) => accepted.push((finding.clone(), entry.reason.clone())),
                None => open.push(finding.clone()),
            }
            used.extend(matching.into_iter().map(|(at, _)| at));
        }
        let is_unused = |(at, entry): &(usize, &AcceptedFinding)| !used.contains(at) && can_match(entry);
        let mut unused: Vec<_> = self.valid.iter().enumerate().filter(is_unused).collect();
        if self.exceeds_max_steps() {
            unused.clear();
            open = findings;
            accepted.clear();
        }
        open.extend(self.warnings(unused.into_iter().map(|(_, entry)| entry)));
        (open, accepted)
    }

    fn warnings<'e>(&'e self, unused: impl Iterator<Item = &'e AcceptedFinding>) -> Vec<Finding> {
        let exhausted = self.valid.first().filter(|_| self.exceeds_max_steps()).map(|first| {
            let why = "the comparison of all patterns with all findings takes too long: nothing is accepted";
            (first, why.to_owned())
        });
        let unused = unused.map(|entry| {
            let kind = entry.kind;
            (entry, format!("no finding of kind {kind} has this path: the entry is not needed"))
        });
        let expired = self.expired.iter().map(|entry| {
            let last = entry.expires.as_deref().unwrap_or_default();
            (entry, format!("the entry expired after {last}, and is ignored: decide again, or remove it"))
        });
        let obsolete: Vec<(&AcceptedFinding, String)> =
            exhausted.into_iter().chain(unused).chain(expired).collect();
        let mut lines: Vec<(usize, usize)> = obsolete.iter().map(|(entry, _)| entry.lines).collect();
        lines.sort_unstable();
        let finding = |(entry, message): (&AcceptedFinding, String)| {
            let flavor = &entry.flavor.as_deref().and_then(Flavor::new).unwrap_or_else(Flavor::coreos);
            let board = entry.board.unwrap_or(Board::Amd64);
            let site = FindingSite { board, flavor, file: ACCEPTED_FINDINGS_TOML, line: Some(entry.lines.0) };
            let suggestion = Suggestion::RemoveLineRanges {
                file: ACCEPTED_FINDINGS_TOML.to_owned(),
                lines: lines.clone(),
            };
            Finding::new(FindingKind::Tidy, site, &entry.path, message, suggestion)
        };
        obsolete.into_iter().map(finding).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selection::ManifestRef;

    fn entry(expires: Option<&str>) -> AcceptedFinding {
        AcceptedFinding {
            kind: FindingKind::Tidy,
            path: "bin/x".to_owned(),
            manifest: None,
            flavor: None,
            board: None,
            reason: "r".to_owned(),
            expires: expires.map(str::to_owned),
            lines: (1, 4),
        }
    }

    #[test]
    fn patterns_above_the_limit_accept_nothing() {
        let accepted = AcceptedFindings::new(vec![entry(None)], "2026-11-28");
        let flavor = Flavor::from_dir_name("usr_from_coreos").unwrap();
        let (board, file) = (Board::Amd64, "m".to_owned());
        let manifest = ManifestRef { board, flavor, directory_entry: file.clone(), file };
        let flavors = ManifestSet::group_by_flavor(board, &[manifest]);
        let accepts = |kind| accepted.prevents_fix(kind, &flavors, "m", "bin/y");
        assert!(!accepts(FindingKind::Tidy));
        accepted.steps.store(MAX_STEPS + 1, Ordering::Relaxed);
        // What may be accepted is not fixed.
        assert!(accepts(FindingKind::Tidy) && !accepts(FindingKind::Missing));
        let (open, accepted) = accepted.split_and_warn(Vec::new(), |_| true);
        assert_eq!((open.len(), accepted.len()), (1, 0));
        assert!(open[0].message.ends_with("takes too long: nothing is accepted"), "{}", open[0].message);
    }

    #[test]
    fn entry_is_valid_through_its_last_day() {
        for (expires, expected) in [
            (None, false),
            (Some("2026-11-27"), true),
            (Some("2026-11-28"), false),
            (Some("2027-01-01"), false),
        ] {
            let accepted = AcceptedFindings::new(vec![entry(expires)], "2026-11-28");
            assert_eq!(accepted.expired.len(), usize::from(expected), "{expires:?}");
        }
    }
}
