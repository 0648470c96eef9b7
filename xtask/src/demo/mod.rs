//! A release of our own making: what the demo shows and the tests live on.
#![allow(clippy::disallowed_methods, reason = "the demo serves releases and keeps a scratch tree")]

pub mod example;
pub mod factory;
pub mod scratch;
pub mod server;
mod stage;

pub use stage::run;
