//! Release numbers.

use std::fmt;
use std::str::FromStr;

use super::channel::Channel;
use super::error::{Error, Result};

/// A release number: three numbers, and for developer builds a `+suffix` or `-suffix`. Releases are ordered by their
/// numbers, then `-suffix`, none, `+suffix`, then the suffix as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release(String);

impl Release {
    /// The number as written, `1032.0.0` or `4799.0.0+nightly-20260810-2100`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number without a developer build's suffix, as in `VERSION_ID` of os-release.
    pub fn version_id(&self) -> &str {
        self.0.split(['+', '-']).next().unwrap_or(&self.0)
    }

    /// The three numbers.
    pub fn numbers(&self) -> [u64; 3] {
        self.sort_key().0
    }

    /// The first of the three numbers.
    pub fn major(&self) -> u64 {
        self.numbers()[0]
    }

    fn sort_key(&self) -> ([u64; 3], i8, &str) {
        let (numbers, suffix) = self.0.split_at(self.version_id().len());
        let mut parts = numbers.split('.').map(|part| part.parse().unwrap_or(0));
        let numbers = [(); 3].map(|()| parts.next().unwrap_or(0));
        let kind = match suffix.chars().next() {
            Some('-') => -1,
            Some(_) => 1,
            None => 0,
        };
        (numbers, kind, suffix)
    }

    /// The likely channel of a Flatcar release by its second number (flatcar/scripts `image_changes.sh`); a promoted
    /// release keeps its number.
    pub fn likely_flatcar_channel(&self) -> Channel {
        match self.0.split('.').nth(1) {
            Some("1") => Channel::Beta,
            Some("2") => Channel::Stable,
            Some("3") => Channel::Lts,
            _ => Channel::Alpha,
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Ord for Release {
    fn cmp(&self, other: &Release) -> std::cmp::Ordering {
        // `1.0.0` and `01.0.0` are the same number, and not equal.
        self.sort_key().cmp(&other.sort_key()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Release) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Release {
    type Err = Error;
    fn from_str(text: &str) -> Result<Release> {
        let (numbers, suffix) = match text.find(['+', '-']) {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, "x"),
        };
        let number = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+');
        let good = numbers.split('.').count() == 3
            && numbers.split('.').all(number)
            && !suffix.is_empty()
            && suffix.bytes().all(plain)
            && !suffix.contains("..");
        let release = good.then(|| Release(text.to_owned()));
        release.ok_or_else(|| Error::invalid_word("release", text, "three numbers like 1032.0.0"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_by_number() {
        let sorted = [
            "991.0.0",
            "1032.0.0-rc.1",
            "1032.0.0",
            "1032.0.0+nightly-20260810-2100",
            "1032.0.0+nightly-20260811-2100",
            "1032.0.1",
            "1032.1.0",
            "4799.0.0",
            "999999999.0.0",
        ];
        let mut releases: Vec<Release> = sorted.iter().rev().map(|text| text.parse().unwrap()).collect();
        releases.sort();
        assert_eq!(releases.iter().map(Release::as_str).collect::<Vec<_>>(), sorted);
    }
}
