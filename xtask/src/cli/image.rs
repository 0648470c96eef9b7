//! The options that say where an image comes from, shared by every command that reads one.

use std::path::PathBuf;

use coreos_types::release::{Board, Brand, Channel};

/// Where an image comes from and which keys are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default, clap::Args)]
#[command(next_help_heading = "Where the image comes from")]
pub struct ImageArgs {
    /// Look on this channel: alpha, beta, stable, lts.
    #[arg(long, value_name = "CHANNEL")]
    pub channel: Option<Channel>,
    /// Download URL/BOARD/RELEASE/FILE [env: XTASK_MIRROR].
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// Allow plain http beyond loopback.
    #[arg(long)]
    pub insecure_http: bool,
    /// Trust this OpenPGP certificate [env: XTASK_SIGNING_KEY].
    #[arg(long, value_name = "FILE")]
    pub signing_key: Option<PathBuf>,
    /// Move the tree to this vendor: coreos, flatcar.
    #[arg(long, value_name = "BRAND")]
    pub brand: Option<Brand>,
    /// Use a local PXE image, one per board (repeatable).
    #[arg(long = "image", value_name = "FILE")]
    pub images: Vec<PathBuf>,
    /// Signature of the local image [default: FILE.sig].
    #[arg(long, value_name = "FILE", requires = "images")]
    pub signature: Option<PathBuf>,
    /// Accept a local image that has no signature.
    #[arg(long, requires = "images", conflicts_with = "signature")]
    pub unsigned: bool,
    /// amd64-usr or arm64-usr (repeatable) [default: all].
    #[arg(long = "board", value_name = "BOARD")]
    pub boards: Vec<Board>,
    /// Use the cache only, no network.
    #[arg(long)]
    pub offline: bool,
}

impl ImageArgs {
    /// The arguments that select one image of a release. All others say where any release comes from and which keys
    /// are trusted, so that a hint for another release repeats them.
    pub(super) const OF_ONE_IMAGE: [&str; 5] = ["images", "signature", "unsigned", "boards", "offline"];
}
