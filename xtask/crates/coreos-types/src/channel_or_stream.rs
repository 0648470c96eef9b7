//! The value of the option `--channel`.

use std::fmt;
use std::str::FromStr;

use super::channel::Channel;
use super::error::{Error, Result};

/// The value of `--channel`: a channel, or one of Flatcar's long-term streams, `lts-2024`. A stream is part of the lts
/// channel, and stays on its major release when the channel moves to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChannelOrStream {
    /// The channel.
    pub channel: Channel,
    /// The year of the stream.
    pub year: Option<u16>,
}

impl From<Channel> for ChannelOrStream {
    fn from(channel: Channel) -> ChannelOrStream {
        ChannelOrStream { channel, year: None }
    }
}

impl fmt::Display for ChannelOrStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.year {
            Some(year) => write!(f, "{}-{year}", self.channel),
            None => self.channel.fmt(f),
        }
    }
}

impl FromStr for ChannelOrStream {
    type Err = Error;
    fn from_str(text: &str) -> Result<ChannelOrStream> {
        let invalid = || Error::invalid_word("channel", text, "alpha, beta, stable, lts or lts-YEAR");
        let Some(year) = text.strip_prefix("lts-") else {
            return text.parse::<Channel>().map(ChannelOrStream::from).map_err(|_| invalid());
        };
        let is_year = year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit());
        let year = year.parse().ok().filter(|_| is_year).ok_or_else(invalid)?;
        Ok(ChannelOrStream { channel: Channel::Lts, year: Some(year) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lts_streams_are_parsed() {
        for text in ["alpha", "lts", "lts-2024"] {
            assert_eq!(text.parse::<ChannelOrStream>().unwrap().to_string(), text);
        }
        for text in ["edge", "lts-", "lts-24", "lts-20245", "lts-+024", "stable-2024"] {
            let error = text.parse::<ChannelOrStream>().unwrap_err().to_string();
            assert!(error.contains("lts-YEAR"), "{error}");
        }
    }
}
