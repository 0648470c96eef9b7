//! `cache list` and `cache prune`.

use clap::Subcommand;

use super::parse_at_least;

/// What to do with the cache.
#[derive(Debug, Clone, Subcommand)]
pub enum CacheAction {
    /// List the images by release, size and last use.
    List,
    /// Remove images that can be downloaded again.
    ///
    /// The release that the tree pins stays, and so does an image that no server has any
    /// more. Images also expire without this command: after 180 days without use, and
    /// above 10 GiB in all.
    Prune {
        /// Only images that were not used for DAYS days.
        #[arg(long, value_name = "DAYS", allow_negative_numbers = true, value_parser = parse_at_least::<u64, 0>)]
        older_than: Option<u64>,
    },
}
