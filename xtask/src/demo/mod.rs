//! A release of our own making: what the demo shows and the tests live on.

pub mod example;
pub mod scratch;
mod stage;

pub use stage::run;
