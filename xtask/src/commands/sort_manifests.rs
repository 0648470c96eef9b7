//! `sort-manifests`: sorts the manifests in the order of `scripts/sort-stage1-manifests.sh`.

use crate::cli::GlobalArgs;
use crate::context::{current_dir, program};
use crate::repo::Repo;
use crate::repo::transaction;
use crate::report::Report;
use crate::report::invocation::Invocation;
use crate::terminal::Term;
use coreos_types::Result;
use manifest::plan::edit_plan::EditPlan;
use manifest::plan::sort_manifests::plan_sort;

/// Sorts the manifests of the tree; with `--check` only reports the changes.
pub(crate) fn sort_manifests(term: &Term, globals: &GlobalArgs, report: &mut Report) -> Result<()> {
    let tree = Repo::find(globals.repo.as_deref(), &current_dir()?)?;
    let loaded = tree.recover_and_read()?;
    loaded.warnings.iter().for_each(|warning| term.warn(warning));
    report.invocation = Invocation {
        program: program(),
        repo: globals.repo.as_ref().map(|repo| repo.display().to_string()),
        command: vec!["sort-manifests".to_owned()],
        ..Invocation::default()
    };
    let (after, fixes) = plan_sort(&loaded.sources);
    let plan = EditPlan::between(&loaded.sources, &after);
    if !report.check {
        transaction::apply(&tree, &plan)?;
    }
    (report.plan, report.fixes) = (plan, fixes);
    Ok(())
}
