//! The options that say where an image comes from, shared by every command that reads one.

use std::path::PathBuf;

use coreos_types::{Board, ChannelOrStream};

/// Where an image comes from and which keys are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default, clap::Args)]
#[command(next_help_heading = "Where the image comes from")]
pub struct ImageArgs {
    /// Channel: alpha, beta, stable, lts or lts-YEAR.
    ///
    /// The default is the channel in the URL of coreos-common.mk; if it does not have
    /// the release, the other channels are tried. lts-2024 is the long-term stream of
    /// 2024.
    #[arg(long, value_name = "CHANNEL")]
    pub channel: Option<ChannelOrStream>,
    /// Download URL/BOARD/RELEASE/FILE [env: XTASK_MIRROR].
    ///
    /// Replaces scheme, host and leading path of the URL in coreos-common.mk. The same
    /// signatures are required as without a mirror.
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// Host that --repo may name [env: XTASK_ALLOW_HOSTS].
    ///
    /// Repeatable. By default, the URL in a tree that --repo selects may name only
    /// hosts of the vendors.
    #[arg(long = "allow-host", value_name = "HOST")]
    pub allow_hosts: Vec<String>,
    /// Allow plain HTTP to other hosts than localhost.
    #[arg(long)]
    pub insecure_http: bool,
    /// Trust only this certificate [env: XTASK_SIGNING_KEY].
    ///
    /// An OpenPGP certificate, armored or binary, that replaces the pinned keys.
    #[arg(long, value_name = "FILE")]
    pub signing_key: Option<PathBuf>,
    /// Use images of vendor coreos, flatcar or NAME.
    ///
    /// bump-coreos moves the tree to it: host, file name and trusted key change.
    /// CoreOS ended in 2020 with release 2514; Flatcar continues it. NAME is a vendor of
    /// [workspace.metadata.stage1.vendors.NAME].
    #[arg(long, value_name = "BRAND")]
    pub brand: Option<String>,
    /// Use a local PXE image, one per board (repeatable).
    ///
    /// The board and the release are read from the image; its signature is FILE.sig.
    #[arg(long = "image", value_name = "FILE")]
    pub images: Vec<PathBuf>,
    /// Signature of the local image [default: FILE.sig].
    #[arg(long, value_name = "FILE", requires = "images")]
    pub signature: Option<PathBuf>,
    /// Accept a local image that has no signature.
    ///
    /// Only with --image. An image with an invalid signature is always refused.
    #[arg(long, requires = "images", conflicts_with = "signature")]
    pub unsigned: bool,
    /// amd64-usr or arm64-usr (repeatable) [default: all].
    ///
    /// The default is every board that has manifests. All boards have the same pinned
    /// release.
    #[arg(long = "board", value_name = "BOARD")]
    pub boards: Vec<Board>,
    /// Use the cache only, no network.
    ///
    /// Images and keys must be in the cache from an earlier run: cargo xtask fetch.
    #[arg(long)]
    pub offline: bool,
}

impl ImageArgs {
    /// The arguments that select one image of a release. All others say where any release comes from and which keys
    /// are trusted, so that a hint for another release repeats them.
    pub(super) const OF_ONE_IMAGE: [&str; 5] = ["images", "signature", "unsigned", "boards", "offline"];
}
