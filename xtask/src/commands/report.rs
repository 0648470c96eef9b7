//! `report`: the report of the last run that read or changed this tree.

use std::path::Path;

use crate::cache::Cache;
use crate::cache::report_files::{self, FileFormat};
use crate::context::Context;
use crate::git;
use crate::output_file;
use crate::report::invocation::words;
use crate::report::{OutputFormat, Report};
use coreos_types::Result;

/// Writes the report of the last run to a file, or prints it as Markdown, or with `--format json` as JSON.
pub(crate) fn last_report(context: &Context<'_>, file: Option<&Path>, report: &mut Report) -> Result<()> {
    let format = match file {
        Some(path) => {
            output_file::check_destination(path)?;
            FileFormat::from_path(path).map_err(|error| error.with_hint("cargo xtask report report.md"))?
        }
        None => FileFormat::Markdown,
    };
    let cache = Cache::from_env(Some(context.tree.root()))?.create_dir("")?;
    let tree = context.tree.root();
    let verify = context.bare_invocation().command_line([&words(["verify-manifests"])]);
    report.extra.insert("last_run", report_files::load_document(&cache, tree, &verify)?);
    let text = report_files::load(&cache, tree, format, &verify)?;
    match file {
        Some(path) => {
            output_file::write(path, &text)?;
            context.term.stage("wrote", path.display());
        }
        None if context.term.format() == OutputFormat::Json => {}
        None => report.output.push(text.trim_end().to_owned()),
    }
    Ok(())
}

/// Runs a command, stores its report for [`last_report`], and writes it to the file of `--report`.
///
/// # Errors
/// The file is not a report file, or cannot be written. An error of the command itself is in the report.
pub(crate) fn run_and_store_report<F>(
    command: fn(&Context<'_>, &F, &mut Report) -> Result<()>,
    context: &Context<'_>,
    flags: &F,
    file: Option<&Path>,
    report: &mut Report,
) -> Result<()> {
    let format = file.map(FileFormat::from_path).transpose()?;
    file.map_or(Ok(()), output_file::check_destination)?;
    if let Err(error) = command(context, flags, report) {
        report.error = Some(error);
    }
    if file.is_some() || context.term.format() == OutputFormat::Github {
        report.source_links = git::source_links(context.tree.root());
    }
    let stored = Cache::from_env(Some(context.tree.root()))
        .and_then(|cache| cache.create_dir(""))
        .and_then(|directory| report_files::store(&directory, context.tree.root(), report));
    if let Err(error) = stored {
        context.term.detail("cached", format!("no report of this run: {error}"));
    }
    let Some((path, format)) = file.zip(format) else { return Ok(()) };
    match (output_file::write(path, &format.render(report)), &report.error) {
        (Ok(()), _) => context.term.stage("wrote", path.display()),
        (Err(error), None) => return Err(error),
        // The error of the command is the more important one.
        (Err(error), Some(_)) => context.term.warn(error),
    }
    Ok(())
}
