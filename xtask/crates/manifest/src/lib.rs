//! The manifests of an rkt stage1, which list the files that the build takes from an image, and coreos-common.mk, which
//! pins the image.
//!
//! - [`mod@file`], [`editor`], [`sort_order`]: a manifest as text, and edits of it with their reasons.
//! - [`common_mk`]: the pinned values as make reads them; [`stage1_sources`]: all files that a bump can change.
//! - [`selection`]: the nodes of an image that the manifests of a flavor list; [`unsatisfied_dependencies`],
//!   [`unit_and_script_execs`], [`unlisted_execs`], [`known_dlopens`] and [`replacement`]: analyses of it.
//! - [`rules`]: the checks and fixes; [`finding`] and [`suggestion`] are their results.
//! - [`plan`]: the plan of a bump, of an edit and of sorting, from sources to sources.
//!
//! The crate does no I/O: the caller reads the sources and writes the plan, and [`usr::UsrTree`] reads files of
//! the image.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "unit tests make files and take the time"))]

pub mod accepted_findings;
pub mod common_mk;
pub mod editor;
pub mod file;
pub mod finding;
pub mod image_index;
pub mod known_dlopens;
pub mod plan;
pub mod replacement;
pub mod rules;
pub mod selection;
pub mod shebang;
pub mod sort_order;
pub mod stage1_sources;
pub mod suggestion;
pub mod unit_and_script_execs;
pub mod unit_file;
pub mod unlisted_execs;
pub mod unneeded;
pub mod unsatisfied_dependencies;

pub(crate) fn exactly_one<T>(items: impl IntoIterator<Item = T>) -> Option<T> {
    let mut items = items.into_iter();
    items.next().filter(|_| items.next().is_none())
}
