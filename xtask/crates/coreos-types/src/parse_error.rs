//! The error of a word that is not valid.

use std::fmt;

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
