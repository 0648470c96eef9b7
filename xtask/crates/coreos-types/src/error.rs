//! What stops the work: a message, its causes, and the command that fixes it.
//!
//! A person's mistake in a manifest is a finding, never a [`Error`]. Messages are lower case, without a full
//! stop, and name the path or URL, what was expected and what was found.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The result of everything that can be stopped by the outside world.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the work stopped, as the exit code tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line is wrong (exit code 2).
    Usage,
    /// Network, I/O, a missing tool, a malformed file (exit code 2).
    Failed,
    /// The image or its signature is not trusted, or is not what was requested (exit code 3).
    Refused,
}

impl ErrorKind {
    /// The word in JSON.
    pub fn id(self) -> &'static str {
        match self {
            ErrorKind::Usage => "usage",
            ErrorKind::Failed => "failed",
            ErrorKind::Refused => "refused",
        }
    }
}

/// One error with its chain of causes, outermost first, and a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Decides the exit code.
    pub kind: ErrorKind,
    /// What could not be done, with the path or URL.
    pub message: String,
    /// Why, from the nearest cause to the root.
    pub causes: Vec<String>,
    /// The command, or the step, that fixes it.
    pub hint: Option<String>,
}

impl Error {
    /// The command line is wrong (exit code 2).
    pub fn usage(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Usage, ..Error::failed(message) }
    }

    /// Something could not be done (exit code 2).
    pub fn failed(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Failed, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// Something is not trusted, or is not what was requested (exit code 3).
    pub fn refused(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Refused, ..Error::failed(message) }
    }

    /// A panic that was caught in another thread: a bug, here or in a crate that met what it did not expect.
    pub fn from_panic(message: impl Into<String>, panic: &(dyn Any + Send)) -> Error {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Error::failed(message).with_cause(text.unwrap_or("it panicked, and gave no reason"))
    }

    /// The same of code that read bytes which may mean harm.
    pub fn from_reader_panic(what: &str, panic: &(dyn Any + Send)) -> Error {
        Error::from_panic(format!("{what} gave up on these bytes"), panic)
    }

    /// Adds the innermost cause known so far. Errors of some crates have no text: they tell nothing, and are left out.
    #[must_use]
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Error {
        self.causes.extend(Some(cause.to_string()).filter(|text| !text.is_empty()));
        self
    }

    /// Sets the command or step that fixes it; the first hint given (nearest to the cause) is kept.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Puts what was being done in front; the old message becomes the first cause.
    #[must_use]
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

/// Turns a foreign error into a [`Error`] with a message of ours in front.
pub trait ResultExt<T> {
    /// `message` says what was being done and on what; it is built only on failure.
    fn with_context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: std::error::Error> ResultExt<T> for std::result::Result<T, E> {
    fn with_context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| {
            let mut fault = Error::failed(message()).with_cause(&error);
            let mut source = error.source();
            while let Some(cause) = source {
                let text = cause.to_string();
                // Many crates repeat the source in their own text.
                if !fault.causes.iter().any(|known| known.contains(&text)) {
                    fault = fault.with_cause(text);
                }
                source = cause.source();
            }
            fault
        })
    }
}

/// The [`Error`] inside an I/O error, or one made of it.
pub fn error_from_io(error: std::io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(inner) => inner,
        Err(error) => Error::failed("cannot read to the end").with_cause(error),
    }
}

/// Runs code that is not ours on bytes that may mean harm: a panic in it comes out as a error.
///
/// # Errors
/// It panicked; the cause is what it said.
pub fn catch_panic<T>(what: &str, run: impl FnOnce() -> T) -> Result<T> {
    // Whatever the closure was building is dropped with it, so nothing half made is seen afterwards.
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| Error::from_reader_panic(what, &*panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_elsewhere_is_a_fault_that_says_what_it_said() {
        let given: [(Box<dyn Any + Send>, &str); 3] = [
            (Box::new("index out of bounds"), "index out of bounds"),
            (Box::new(String::from("no entry 7")), "no entry 7"),
            (Box::new(7), "it panicked, and gave no reason"),
        ];
        for (panic, cause) in given {
            let fault = Error::from_panic("asking the loader failed", &*panic);
            assert_eq!((fault.kind, fault.causes), (ErrorKind::Failed, vec![cause.to_owned()]));
        }
    }
}
