//! Generator of releases: images described as data, packed into the bytes that a release server has.
//!
//! [`image_spec::ImageSpec`] is the description; [`pack`] packs it as squashfs, cpio and gzip; [`certificate`] signs;
//! [`site`] arranges the files of a release server. The demo and the tests use the crate; for tests without I/O,
//! [`image_spec::ImageSpec::tree`] skips the packing.
#![allow(clippy::disallowed_methods, reason = "the server listens on loopback")]

pub mod certificate;
pub mod elf;
mod identity_files;
pub mod image_spec;
pub mod infer_from_paths;
mod licenses_json;
mod metadata_files;
pub mod pack;
pub mod server;
pub mod site;
