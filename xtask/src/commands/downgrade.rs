//! Downgrade check: `latest` must not be older than the pinned release, unless `--allow-downgrade`.

use crate::cli::{BumpCoreos, ReleaseSpec};
use crate::context::Context;
use crate::report::Report;
use coreos_types::{Error, Release, Result};

/// Checks the release of a bump against the pinned one. A release that the user named by its number may be older.
pub(super) fn check(
    context: &Context<'_>,
    args: &BumpCoreos,
    release: &Release,
    report: &mut Report,
) -> Result<()> {
    let pinned = context.pins.release();
    if release >= pinned {
        return Ok(());
    }
    if args.release != ReleaseSpec::Latest || args.allow_downgrade {
        context.term.warn(format!("{release} is older than the pinned {pinned}"));
        return Ok(());
    }
    report.extra.insert("downgrade", true.into());
    Err(Error::refused(format!("latest is {release}, older than the pinned {pinned}"))
        .with_cause("the pinned release may be of another channel, or the server may have an old version.txt: its signature does not expire")
        .with_hint(format!("to go back: {}", context.rerun_command(&["--allow-downgrade"], &[]))))
}
