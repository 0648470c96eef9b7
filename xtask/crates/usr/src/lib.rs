//! The `/usr` of an image as data: paths, the tree of files, ELF headers, and the model of ld.so(8).
//!
//! - [`UsrPath`], [`lossless_text`]: paths relative to `/usr`, and names that are not UTF-8.
//! - [`tree`], [`file_info`]: the nodes of an image, and the content info of its files.
//! - [`elf`], [`ldso`]: the dependencies of a program or library, and the files that the dynamic loader resolves them to.
//! - [`identity`], [`published_lists`], [`known_execs`]: the release of an image, the published lists of its files, and
//!   the programs that others start.
//! - [`library_name`], [`name_index`]: the parts of a library's name, and lookups by name.
//!
//! The crate does no I/O. The dev profile optimises it, because it processes every path of an image.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "unit tests create files and read the clock"))]

pub mod lossless_text;
mod path;

pub mod elf;
pub mod glob;

pub mod file_info;
pub mod tree;

pub mod identity;
pub mod known_execs;
pub mod ldso;
pub mod library_name;
pub mod name_index;
pub mod published_lists;

pub use self::elf::{DlopenPriority, ElfInfo};
pub use self::file_info::{FileInfo, FileInfoReader};
pub use self::ldso::DynamicLoader;
pub use self::library_name::{LibraryName, NameKind};
pub use self::path::UsrPath;
pub use self::tree::{Node, NodeKind, ResolutionEnd, UsrTree};
