//! What an image's `/usr` holds: paths, ELF files, the tree, who links what, and what the image says it is.
//!
//! The two upper storeys of the tool ([`coreos`], the field's words, and the image itself) in a crate of their own:
//! nothing here can reach the outside world, since no crate that does is at hand, and the dev profile optimises this
//! crate, which every path of a 23,000-node image passes through, without paying for the rest.
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
