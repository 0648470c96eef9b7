//! The findings of a run that the tree accepts.

use crate::context::Context;
use crate::report::Report;
use coreos_types::release::Board;
use manifest::accepted_findings::AcceptedFinding;
use manifest::finding::FindingKind;
use manifest::rules::lint_and_fix::FixOptions;

/// Moves the accepted findings of a report aside. `boards` are those of the run.
pub(super) fn set_aside_accepted(
    context: &Context<'_>,
    boards: &[Board],
    options: FixOptions,
    report: &mut Report,
) {
    let has_all_boards = context.sources.boards().iter().all(|board| boards.contains(board));
    let can_match = |entry: &AcceptedFinding| {
        let has_board = entry.board.map_or(has_all_boards, |board| boards.contains(&board));
        let has_kind = entry.kind != FindingKind::Advice || options.dlopen.is_some();
        has_board && has_kind && !options.by_names_only
    };
    let findings = std::mem::take(&mut report.findings);
    (report.findings, report.accepted) = context.sources.accepted.split(findings, can_match);
}
