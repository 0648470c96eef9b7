//! The `/usr` of an image as data: paths, the tree of files, ELF headers, and the model of ld.so(8).
//!
//! - [`path`], [`lossless_text`]: paths relative to `/usr`, and names that are not UTF-8.
//! - [`tree`], [`file_info`]: the nodes of an image, and what is known of the content of a file.
//! - [`elf`], [`ldso`]: what a program or library needs, and which files the dynamic loader takes for it.
//! - [`identity`], [`contents_list`], [`known_execs`], [`name_index`]: the release of an image, the published lists of
//!   its files, and lookups by name.
//!
//! The crate does no I/O. The dev profile optimises it, since every path of an image passes through it.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "unit tests make files and take the time"))]

pub mod lossless_text;
pub mod path;

pub mod elf;

pub mod file_info;
pub mod tree;

pub mod contents_list;
pub mod identity;
pub mod known_execs;
pub mod ldso;
pub mod name_index;
