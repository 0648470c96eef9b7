//! The edge: one outside thing a room. Nothing else in the crate touches the world.
#![allow(clippy::disallowed_methods, reason = "this is where the outside world is touched")]

pub mod apply;
pub mod boot;
pub mod build;
pub mod cache;
pub mod git;
pub mod http;
pub mod image;
pub mod loader;
pub mod openpgp;
pub mod repo;
pub mod reports;
pub mod rootfs;
pub mod settings;
pub mod signals;
pub mod term;
mod whole;
