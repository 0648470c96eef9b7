//! `sort-manifests`: what `scripts/sort-stage1-manifests.sh` does.

use std::env;

use crate::cli::GlobalArgs;
use crate::repo::Repo;
use crate::repo::transaction;
use crate::report::Report;
use crate::terminal::Term;
use coreos_types::error::{Result, ResultExt};
use manifest::plan::file_edits::EditPlan;
use manifest::plan::sort_manifests::sort;

/// Puts the manifests of the tree in order; with `check` it only says what would change.
///
/// # Errors
/// There is no tree, or it cannot be read or written.
pub fn sort_manifests(term: &Term, globals: &GlobalArgs, check: bool, report: &mut Report) -> Result<()> {
    (report.dry_run, report.check) = (check, check);
    let here = env::current_dir().with_context(|| "cannot determine the current directory")?;
    let tree = Repo::find(globals.repo.as_deref(), &here)?;
    let read = tree.read()?;
    read.warnings.iter().for_each(|note| term.warn(note));
    let (after, fixes) = sort(&read.sources);
    report.plan = EditPlan::between(&read.sources, &after);
    report.fixes = fixes;
    if check {
        return Ok(());
    }
    transaction::apply(&tree, &report.plan).inspect_err(|_| (report.plan, report.fixes) = Default::default())
}
