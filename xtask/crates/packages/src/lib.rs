//! The packages inside an image.
//!
//! A Flatcar image names the owner of each file in `share/licenses/licenses.json.bz2` (flatcar/scripts,
//! `build_library/build_image_util.sh`, `write_licenses`); every release also publishes a signed list of its packages.
//!
//! - [`Package`] and [`PackageSet`]: the packages, and which of them owns a path.
//! - [`licenses`]: reads `licenses.json.bz2`, bounded; [`list`] reads the list of packages.
//! - [`changes`]: which packages differ between two releases, those of which the stage1 takes a file first.
//! - [`advisories`]: security fixes in the vendor's release notes. They are not signed, so they are a hint.
//! - [`sbom`]: the bill of materials of a flavor as SPDX 2.3 or CycloneDX 1.6; the same input gives the same bytes.
//!
//! Nothing here does I/O: the program passes bytes in and writes what comes out.

pub mod advisories;
pub mod changes;
pub mod licenses;
pub mod list;
mod package;
pub mod sbom;

pub use package::{Package, PackageSet};
