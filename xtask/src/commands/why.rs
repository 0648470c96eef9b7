//! `why PATH|SONAME`: the manifests that list a path, and its dependents.

use crate::cli::Why;
use crate::context::Context;
use crate::images::ImageSet;
use crate::report::styled_text::{Style, StyledText};
use crate::report::{Report, why};
use coreos_types::{Error, Result};
use manifest::plan::bump::ImageTrees;

/// Finds the reasons in the images of the pinned release.
pub(crate) fn why(context: &Context<'_>, flags: &Why, report: &mut Report) -> Result<()> {
    let images = ImageSet::open_and_prune_cache(context, Some(context.pins.release()))?;
    report.images = images.origins();
    let answer = why::answer_why(&flags.subject, &context.sources, &images.trees());
    images.check_read_errors()?;
    report.extra.insert("why", why::to_json(&answer));
    if answer.boards.iter().all(why::BoardAnswer::is_unknown) {
        return Err(not_found_error(context, &flags.subject, &images.trees()));
    }
    images.store_trees();
    report.styled_output = match (flags.dot, flags.mermaid) {
        (true, _) => StyledText::styled(Style::Plain, why::dot(&answer)),
        (_, true) => StyledText::styled(Style::Plain, why::mermaid(&answer)),
        _ => why::render_tree(&answer),
    };
    Ok(())
}

/// The error of an unknown subject, with a similar name in the image as its hint.
fn not_found_error(context: &Context<'_>, subject: &str, trees: &ImageTrees<'_>) -> Error {
    let error = Error::failed(format!("{subject} is not in the image, and no listed file needs it"));
    let name = subject.rsplit('/').next().unwrap_or(subject);
    let stem = name.split(".so").next().unwrap_or(name);
    let similar = trees.values().flat_map(|tree| tree.iter()).map(|(path, _)| path);
    let mut similar = similar.filter(|path| !stem.is_empty() && path.name().starts_with(stem));
    match similar.next() {
        Some(path) => {
            error.with_hint(context.command_invocation(&["why"]).command_with_argument(path.as_str()))
        }
        None => error.with_hint("use a path relative to /usr, or a soname: cargo xtask why libc.so.6"),
    }
}
