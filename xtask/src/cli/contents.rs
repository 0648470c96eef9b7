//! The arguments of the commands that list what is in the stage1, and what changed.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::ImageArgs;
use coreos_types::release::Release;
use packages::sbom::Format;

/// `sbom`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  cargo xtask sbom --output stage1.spdx.json
  cargo xtask sbom --sbom-format cyclonedx --flavor coreos")]
pub struct Sbom {
    /// spdx (2.3) or cyclonedx (1.6) [default: spdx].
    ///
    /// The format of the document, in JSON.
    #[arg(
        long,
        value_name = "FORMAT",
        value_parser = PossibleValuesParser::new(["spdx", "cyclonedx"]).map(|name| sbom_format(&name)),
        default_value = "spdx",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub sbom_format: Format,
    /// Write to FILE [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Flavor to include (repeatable) [default: all].
    #[arg(long = "flavor", value_name = "NAME")]
    pub flavors: Vec<String>,
    /// Where the image comes from.
    #[command(flatten)]
    pub image: ImageArgs,
}

fn sbom_format(name: &str) -> Format {
    if name == "cyclonedx" { Format::CycloneDx } else { Format::Spdx }
}

/// `unneeded`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  cargo xtask unneeded
  cargo xtask unneeded --prove --flavor coreos")]
pub struct Unneeded {
    /// Build and boot without them, in a scratch copy.
    ///
    /// Removes each group of lines as a whole, then bisects it to find the lines that
    /// must stay. Each step is a smoke test, which runs the tree's build with your rights.
    #[arg(long)]
    pub prove: bool,
    /// Stop after N boots [default: 24].
    ///
    /// Only with --prove. Lines that were not tested by then stay.
    #[arg(long, value_name = "N", default_value_t = 24, hide_default_value = true, requires = "prove")]
    pub max_boots: usize,
    /// Build and boot this flavor (repeatable).
    #[arg(long = "flavor", value_name = "NAME", requires = "prove")]
    pub flavors: Vec<String>,
    /// App for rkt: a docker reference or an .aci file.
    #[arg(long, value_name = "IMAGE", requires = "prove")]
    pub app: Option<String>,
    /// Argument for rkt's configure [env: XTASK_CONFIGURE].
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, requires = "prove")]
    pub configure: Vec<String>,
    /// Argument for make and make clean [env: XTASK_MAKE].
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, requires = "prove")]
    pub make: Vec<String>,
    /// Where the image comes from.
    #[command(flatten)]
    pub image: ImageArgs,
}

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
