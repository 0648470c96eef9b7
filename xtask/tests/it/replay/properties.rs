//! Invariants of each replayed case: fixable findings are fixed, and suggestions cause no new error.

use std::collections::{BTreeMap, BTreeSet};

use coreos_types::release::Board;
use manifest::finding::{Finding, Severity};
use manifest::plan::bump::BumpPlan;
use manifest::plan::stage1_sources::COMMON_MK;
use manifest::suggestion::Suggestion;
use usr::tree::UsrTree;

use super::row::{Row, lines};

impl Row {
    /// Asserts that a finding is fixable if and only if the fixes remove it, that a tree without problems is not
    /// changed, and that `--fix` is suggested only for fixable findings.
    pub(super) fn assert_fixable(&self, trees: &BTreeMap<Board, UsrTree>, plan: &BumpPlan) {
        let before = self.verify(self.sources(), trees);
        let remaining: BTreeSet<_> = plan.findings.iter().map(key).collect();
        for finding in before.iter().filter(|finding| finding.file != COMMON_MK) {
            assert_eq!(finding.fixable, !remaining.contains(&key(finding)), "{finding:#?}");
            assert!(finding.fixable || finding.suggestion != Suggestion::RunFix, "{finding:#?}");
        }
        let manifests = before.iter().filter(|finding| finding.file != COMMON_MK);
        if manifests.filter(|finding| finding.severity != Severity::Advice).count() == 0 {
            assert_eq!(plan.fixes, [], "a clean tree is changed");
        }
    }

    /// Asserts that lines removed by suggestions have no other dependents: no new error follows.
    pub(super) fn assert_removals(&self, trees: &BTreeMap<Board, UsrTree>, plan: &BumpPlan) {
        let known: BTreeSet<_> = self.verify(&plan.after, trees).iter().map(key).collect();
        for finding in &plan.findings {
            let Suggestion::EditManifest(edits) = &finding.suggestion else { continue };
            let mut sources = plan.after.clone();
            for edit in edits.iter().filter(|edit| edit.add.is_empty()) {
                let bytes = &sources.manifests[&edit.file];
                let remaining_lines = lines(bytes)
                    .into_iter()
                    .filter(|line| !edit.remove.iter().any(|removed| removed == line));
                let text: String = remaining_lines.flat_map(|line| [line, "\n"]).collect();
                sources.manifests.insert(edit.file.clone(), text.into_bytes());
            }
            let new: Vec<Finding> = self.verify(&sources, trees);
            let new: Vec<&Finding> = new.iter().filter(|one| !known.contains(&key(one))).collect();
            let new: Vec<&&Finding> = new.iter().filter(|one| one.severity == Severity::Error).collect();
            assert!(new.is_empty(), "the suggestion {edits:#?} of {finding:#?} breaks {new:#?}");
        }
    }
}

/// Identity of a finding: kind, board, file and path.
fn key(finding: &Finding) -> (&'static str, Board, String, String) {
    (finding.kind.id(), finding.board, finding.file.clone(), finding.path.clone())
}
