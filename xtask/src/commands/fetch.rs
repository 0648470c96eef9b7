//! `fetch [RELEASE]`: the images of a release in the cache, proved, for those who take the bytes from there.

use serde_json::json;

use crate::cli::{Fetch, ReleaseSpec};
use crate::context::Context;
use crate::images::ImageSet;
use crate::report::Report;
use coreos_types::error::Result;

/// Brings the image of every board, and tells where each lies.
///
/// # Errors
/// Whatever stops the work; an image that is not what was asked for, or no longer what was proved.
pub fn fetch(context: &Context<'_>, flags: &Fetch, report: &mut Report) -> Result<()> {
    let pinned = context.pins.release();
    let wanted = flags.release.clone().unwrap_or_else(|| ReleaseSpec::Number(pinned.clone()));
    let images = ImageSet::open(context, &flags.image, &wanted)?;
    report.images = images.origins();
    report.channel = images.channel.or(context.pins.channel());
    report.release = Some((pinned.clone(), images.release.clone()));
    let mut files = Vec::new();
    for (board, path) in images.hand_on()? {
        let path = path.display().to_string();
        files.push(json!({ "board": board.id(), "path": path }));
        report.output.push(path);
    }
    report.extra.insert("files", json!(files));
    images.keep();
    Ok(())
}
