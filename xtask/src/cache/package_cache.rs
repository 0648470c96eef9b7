//! The packages of an image in the cache, in a file of the same name as its tree.
//!
//! ```text
//! image-packages 1
//! file PATH
//! image DIGEST
//!
//! packages 1 …
//! ```

use std::path::{Path, PathBuf};

use super::dir::Cache;
use super::remove_old_entries::{is_missing, remove_old_entries};
use super::tree_cache::{self, FILE, image_path_in};
use crate::atomic_file;
use crate::bounded_file;
use crate::terminal::Term;
use coreos_types::error::{Result, ResultExt};
use packages::{PackageSet, licenses_json};
use pxe_image::{Digest, UsrSquashfs};
use usr::path::UsrPath;
use usr::tree::UsrTree;

const HEADER: &str = "image-packages 1";
/// Larger than the list of any image.
const MAX_PACKAGES: u64 = 64 << 20;

/// Reads the packages out of an open image; empty if it does not name them.
///
/// The packages are informative only, so a malformed database is a warning.
pub(super) fn read(term: &Term, image: &UsrSquashfs, tree: &UsrTree) -> PackageSet {
    let read = || -> Result<Option<PackageSet>> {
        let Ok(path) = UsrPath::new(licenses_json::PATH) else { return Ok(None) };
        let bytes = image.read_file(&path, licenses_json::MAX_COMPRESSED)?;
        bytes.map(|bytes| licenses_json::read_packages(bytes.as_slice(), tree)).transpose()
    };
    read()
        .unwrap_or_else(|error| {
            term.warn(format!("the packages of the image are not known: {error}"));
            None
        })
        .unwrap_or_default()
}

/// The stored packages of the image at `path`; `None` if there are none of an image with this digest.
pub(super) fn load(cache: &Cache, path: &Path, digest: Digest) -> Option<PackageSet> {
    let text = bounded_file::read_own(&cache_path(cache, path).ok()?, MAX_PACKAGES).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (head, packages) = text.split_once("\n\n")?;
    let is_same = head.strip_prefix(HEADER)?.ends_with(&format!("\nimage {}", digest.hex()));
    is_same.then(|| PackageSet::from_text(packages)).flatten()
}

/// Stores the packages of the image at `path`.
pub(super) fn store(cache: &Cache, path: &Path, digest: Digest, packages: &PackageSet) -> Result<()> {
    let file = cache_path(cache, path)?;
    let image = path.to_str().filter(|path| !path.contains(char::is_control)).unwrap_or_default();
    let text = format!("{HEADER}\n{FILE}{image}\nimage {}\n\n{}", digest.hex(), packages.to_text());
    atomic_file::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    remove_old_entries(&cache.dir("packages")?, |file| {
        image_path_in(file).is_some_and(|image| is_missing(&image))
    });
    Ok(())
}

pub(super) fn cache_path(cache: &Cache, path: &Path) -> Result<PathBuf> {
    let tree = tree_cache::cache_path(cache, path)?;
    Ok(cache.dir("packages")?.join(tree.file_name().unwrap_or_default()))
}
