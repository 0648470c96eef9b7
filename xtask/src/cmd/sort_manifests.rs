//! `sort-manifests`: what `scripts/sort-stage1-manifests.sh` does.

use std::env;

use crate::edge::apply;
use crate::edge::repo::Tree;
use crate::edge::term::Term;
use crate::fault::{OrFault, Result};
use crate::flags::Globals;
use crate::plan::edit::EditPlan;
use crate::plan::sort::sort;
use crate::report::Report;

/// Puts the manifests of the tree in order; with `check` it only says what would change.
///
/// # Errors
/// There is no tree, or it cannot be read or written.
pub fn sort_manifests(term: &Term, globals: &Globals, check: bool, report: &mut Report) -> Result<()> {
    (report.dry_run, report.check) = (check, check);
    let here = env::current_dir().or_fault(|| "cannot tell the current directory")?;
    let tree = Tree::find(globals.repo.as_deref(), &here)?;
    let read = tree.read()?;
    read.notes.iter().for_each(|note| term.warn(note));
    let (after, fixes) = sort(&read.sources);
    report.plan = EditPlan::between(&read.sources, &after);
    report.fixes = fixes;
    if check {
        return Ok(());
    }
    apply::apply(&tree, &report.plan).inspect_err(|_| (report.plan, report.fixes) = Default::default())
}
