//! The arguments of `diff`, and the option of the security fixes.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::ImageArgs;
use coreos_types::Release;

/// `diff`.
#[derive(Debug, Clone, Args)]
pub struct Diff {
    /// The old release.
    #[arg(value_name = "FROM")]
    pub from: Release,
    /// The new release.
    #[arg(value_name = "TO")]
    pub to: Release,
    /// Vendor's release notes: URL, FILE or none.
    ///
    /// As for bump-coreos.
    #[arg(long, value_name = "URL")]
    pub advisories: Option<AdvisorySource>,
    /// Where the images come from.
    #[command(flatten)]
    pub image: ImageArgs,
}

/// `--advisories`: where the vendor's release notes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdvisorySource {
    /// They are not read.
    None,
    /// At this URL.
    Url(String),
    /// In this file.
    File(PathBuf),
}

impl FromStr for AdvisorySource {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<AdvisorySource, Infallible> {
        Ok(match text {
            "none" => AdvisorySource::None,
            url if url.contains("://") => AdvisorySource::Url(url.to_owned()),
            file => AdvisorySource::File(file.into()),
        })
    }
}
