//! The packages of an image in the cache: the header of [`ImageEntryKind`], an empty line, and their text form.

use std::path::Path;

use super::dir::Cache;
use super::image_entries::ImageEntryKind;
use crate::bounded_file;
use crate::terminal::Term;
use coreos_types::Result;
use packages::{PackageSet, licenses_json};
use pxe_image::{Digest, UsrSquashfs};
use usr::{UsrPath, UsrTree};

pub(super) const PACKAGES: ImageEntryKind =
    ImageEntryKind { directory: "packages", format: "image-packages 1", max_len: 16 << 20 };

/// Reads the packages out of an open image; empty if it does not name them.
///
/// The packages are informative only, so a malformed database is a warning.
pub(super) fn read_from_image(term: &Term, image: &UsrSquashfs, tree: &UsrTree) -> PackageSet {
    let Ok(path) = UsrPath::new(licenses_json::PATH) else { return PackageSet::default() };
    let packages = image.read_file(&path, licenses_json::MAX_COMPRESSED).and_then(|bytes| match bytes {
        Some(bytes) => licenses_json::read_packages(bytes.as_slice(), tree),
        None => Ok(PackageSet::default()),
    });
    packages.unwrap_or_else(|error| {
        term.warn(format!("the packages of the image are not known: {error}"));
        PackageSet::default()
    })
}

/// The stored packages of the image at `path`; `None` if the cache has none for this digest.
pub(super) fn load(cache: &Cache, path: &Path, digest: Digest) -> Option<PackageSet> {
    let text = bounded_file::read_owned_by_user(&PACKAGES.path(cache, path).ok()?, PACKAGES.max_len).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (header, packages) = text.split_once("\n\n")?;
    let (found, _) = PACKAGES.parse_header(header)?;
    (found == digest).then(|| PackageSet::from_text(packages)).flatten()
}

/// Stores the packages of the image at `path`.
pub(super) fn store(cache: &Cache, path: &Path, digest: Digest, packages: &PackageSet) -> Result<()> {
    PACKAGES.store(cache, path, format!("{}\n\n{}", PACKAGES.header(path, digest), packages.to_text()))
}
