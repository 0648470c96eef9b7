//! `fetch [RELEASE]`: downloads the images of a release into the cache, verifies them, and prints their paths or copies
//! one to a file.

use serde_json::json;

use crate::cli::{Fetch, ReleaseSpec};
use crate::context::Context;
use crate::images::ImageSet;
use crate::output_file;
use crate::report::Report;
use coreos_types::Result;

/// Opens the image of every board, and prints its path in the cache.
///
/// # Errors
/// An image is not available, not trusted, not the requested one, or has changed since it was verified.
pub fn fetch(context: &Context<'_>, flags: &Fetch, report: &mut Report) -> Result<()> {
    if let Some(output) = &flags.output {
        output_file::check_destination(output)?;
    }
    let pinned = context.pins.release();
    let release = flags.release.as_ref().map_or(Some(pinned), ReleaseSpec::number);
    let images = ImageSet::open_and_prune_cache(context, release)?;
    report.images = images.origins();
    report.channel = images.channel.or(context.pins.channel());
    report.release = Some((pinned.clone(), images.release.clone()));
    let mut files = Vec::new();
    let paths = match &flags.output {
        Some(output) => vec![(images.copy_verified(output)?, output.clone())],
        None => images.reverify_paths()?,
    };
    for (board, path) in paths {
        let path = path.display().to_string();
        files.push(json!({ "board": board.id(), "path": path }));
        report.output.push(path);
    }
    report.extra.insert("files", json!(files));
    images.store_trees();
    Ok(())
}
