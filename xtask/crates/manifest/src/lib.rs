//! What stage1 takes from the image: the manifests, what is wrong in them, and how that is mended.
//!
//! [`stage`] is what a flavor's manifests make of an image; [`check`] says what is wrong with it; [`mend`] changes
//! the manifests, and what it leaves is what [`check`] then finds.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "unit tests make files and take the time"))]

pub mod check;
pub mod dependencies;
pub mod editor;
pub mod exec_references;
pub mod file;
pub mod finding;
pub mod image_index;
pub mod known_dlopens;
pub mod known_execs;
pub mod library_name;
pub mod malformed_line;
pub mod mend;
pub mod plan;
pub mod replacement;
pub mod selection;
pub mod sort_order;
pub mod suggestion;
