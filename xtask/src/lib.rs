//! The program behind `cargo xtask`: all of its input and output.
//!
//! [`cli`] parses the command line and [`run`] dispatches to one of [`commands`]; the crates in `xtask/crates` have the
//! logic without input and output.
#![allow(clippy::disallowed_methods, reason = "input and output are the business of this crate")]

mod accepted_findings_toml;
mod advisories;
pub mod atomic_file;
pub mod bounded_file;
pub mod cache;
pub mod cli;
pub mod commands;
pub mod config;
pub mod context;
pub mod demo;
pub mod git;
mod github_actions;
pub mod http;
pub mod images;
pub mod keyring;
pub mod release_dir;
pub mod repo;
pub mod report;
pub mod run;
pub mod signals;
pub mod smoketest;
mod taken_paths;
pub mod terminal;
pub mod trusted_owners;
mod unneeded;
pub mod unsupported_lock;
pub mod verbose_log;
