//! A release factory: images described as data, made into the real bytes that a release server would hold.
//!
//! [`image::ImageSpec`] is the description; [`pack`] makes squashfs, cpio and gzip of it; [`certificate`] signs;
//! [`release`] lays everything out as a server has it. The demo and the tests live on it; for pure tests
//! [`image::ImageSpec::tree`] skips the packing.
#![allow(clippy::disallowed_methods, reason = "the server listens on loopback")]

pub mod certificate;
pub mod elf;
pub mod from_paths;
mod identity_files;
pub mod image;
mod metadata_files;
pub mod pack;
mod package_database;
pub mod release;
pub mod server;
