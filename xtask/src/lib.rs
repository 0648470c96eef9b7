//! The program behind `cargo xtask`: all of its input and output.
//!
//! [`cli`] parses the command line and [`run`] dispatches to one of [`commands`]; the crates in `xtask/crates` have the
//! logic without input and output.
#![allow(clippy::disallowed_methods, reason = "input and output are the business of this crate")]

mod accepted_findings_toml;
mod advisories;
mod atomic_file;
mod bounded_file;
pub mod cache;
pub mod cli;
pub mod commands;
pub mod config;
pub mod context;
pub mod demo;
pub mod git;
mod github_actions;
pub mod http;
mod images;
pub mod keyring;
mod output_file;
mod package_comparison;
pub mod release_url;
pub mod repo;
pub mod report;
pub mod run;
pub mod signals;
mod smoketest;
mod taken_paths;
pub mod terminal;
mod trusted_owners;
mod unneeded;
mod unsupported_lock;
mod verbose_log;

pub use smoketest::sandbox::namespace_entry;
