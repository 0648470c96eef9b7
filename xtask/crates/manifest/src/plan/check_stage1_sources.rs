//! The check of the sources against the images of the pinned release, and which of its findings a bump would fix.

use std::collections::BTreeSet;

use super::bump::{BumpOptions, ImageTrees, suggest_copy_into_tree};
use crate::finding::{Finding, Severity};
use crate::rules::lint_and_fix::{FixOptions, Indexes, fix, lint};
use crate::rules::pins;
use crate::stage1_sources::Stage1Sources;
use coreos_types::Result;

/// Checks the sources against the images of the pinned release, without changes.
pub fn check_stage1_sources(
    sources: &Stage1Sources,
    options: &BumpOptions,
    trees: &ImageTrees<'_>,
) -> Result<Vec<Finding>> {
    let pins = sources.parse_common_mk()?;
    let targets = options.pin_targets(trees)?;
    let indexes = options.index_all(trees);
    let mut findings = lint(sources, &indexes);
    mark_fixable(&mut findings, sources, &indexes, options.fix_options);
    if let Some(&board) = trees.keys().next() {
        let mut mismatches = pins::check(&pins, &sources.common_mk_path, &targets, board);
        let is_fixable = !mismatches.is_empty()
            && !sources.outside.contains_key(&sources.common_mk_path)
            && pins::fix(pins, &targets).is_ok();
        mismatches.iter_mut().for_each(|finding| finding.fixable = is_fixable);
        findings.extend(mismatches);
    }
    suggest_copy_into_tree(&mut findings, sources);
    trees.values().try_for_each(|tree| tree.check_reads())?;
    Ok(findings)
}

/// Marks the fixable findings: those that a check of the fixed sources does not report again.
fn mark_fixable(
    findings: &mut [Finding],
    sources: &Stage1Sources,
    indexes: &Indexes<'_>,
    options: FixOptions,
) {
    // Nothing to fix, or advice, which no fix removes.
    if findings.iter().all(|finding| finding.severity == Severity::Advice) {
        return;
    }
    let mut after = sources.clone();
    if fix(&mut after, indexes, FixOptions { drop_missing: false, ..options }).is_empty() {
        return;
    }
    let remaining = lint(&after, indexes);
    let key = |finding: &Finding| (finding.kind, finding.board, finding.file.clone(), finding.path.clone());
    let remaining: BTreeSet<_> = remaining.iter().map(key).collect();
    for finding in findings {
        finding.fixable = !remaining.contains(&key(finding));
    }
}
