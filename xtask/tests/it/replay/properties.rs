//! What holds for every replayed case: findings that say they are fixable are fixed, and suggestions break nothing.

use std::collections::{BTreeMap, BTreeSet};

use coreos_types::release::Board;
use manifest::finding::{Finding, Severity};
use manifest::plan::bump::BumpPlan;
use manifest::plan::sources::COMMON_MK;
use manifest::suggestion::Suggestion;
use usr::tree::UsrTree;

use super::row::{Row, lines};

impl Row {
    /// A finding says that it is fixable exactly if the fixes remove it; a tree without problems is not changed by them; and
    /// what `--fix` is suggested for, it fixes.
    pub(super) fn prove_fixable(&self, trees: &BTreeMap<Board, UsrTree>, bumped: &BumpPlan) {
        let before = self.verify(self.sources(), trees);
        let remaining: BTreeSet<_> = bumped.findings.iter().map(key).collect();
        for finding in before.iter().filter(|finding| finding.file != COMMON_MK) {
            assert_eq!(finding.fixable, !remaining.contains(&key(finding)), "{finding:#?}");
            assert!(finding.fixable || finding.remedy != Suggestion::Mend, "{finding:#?}");
        }
        let manifests = before.iter().filter(|finding| finding.file != COMMON_MK);
        if manifests.filter(|finding| finding.severity != Severity::Advice).count() == 0 {
            assert_eq!(bumped.fixes, [], "a clean tree is changed");
        }
    }

    /// What suggestions remove, nothing else needs: no finding comes of it.
    pub(super) fn prove_removals(&self, trees: &BTreeMap<Board, UsrTree>, bumped: &BumpPlan) {
        let known: BTreeSet<_> = self.verify(&bumped.after, trees).iter().map(key).collect();
        for finding in &bumped.findings {
            let Suggestion::Edit(edits) = &finding.remedy else { continue };
            let mut sources = bumped.after.clone();
            for edit in edits.iter().filter(|edit| edit.add.is_empty()) {
                let bytes = &sources.manifests[&edit.file];
                let kept = lines(bytes)
                    .into_iter()
                    .filter(|line| !edit.remove.iter().any(|removed| removed == line));
                let text: String = kept.flat_map(|line| [line, "\n"]).collect();
                sources.manifests.insert(edit.file.clone(), text.into_bytes());
            }
            let new: Vec<Finding> = self.verify(&sources, trees);
            let new: Vec<&Finding> = new.iter().filter(|one| !known.contains(&key(one))).collect();
            let new: Vec<&&Finding> = new.iter().filter(|one| one.severity == Severity::Error).collect();
            assert!(new.is_empty(), "the suggestion {edits:#?} of {finding:#?} breaks {new:#?}");
        }
    }
}

/// What a finding is about.
fn key(finding: &Finding) -> (&'static str, Board, String, String) {
    (finding.kind.id(), finding.board, finding.file.clone(), finding.path.clone())
}
