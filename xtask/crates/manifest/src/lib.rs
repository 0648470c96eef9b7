//! What stage1 takes from the image: the manifests, what is wrong in them, and how that is mended.
//!
//! [`stage`] is what a flavor's manifests make of an image; [`check`] says what is wrong with it; [`mend`] changes
//! the manifests, and what it leaves is what [`check`] then finds.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "unit tests make files and take the time"))]

pub mod byname;
pub mod check;
pub mod draft;
pub mod finding;
pub mod form;
pub mod index;
pub mod library;
pub mod mend;
pub mod needs;
pub mod order;
pub mod plan;
pub mod remedy;
pub mod stage;
pub mod successor;
pub mod text;
pub mod units;
