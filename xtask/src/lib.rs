//! Keeps the operating-system image pinned in an rkt-style tree honest.
//!
//! The modules stand in storeys; a file uses only what stands above it in this list, and nothing above
//! [`edge`] touches the world: no file system, network, process, environment, clock or print.
//!
//! `bump-coreos` as data passing through: [`flags`] reads the command line; [`edge::repo`] reads the tree into
//! [`plan::sources::Stage1Sources`]; [`edge::http`], [`edge::openpgp`] and [`edge::cache`] bring a proved image,
//! which [`edge::image`] turns into a [`usr::tree::UsrTree`]; the pure storeys make fixes and findings of both;
//! [`edge::apply`] puts the difference on disk, all of it or nothing; [`report`] tells it.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "unit tests make files and take the time"))]

pub mod fault;

pub use usr::coreos;

pub use usr;

pub mod manifest;
pub mod plan;

pub mod report;

pub mod edge;

pub mod flags;

pub mod cmd;
pub mod demo;

pub mod run;
