//! The integration tests: one binary, one link.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod schema;
mod demo_factory;
