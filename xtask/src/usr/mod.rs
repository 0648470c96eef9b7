//! What the image holds: paths, ELF files, the tree, who links what, and what the image says it is.

pub mod contents;
pub mod elf;
pub mod facts;
pub mod identity;
pub mod link;
pub mod name;
pub mod path;
pub mod tree;
