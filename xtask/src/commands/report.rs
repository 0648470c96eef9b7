//! `report`: the last run that read or changed this tree, told again.

use std::path::Path;

use crate::cache::Cache;
use crate::cache::last_report::{self, Face};
use crate::cli::ReportFlags;
use crate::context::Context;
use crate::report::{Format, Report};
use coreos_types::error::Result;

/// Writes the last run's report to a file, or its Markdown (under `--format json` its document) to the output.
///
/// # Errors
/// No run is kept, or the file cannot be written.
pub fn report(context: &Context<'_>, flags: &ReportFlags, report: &mut Report) -> Result<()> {
    let face = match &flags.file {
        Some(path) => Face::of_file(path)?,
        None => Face::Markdown,
    };
    let cache = Cache::of_environment()?.folder("")?;
    let tree = context.tree.root();
    report.extra.insert(
        "last_run",
        serde_json::from_str(&last_report::recall(&cache, tree, Face::Json)?).unwrap_or_default(),
    );
    let text = last_report::recall(&cache, tree, face)?;
    match &flags.file {
        Some(path) => {
            last_report::put(path, &text)?;
            context.term.stage("wrote", path.display());
        }
        None if context.term.format() == Format::Json => {}
        None => report.output.push(text.trim_end().to_owned()),
    }
    Ok(())
}

/// Carries out a command, keeps what it told for [`report()`], and writes it to the file of `--report`.
///
/// # Errors
/// The file is no report, or cannot be written. What stopped the command itself is in the report.
pub fn told(
    context: &Context<'_>,
    file: Option<&Path>,
    report: &mut Report,
    command: impl FnOnce(&Context<'_>, &mut Report) -> Result<()>,
) -> Result<()> {
    if let Some(path) = file {
        Face::of_file(path)?;
        last_report::ensure_place(path)?;
    }
    if let Err(fault) = command(context, report) {
        report.error = Some(fault);
    }
    let kept = Cache::of_environment()
        .and_then(|cache| cache.folder(""))
        .and_then(|folder| last_report::keep(&folder, context.tree.root(), report));
    if let Err(fault) = kept {
        context.term.detail("kept", format!("no report of this run: {fault}"));
    }
    let Some(path) = file else { return Ok(()) };
    match (last_report::write(path, report), &report.error) {
        (Ok(()), _) => context.term.stage("wrote", path.display()),
        (Err(fault), None) => return Err(fault),
        // What stopped the command is the greater news.
        (Err(fault), Some(_)) => context.term.warn(fault),
    }
    Ok(())
}
