//! The guide's example as a tree and a release server of its own, for `demo` and for tests.

pub mod example;
pub mod scratch;
mod session;

pub use session::run;
