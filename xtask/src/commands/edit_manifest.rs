//! `edit-manifest`: lines into a manifest where its order wants them, or out of it.

use std::path::Path;

use crate::cli::EditManifest;
use crate::context::Context;
use crate::repo::transaction;
use crate::report::Report;
use coreos_types::error::Result;
use manifest::plan::edit_manifest::edit;
use manifest::plan::file_edits::EditPlan;
use manifest::suggestion::{LineEdit, Suggestion};

/// Edits one manifest of the tree.
///
/// # Errors
/// The file is none of the tree's manifests, or cannot be written.
pub fn edit_manifest(context: &Context<'_>, flags: &EditManifest, report: &mut Report) -> Result<()> {
    let EditManifest { file, add, remove } = flags;
    let asked = LineEdit { file: in_tree(context, file), add: add.clone(), remove: remove.clone() };
    let (after, fixes) = edit(&context.sources, &asked)?;
    let plan = EditPlan::between(&context.sources, &after);
    let again = |link: &str| context.bare().hint(&Suggestion::Edit(vec![asked.clone()]).behind(link));
    plan.stays_inside(&context.sources, again)?;
    transaction::apply(&context.tree, &plan)?;
    (report.plan, report.fixes) = (plan, fixes);
    Ok(())
}

/// A path from the tree's root, or else from the current directory, as the tree has it: relative to its root.
fn in_tree(context: &Context<'_>, file: &Path) -> String {
    let root = context.tree.root();
    let path = if root.join(file).is_file() { root.join(file) } else { context.here.join(file) };
    let inside = || {
        // The file itself may be a link, which has its place in the tree under its own name.
        let folder = path.parent()?.canonicalize().ok()?;
        Some(folder.join(path.file_name()?).strip_prefix(root).ok()?.to_owned())
    };
    inside().as_deref().unwrap_or(file).to_string_lossy().into_owned()
}
