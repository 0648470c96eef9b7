//! The error of a command: a message, its causes, and a hint.
//!
//! A mistake in a manifest is a finding, never an [`Error`]. Messages are lower case, without a full
//! stop, and name the path or URL, what was expected and what was found.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// A result with an [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

word_enum! {
    /// The kind of an error, which determines the exit code. The words are those in JSON.
    ErrorKind {
        /// The command line is wrong (exit code 2).
        Usage = "usage",
        /// Network, I/O, a missing tool, a malformed file (exit code 2).
        Failed = "failed",
        /// The image or its signature is not trusted, or is not what was requested (exit code 3).
        Refused = "refused",
    }
}

/// One error with its chain of causes, outermost first, and a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The kind, which determines the exit code.
    pub kind: ErrorKind,
    /// The operation that failed, with the path or URL.
    pub message: String,
    /// The causes, from the nearest to the root cause.
    pub causes: Vec<String>,
    /// The command or step that fixes the error.
    pub hint: Option<String>,
    /// The URL of a request that failed.
    pub url: Option<Box<str>>,
}

impl Error {
    /// The command line is wrong (exit code 2).
    pub fn usage(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Usage, ..Error::failed(message) }
    }

    /// An operation failed (exit code 2).
    pub fn failed(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Failed, message: message.into(), causes: Vec::new(), hint: None, url: None }
    }

    /// An image or signature is not trusted, or is not the requested one (exit code 3).
    pub fn refused(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Refused, ..Error::failed(message) }
    }

    /// A request failed (exit code 2).
    pub fn request_failed(url: impl fmt::Display) -> Error {
        Error { url: Some(url.to_string().into()), ..Error::failed(format!("cannot download {url}")) }
    }

    /// A word of the command line or of a file is not valid (exit code 2).
    pub fn invalid_word(what: &str, found: &str, expected: &str) -> Error {
        Error::failed(format!("{found:?} is not a {what}: expected {expected}"))
    }

    /// A panic that was caught, in another thread or in a parser of untrusted bytes: a bug, here or in a dependency.
    fn from_panic(what: &str, panic: &(dyn Any + Send)) -> Error {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Error::failed(format!("{what} panicked")).with_cause(text.unwrap_or("no message"))
    }

    /// Adds the innermost cause known so far. A cause without text, as some crates have, is left out.
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Error {
        self.causes.extend(Some(cause.to_string()).filter(|text| !text.is_empty()));
        self
    }

    /// Sets the command or step that fixes the error; the first hint (nearest to the cause) is kept.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// An operation failed because of another error, with the texts of its sources that it does not repeat itself.
    ///
    /// Not generic: each place that converts an error would compile this again.
    fn from_chain(message: String, error: &(dyn std::error::Error + 'static)) -> Error {
        if let Some(error) = error.downcast_ref::<Error>() {
            return error.clone().context(message);
        }
        let mut converted = Error::failed(message).with_cause(error);
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !converted.causes.iter().any(|known| known.contains(&text)) {
                converted = converted.with_cause(text);
            }
            source = cause.source();
        }
        converted
    }

    /// Sets the failed operation as the message; the old message becomes the first cause.
    pub fn context(mut self, message: impl Into<String>) -> Error {
        let inner = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, inner);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for Error {}

/// Converts any error into an [`Error`] with a message.
pub trait ResultExt<T> {
    /// Converts the error; `message` is the failed operation and its object, and is built only on failure. An [`Error`]
    /// keeps its kind and hint, as with [`Error::context`].
    fn with_context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;

    /// Converts the error; the message is `operation`, such as `cannot read`, and the path.
    fn with_path(self, operation: &str, path: &Path) -> Result<T>
    where
        Self: Sized,
    {
        self.with_context(|| format!("{operation} {}", path.display()))
    }
}

/// Adds to the [`Error`] of a result.
pub trait ErrorExt<T> {
    /// As [`Error::with_hint`].
    fn with_hint(self, hint: impl Into<String>) -> Result<T>;
}

impl<T> ErrorExt<T> for Result<T> {
    fn with_hint(self, hint: impl Into<String>) -> Result<T> {
        self.map_err(|error| error.with_hint(hint))
    }
}

impl<T, E: std::error::Error + 'static> ResultExt<T> for std::result::Result<T, E> {
    fn with_context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| Error::from_chain(message().into(), &error))
    }
}

/// The [`Error`] inside an I/O error, or a new one with its text.
pub fn error_from_read(error: std::io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(inner) => inner,
        Err(error) => Error::failed("cannot read to the end").with_cause(error),
    }
}

/// Runs code of a dependency on untrusted bytes; a panic in it is returned as an error.
pub fn catch_panic<T>(what: &str, run: impl FnOnce() -> T) -> Result<T> {
    // Unwind safety: the closure's state is dropped with it, so that no partial state is observed.
    panic_to_error(what, catch_unwind(AssertUnwindSafe(run)))
}

/// Converts the panic of a thread that was joined, such as of a parser on unexpected bytes.
///
/// Join every thread of a scope before the first error is returned: the scope itself panics if a thread that was not
/// joined panicked.
pub fn panic_to_error<T>(what: &str, joined: std::result::Result<T, Box<dyn Any + Send>>) -> Result<T> {
    joined.map_err(|panic| Error::from_panic(what, &*panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_becomes_an_error_with_its_message() {
        let given: [(Box<dyn Any + Send>, &str); 3] = [
            (Box::new("index out of bounds"), "index out of bounds"),
            (Box::new(String::from("no entry 7")), "no entry 7"),
            (Box::new(7), "no message"),
        ];
        for (panic, cause) in given {
            let error = Error::from_panic("the loader", &*panic);
            assert_eq!((error.kind, error.causes), (ErrorKind::Failed, vec![cause.to_owned()]));
        }
    }
}
