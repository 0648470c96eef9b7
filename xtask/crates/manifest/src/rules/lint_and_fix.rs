//! Checks the manifests by every rule, or fixes them until no rule changes anything.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

pub use super::fix_state::FixOptions;

use super::dependents::Dependents;
use super::fix_state::{Fixer, MAX_PASSES};
use super::lint_state::{Lint, ReportedFindings};
use super::{RULES, missing};
use crate::editor::ManifestEditor;
use crate::finding::{Finding, Fix};
use crate::image_index::ImageIndex;
use crate::selection::{ManifestSet, Selection};
use crate::stage1_sources::Stage1Sources;
use crate::unit_and_script_execs::find_exec_references;
use coreos_types::Board;

/// The indexes of the images, by board.
pub type Indexes<'a> = BTreeMap<Board, ImageIndex<'a>>;

/// Checks every flavor of the boards with an image. The findings of a board are in the order of file and line.
pub fn lint(sources: &Stage1Sources, indexes: &Indexes<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (&board, index) in indexes {
        let mut reported = ReportedFindings::default();
        sources.for_each_selection(board, index.tree, |selection| {
            lint_flavor(&selection, index, &mut reported);
        });
        reported.findings.sort();
        findings.append(&mut reported.findings);
    }
    findings
}

fn lint_flavor(selection: &Selection<'_>, index: &ImageIndex<'_>, reported: &mut ReportedFindings) {
    let exec_references = find_exec_references(index.tree, &selection.paths);
    let dependencies = index.dependencies(selection);
    let mut lint = Lint {
        selection,
        index,
        dependencies: &dependencies,
        dependency_paths: &dependencies.unresolved.iter().flat_map(|unresolved| &unresolved.chain).collect(),
        exec_references: &exec_references,
        dependents: &LazyCell::new(|| Dependents::new(selection, &exec_references)),
        reported,
    };
    for (check, _) in RULES {
        check(&mut lint);
    }
}

/// Fixes the manifests of the boards with an image, except what is accepted and files outside the tree. Returns the
/// changes. Problems without a certain fix remain and are reported by [`lint`].
pub fn fix(sources: &mut Stage1Sources, indexes: &Indexes<'_>, options: FixOptions) -> Vec<Fix> {
    let mut editors = ManifestEditor::open_all(&sources.manifests);
    for (&board, index) in indexes {
        let flavors = &ManifestSet::group_by_flavor(board, &sources.manifest_refs);
        let files = flavors.iter().flat_map(|flavor| &flavor.files);
        let files = files.filter(|file| !sources.outside.contains_key(*file)).cloned().collect();
        let (accepted, requested_stems) = (&sources.accepted, BTreeSet::new());
        let editors = &mut editors;
        fix_board(Fixer { flavors, files, editors, index, options, accepted, requested_stems });
    }
    let mut fixes: Vec<Fix> = Vec::new();
    for (file, editor) in editors.into_iter().filter(|(_, editor)| editor.fixes().next().is_some()) {
        fixes.extend(editor.fixes().cloned());
        sources.manifests.insert(file, editor.edited_file().to_bytes());
    }
    fixes
}

fn fix_board(mut fixer: Fixer<'_>) {
    // An addition can make an old line redundant, and a renamed line can have new dependencies.
    for _ in 0..MAX_PASSES {
        let before = fixer.revision();
        for fix in RULES.into_iter().filter_map(|(_, fix)| fix) {
            fix(&mut fixer);
        }
        if fixer.revision() == before {
            break;
        }
    }
    if fixer.options.drop_missing {
        missing::drop_missing(&mut fixer);
    }
}
