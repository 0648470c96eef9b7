//! The packages inside an image.
//!
//! A Flatcar image names the owner of each file in `share/licenses/licenses.json.bz2` (flatcar/scripts,
//! `build_library/build_image_util.sh`, `write_licenses`); every release also publishes a signed list of its packages.
//!
//! - [`Package`] and [`PackageSet`]: the packages and the paths that they own.
//! - [`licenses_json`]: reads `licenses.json.bz2`, bounded; [`parse_packages`] reads the list of packages.
//! - [`package_changes`]: the packages that differ between two releases; those with a file in the stage1 are first.
//! - [`release_notes`]: security fixes in the vendor's release notes. They are not signed, so they are a hint.
//! - [`sbom`]: the bill of materials of a flavor as SPDX 2.3 or CycloneDX 1.6; the same input gives the same bytes.
//!
//! The crate does no I/O: the program passes the input as bytes and writes the output.

pub mod licenses_json;
mod package;
pub mod package_changes;
pub mod release_notes;
pub mod sbom;

pub use package::{Package, PackageSet, parse_packages};
