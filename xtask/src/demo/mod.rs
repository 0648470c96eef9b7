//! The guide's example as a tree and a release server of its own, for `demo` and for tests.

mod command;
pub mod demo_dir;
pub mod example;

pub use command::run;
