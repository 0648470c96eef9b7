//! Parsers of option values.

use std::error::Error;
use std::ffi::OsStr;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command};

/// Parses any value of `T`, and names the usual ones to help and completions.
#[derive(Debug)]
pub(super) struct KnownValues<T> {
    names: &'static [&'static str],
    value: PhantomData<fn() -> T>,
}

impl<T> KnownValues<T> {
    pub(super) fn new(names: &'static [&'static str]) -> KnownValues<T> {
        KnownValues { names, value: PhantomData }
    }
}

impl<T> Clone for KnownValues<T> {
    fn clone(&self) -> KnownValues<T> {
        KnownValues::new(self.names)
    }
}

impl<T: FromStr<Err: Error + Send + Sync> + Clone + Send + Sync + 'static> TypedValueParser
    for KnownValues<T>
{
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        T::from_str.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.names.iter().map(PossibleValue::new)))
    }
}

/// Parses a whole number that is at least `MIN`.
pub(super) fn number<T: FromStr + PartialOrd + From<u8>, const MIN: u8>(text: &str) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| *number >= T::from(MIN));
    number.ok_or_else(|| format!("expected a whole number, at least {MIN}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command;

    #[test]
    fn unlisted_option_value_is_parsed() {
        let parser = KnownValues::<u8>::new(&["1"]);
        assert_eq!(parser.parse_ref(&command(), None, OsStr::new("7")).unwrap(), 7);
        let error = parser.parse_ref(&command(), None, OsStr::new("x")).unwrap_err().to_string();
        assert!(error.contains("invalid digit") && error.contains("--help"), "{error}");
    }
}
