//! The version of systemd.

use std::fmt;
use std::str::FromStr;

use super::error::{Error, Result};

/// The major version of systemd, written `v229` in coreos-common.mk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SystemdVersion(pub u32);

impl fmt::Display for SystemdVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl FromStr for SystemdVersion {
    type Err = Error;
    fn from_str(text: &str) -> Result<SystemdVersion> {
        // A number can begin with a sign for parse().
        let digits = text.strip_prefix('v').filter(|digits| !digits.starts_with('+'));
        let number = digits.and_then(|digits| digits.parse().ok());
        let invalid = || Error::invalid_word("systemd version", text, "v and a number, like v229");
        number.map(SystemdVersion).ok_or_else(invalid)
    }
}
