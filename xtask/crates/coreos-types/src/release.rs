//! The vocabulary of releases as types: channel, board, release, flavor, systemd version.

use std::fmt;
use std::str::FromStr;

/// A word of the command line or of a file that is not valid, and the valid ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    what: &'static str,
    found: String,
    expected: &'static str,
}

impl ParseError {
    pub(crate) fn new(what: &'static str, found: &str, expected: &'static str) -> ParseError {
        ParseError { what, found: found.to_owned(), expected }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a {}: expected {}", self.found, self.what, self.expected)
    }
}

impl std::error::Error for ParseError {}

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

word_enum! {
    /// A board: the machine that an image is for. The words are those of release and manifest directories.
    Board {
        /// x86_64.
        Amd64 = "amd64-usr",
        /// AArch64.
        Arm64 = "arm64-usr",
    }
}

impl Board {
    /// `e_machine` of this board's ELF files (gABI, "ELF header").
    pub fn elf_machine(self) -> u16 {
        match self {
            Board::Amd64 => 62,
            Board::Arm64 => 183,
        }
    }

    /// The file name of glibc's dynamic loader.
    pub fn loader_name(self) -> &'static str {
        match self {
            Board::Amd64 => "ld-linux-x86-64.so.2",
            Board::Arm64 => "ld-linux-aarch64.so.1",
        }
    }

    /// The machine as `uname -m` and the GNU triplet write it.
    pub fn machine(self) -> &'static str {
        match self {
            Board::Amd64 => "x86_64",
            Board::Arm64 => "aarch64",
        }
    }
}

impl FromStr for Board {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Board, ParseError> {
        let known = Board::ALL.into_iter().find(|board| board.id() == text);
        known.ok_or_else(|| ParseError::new("board", text, "amd64-usr or arm64-usr"))
    }
}

/// A release number: three numbers, and for developer builds a `+suffix` or `-suffix`. Releases are ordered by their
/// numbers, then `-suffix`, none, `+suffix`, then the suffix as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release(String);

impl Release {
    /// The number as written, `1032.0.0` or `4799.0.0+nightly-20260810-2100`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The sort key of releases.
    fn order(&self) -> ([u64; 3], i8, &str) {
        let (numbers, suffix) = self.0.split_at(self.0.find(['+', '-']).unwrap_or(self.0.len()));
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
    pub fn likely_channel(&self) -> Channel {
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
        self.order().cmp(&other.order()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Release) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Release {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Release, ParseError> {
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
        release.ok_or_else(|| ParseError::new("release", text, "three numbers like 1032.0.0"))
    }
}

/// A flavor of stage1, named after its directory: `usr_from_coreos` is `coreos`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flavor(String);

impl Flavor {
    /// The flavor of a directory below `stage1/`, or `None` if the directory is not one of a flavor.
    pub fn from_dir_name(name: &str) -> Option<Flavor> {
        name.strip_prefix("usr_from_").filter(|rest| !rest.is_empty()).map(|rest| Flavor(rest.to_owned()))
    }

    /// The name, `coreos` or `kvm`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The major version of systemd, written `v229` in coreos-common.mk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SystemdVersion(pub u32);

impl fmt::Display for SystemdVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl FromStr for SystemdVersion {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<SystemdVersion, ParseError> {
        // A number can begin with a sign for parse().
        let digits = text.strip_prefix('v').filter(|digits| !digits.starts_with('+'));
        let number = digits.and_then(|digits| digits.parse().ok());
        let invalid = || ParseError::new("systemd version", text, "v and a number, like v229");
        number.map(SystemdVersion).ok_or_else(invalid)
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
