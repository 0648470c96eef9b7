//! The channels of releases.

use std::str::FromStr;

use super::error::{Error, Result};

word_enum! {
    /// A release channel; each has its own host. The words are those of host names and of the command line.
    #[allow(missing_docs)]
    Channel {
        Alpha = "alpha",
        Beta = "beta",
        Stable = "stable",
        Lts = "lts",
    }
}

impl FromStr for Channel {
    type Err = Error;
    fn from_str(text: &str) -> Result<Channel> {
        let known = Channel::ALL.into_iter().find(|channel| channel.id() == text);
        known.ok_or_else(|| Error::invalid_word("channel", text, "alpha, beta, stable or lts"))
    }
}
