//! The channels of releases.

use std::str::FromStr;

use super::parse_error::ParseError;

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
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Channel, ParseError> {
        let known = Channel::ALL.into_iter().find(|channel| channel.id() == text);
        known.ok_or_else(|| ParseError::new("channel", text, "alpha, beta, stable or lts"))
    }
}
