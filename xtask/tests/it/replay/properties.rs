//! Invariants of each replayed case: fixable findings are fixed, and each suggestion does what it says and causes no new
//! error.

use std::collections::{BTreeMap, BTreeSet};

use coreos_types::Board;
use manifest::finding::{Finding, Severity};
use manifest::plan::bump::BumpPlan;
use manifest::plan::edit_manifest::plan_edit;
use manifest::stage1_sources::COMMON_MK;
use manifest::suggestion::Suggestion;
use usr::{DlopenPriority, DynamicLoader, FileInfo, NodeKind, UsrPath, UsrTree};

use super::row::{Row, lines};

impl Row {
    /// Asserts that a finding is fixable if and only if the fixes remove it, that a tree without problems is not
    /// changed, and that `--fix` is suggested only for fixable findings.
    pub(super) fn assert_fixable(&self, trees: &BTreeMap<Board, UsrTree>, plan: &BumpPlan) {
        let before = self.check_stage1_sources(self.sources(), trees);
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
        let known: BTreeSet<_> = self.check_stage1_sources(&plan.after, trees).iter().map(key).collect();
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
            let new: Vec<Finding> = self.check_stage1_sources(&sources, trees);
            let new: Vec<&Finding> = new.iter().filter(|one| !known.contains(&key(one))).collect();
            let new: Vec<&&Finding> = new.iter().filter(|one| one.severity == Severity::Error).collect();
            assert!(new.is_empty(), "the suggestion {edits:#?} of {finding:#?} breaks {new:#?}");
        }
    }
}

impl Row {
    /// Applies the suggestion of each finding as the hint's command would, and asserts that the finding is gone, that no
    /// added line is a directory, and that no removed file works.
    pub(super) fn assert_suggestions(&self, trees: &BTreeMap<Board, UsrTree>, plan: &BumpPlan) {
        let before = self.check_stage1_sources(self.sources(), trees);
        let found = before.iter().map(|one| (self.sources(), one));
        let left = plan.findings.iter().map(|one| (&plan.after, one));
        for (sources, finding) in found.chain(left).filter(|(_, finding)| finding.file != COMMON_MK) {
            let Suggestion::EditManifest(edits) = &finding.suggestion else { continue };
            let tree = &trees[&finding.board];
            let mut edited = sources.clone();
            for one in edits {
                edited = plan_edit(&edited, one).unwrap_or_else(|error| panic!("{finding:#?}: {error}")).0;
                for line in &one.add {
                    let node = tree.get(line).unwrap();
                    assert!(node.kind != NodeKind::Directory, "{finding:#?} adds a directory");
                }
                // A file that another line replaces, or whose directory is listed, is not lost.
                let has_no_addition = edits.iter().all(|one| one.add.is_empty());
                for line in one.remove.iter().filter(|_| has_no_addition) {
                    assert!(!works(tree, finding.board, line), "{finding:#?} removes {line}, which works");
                }
            }
            assert_ne!(edited, *sources, "{finding:#?} changes nothing");
            let again = self.check_stage1_sources(&edited, trees);
            assert!(!again.iter().any(|one| key(one) == key(finding)), "{finding:#?} stays after {edits:#?}");
        }
    }
}

/// Whether the whole image has all that a program or library needs to start.
fn works(tree: &UsrTree, board: Board, line: &str) -> bool {
    let Ok(path) = UsrPath::new(line) else { return false };
    let loader = DynamicLoader::new(tree, board, DynamicLoader::rkt_library_path(tree), None);
    let Some(file) = tree.resolve(&path).end.node().cloned() else { return false };
    let Some(FileInfo::Elf(elf)) = tree.read_file_info(file.as_str()) else { return false };
    let mut required = elf.dlopen_notes.iter().filter(|note| note.priority == DlopenPriority::Required);
    elf.machine == board.elf_machine()
        && loader.load(&file).is_sound()
        && required.all(|note| note.sonames.iter().any(|name| loader.resolve_dlopen(&file, name).is_some()))
}

/// Identity of a finding: kind, board, file and path.
fn key(finding: &Finding) -> (&'static str, Board, String, String) {
    (finding.kind.id(), finding.board, finding.file.clone(), finding.path.clone())
}
