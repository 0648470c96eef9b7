//! Checks the manifests of a board by every rule, or fixes them until no rule changes anything.

use std::cell::LazyCell;
use std::collections::BTreeSet;

pub use super::fix_state::{FixOptions, ManifestEditors};

use super::dependents::Dependents;
use super::fix_state::{Fixer, MAX_PASSES};
use super::lint_state::{Lint, ReportedFindings};
use super::{RULES, missing};
use crate::accepted_findings::AcceptedFindings;
use crate::finding::Finding;
use crate::image_index::ImageIndex;
use crate::selection::{ManifestSet, Manifests, Selection};
use crate::unit_and_script_execs::find_exec_references;

/// Checks every flavor of a board against its image. The findings are in the order of file and line.
pub fn lint(flavors: &[ManifestSet], manifests: &Manifests, index: &ImageIndex<'_>) -> Vec<Finding> {
    let mut reported = ReportedFindings::default();
    for flavor in flavors {
        let selection = Selection::read(flavor, |file| manifests.get(file), index.tree);
        let dependencies = index.dependencies(&selection);
        let exec_references = find_exec_references(index.tree, &selection.paths);
        let mut lint = Lint {
            selection: &selection,
            index,
            dependencies: &dependencies,
            exec_references: &exec_references,
            dependents: &LazyCell::new(|| Dependents::new(&selection, &exec_references)),
            reported: &mut reported,
        };
        for (check, _) in RULES {
            check(&mut lint);
        }
    }
    reported.findings.sort();
    reported.findings
}

/// Fixes the manifests of a board's flavors, except what is accepted; `is_editable` returns whether a manifest may change.
/// Problems without a certain fix remain and are reported by [`lint`].
pub fn fix(
    flavors: &[ManifestSet],
    editors: &mut ManifestEditors,
    index: &ImageIndex<'_>,
    options: FixOptions,
    accepted: &AcceptedFindings,
    is_editable: impl Fn(&str) -> bool,
) {
    let files = flavors.iter().flat_map(|flavor| &flavor.files);
    let files = files.filter(|file| is_editable(file)).cloned().collect();
    let requested_stems = BTreeSet::new();
    let mut fixer = Fixer { flavors, files, editors, index, options, accepted, requested_stems };
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
    if options.drop_missing {
        missing::drop_missing(&mut fixer);
    }
}
