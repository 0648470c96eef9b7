//! `cache list` and `cache prune`.

use clap::{Args, Subcommand};

/// `cache`.
#[derive(Debug, Clone, Args)]
pub struct CacheArgs {
    /// What to do with the cache.
    #[command(subcommand)]
    pub action: CacheAction,
}

/// `cache list` and `cache prune`.
#[derive(Debug, Clone, Subcommand)]
pub enum CacheAction {
    /// List the images by release, size and last use.
    List,
    /// Remove images that a URL still serves.
    ///
    /// The release that the tree pins stays, and so does an image that none of its
    /// URLs serves any more. Without this command, images expire after 180 days
    /// without use, and above 10 GiB in all.
    Prune {
        /// Only images unused for so many days [default: all].
        #[arg(long, value_name = "DAYS")]
        older_than: Option<u64>,
    },
}
