//! The cache directory of one release for one board: its verified images, each with the URLs that served it.

use std::cmp::Reverse;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::dir::{Cache, create_private_dir, writable_dir_hint};
use super::sig_file::sig_path;
use crate::atomic_file;
use crate::bounded_file;
use crate::http::MAX_SIGNATURE_LEN;
use crate::release_url::ReleaseUrl;
use coreos_types::{Board, ErrorExt, Release, Result, ResultExt, Vendor, shell::quote};
use pxe_image::Digest;

/// Larger than any list of origins, which has a few URLs.
const MAX_ORIGINS: u64 = 64 << 10;

/// The directory, created with its first image. Reading needs no lock: an image appears with one rename, after the
/// files next to it.
pub struct ReleaseCache {
    pub(super) directory: PathBuf,
    /// The name of the image's file.
    pub(super) image: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CachedImage {
    pub(super) image: PathBuf,
    pub(super) signature: Vec<u8>,
    /// Every URL that served this image under this signature, the newest last.
    pub(super) origins: Vec<String>,
    modified: SystemTime,
}

impl CachedImage {
    pub(super) fn has_origin(&self, url: &str) -> bool {
        self.origins.iter().any(|origin| origin == url)
    }
}

impl ReleaseCache {
    /// The directory of a release in `cache`.
    pub fn new(cache: &Cache, vendor: &Vendor, board: Board, release: &Release) -> Result<ReleaseCache> {
        let below: PathBuf = ["releases", vendor.id, board.id(), release.as_str()].iter().collect();
        Ok(ReleaseCache { directory: cache.private_path(below)?, image: vendor.pxe_image })
    }

    /// The images of the release, the newest first. Files of other users and unreadable signatures are skipped.
    pub(super) fn images(&self) -> Result<Vec<CachedImage>> {
        let mut found = Vec::new();
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
            entries => {
                let hint = writable_dir_hint(&self.directory);
                entries.with_path("cannot read", &self.directory).with_hint(hint)?
            }
        };
        for entry in entries {
            let image = entry.with_path("cannot read", &self.directory)?.path().join(self.image);
            // A file of another user is not trusted, and one unreadable file does not affect the others.
            let metadata = bounded_file::own_file_metadata(&image);
            let Some(modified) = metadata.and_then(|found| found.modified().ok()) else { continue };
            if let Ok(signature) = bounded_file::read_owned_by_user(&sig_path(&image), MAX_SIGNATURE_LEN) {
                let origins = read_origins(&image);
                found.push(CachedImage { image, signature, origins, modified });
            }
        }
        found.sort_by_key(|cached| Reverse(cached.modified));
        Ok(found)
    }

    /// The path of the image with this digest, which may not exist.
    pub(super) fn image_path(&self, digest: Digest) -> PathBuf {
        self.directory.join(digest.hex()).join(self.image)
    }

    /// Moves a verified file to its path, and stores its signature and origin.
    pub(super) fn insert(&self, file: &Path, digest: Digest, signature: &[u8], url: &str) -> Result<()> {
        let image = self.image_path(digest);
        let directory = self.directory.join(digest.hex());
        create_private_dir(&directory)?;
        // The URLs that served another signature are not known to serve this one.
        let is_same = |cached: &CachedImage| cached.image == image && cached.signature == signature;
        let known = self.images()?.into_iter().find(is_same).map(|cached| cached.origins);
        write_atomically(&sig_path(&image), signature)?;
        write_origins(&image, known.unwrap_or_default(), url)?;
        let hint = writable_dir_hint(&image);
        fs::rename(file, &image).with_path("cannot store the image as", &image).with_hint(hint)
    }
}

/// The URLs that served a cached image.
pub(super) fn read_origins(image: &Path) -> Vec<String> {
    let text = bounded_file::read_owned_by_user(&origins_path(image), MAX_ORIGINS).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    // A line that is not the URL of an image was not written by this program.
    text.lines().filter(|line| ReleaseUrl::from_image_url(line).is_ok()).map(str::to_owned).collect()
}

/// The path of the file with the origins of a cached image.
pub(super) fn origins_path(image: &Path) -> PathBuf {
    image.with_file_name("from")
}

/// Stores `url` as the newest origin of a cached image, after the `known` ones.
pub(super) fn write_origins(image: &Path, mut known: Vec<String>, url: &str) -> Result<()> {
    known.retain(|origin| origin != url);
    known.push(url.to_owned());
    write_atomically(&origins_path(image), (known.join("\n") + "\n").as_bytes())
}

/// Replaces a file of the cache.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic_file::write(path, bytes).with_path("cannot write", path).with_hint(match path.is_dir() {
        true => remove_command(path),
        false => writable_dir_hint(path),
    })
}

/// The command that removes a directory where a file of the cache should be.
pub(super) fn remove_command(path: &Path) -> String {
    format!("rm -r -- {}", quote(&path.display().to_string()))
}
