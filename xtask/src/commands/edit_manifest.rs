//! `edit-manifest`: adds lines to a manifest in its order, or removes lines.

use std::path::Path;

use crate::cli::EditManifest;
use crate::context::Context;
use crate::repo::transaction;
use crate::report::Report;
use coreos_types::Result;
use manifest::plan::edit_manifest::plan_edit;
use manifest::plan::edit_plan::EditPlan;
use manifest::suggestion::{ManifestEdit, Suggestion};

pub(crate) fn edit_manifest(context: &Context<'_>, flags: &EditManifest, report: &mut Report) -> Result<()> {
    let EditManifest { file, add, remove } = flags;
    let edit_request =
        ManifestEdit { file: repo_relative(context, file), add: add.clone(), remove: remove.clone() };
    let (after, fixes) = plan_edit(&context.sources, &edit_request)?;
    let plan = EditPlan::between(&context.sources, &after);
    let suggestion = Suggestion::EditManifest(vec![edit_request]);
    let hint = |link: &str| context.bare_invocation().hint(&suggestion.clone().after_copying(link));
    plan.ensure_inside_tree(&context.sources, hint)?;
    transaction::apply(&context.tree, &plan)?;
    (report.plan, report.fixes) = (plan, fixes);
    Ok(())
}

/// Converts a path, relative to the root or the current directory, to one relative to the root.
fn repo_relative(context: &Context<'_>, file: &Path) -> String {
    let root = context.tree.root();
    let path = if root.join(file).is_file() { root.join(file) } else { context.cwd.join(file) };
    let inside = || {
        // The file itself may be a link, which is listed under its own path.
        let directory = path.parent()?.canonicalize().ok()?;
        Some(directory.join(path.file_name()?).strip_prefix(root).ok()?.to_owned())
    };
    inside().as_deref().unwrap_or(file).to_string_lossy().into_owned()
}
