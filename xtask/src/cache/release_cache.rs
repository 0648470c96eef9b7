//! The directory of one release for one board: the images that were verified, and where each is known to come from.

use std::cmp::Reverse;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::dir::Cache;
use super::sig_file::sig_path;
use crate::atomic_file;
use crate::bounded_file;
use crate::http::MAX_SIGNATURE_LEN;
use crate::release_dir::ReleaseDir;
use coreos_types::error::{Result, ResultExt};
use coreos_types::release::{Board, Brand, Release};
use pxe_image::Sha256Digest;

/// Longest list of origins: a few URLs.
const MAX_ORIGINS: u64 = 64 << 10;

/// One directory, made when there is something to put into it. What is read here needs no lock: an image appears by one rename, after what stands next to it.
pub(super) struct ReleaseCache {
    pub(super) directory: PathBuf,
    /// The name of the image's file.
    pub(super) image: &'static str,
}

/// A verified image in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CachedImage {
    pub(super) image: PathBuf,
    pub(super) signature: Vec<u8>,
    /// Every URL that served this image under this signature, the newest last.
    pub(super) origins: Vec<String>,
    modified: SystemTime,
}

impl CachedImage {
    /// The file that has the origins.
    pub(super) fn origins_path(&self) -> PathBuf {
        origins(&self.image)
    }

    pub(super) fn has_origin(&self, url: &str) -> bool {
        self.origins.iter().any(|origin| origin == url)
    }
}

impl ReleaseCache {
    pub(super) fn new(cache: &Cache, brand: Brand, board: Board, release: &Release) -> Result<ReleaseCache> {
        let below: PathBuf = ["releases", brand.id(), board.id(), release.as_str()].iter().collect();
        Ok(ReleaseCache { directory: cache.path(below)?, image: brand.pxe_image() })
    }

    /// Every image that was put here, the newest first.
    pub(super) fn images(&self) -> Result<Vec<CachedImage>> {
        let about = || format!("cannot read {}", self.directory.display());
        let mut found = Vec::new();
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
            entries => entries.with_context(about)?,
        };
        for entry in entries {
            let image = entry.with_context(about)?.path().join(self.image);
            let Ok(metadata) = fs::symlink_metadata(&image) else { continue };
            let Ok(modified) = metadata.modified() else { continue };
            // What somebody else put here is not used, and what cannot be read does not spoil the rest.
            if !metadata.is_file() || !bounded_file::is_own(&metadata) {
                continue;
            }
            if let Ok(signature) = bounded_file::read_own(&sig_path(&image), MAX_SIGNATURE_LEN) {
                let origins = origins_of(&image);
                found.push(CachedImage { image, signature, origins, modified });
            }
        }
        found.sort_by_key(|kept| Reverse(kept.modified));
        Ok(found)
    }

    /// The path that an image gets, or has, here.
    pub(super) fn image_path(&self, digest: Sha256Digest) -> PathBuf {
        self.directory.join(digest.hex()).join(self.image)
    }

    /// Gives a verified file its name, and notes where it came from.
    pub(super) fn insert(
        &self,
        file: &Path,
        digest: Sha256Digest,
        signature: &[u8],
        url: &str,
    ) -> Result<()> {
        let image = self.image_path(digest);
        let directory = self.directory.join(digest.hex());
        let about = || format!("cannot put the image into {}", directory.display());
        fs::create_dir_all(&directory).with_context(about)?;
        // What came with another signature is not known to come with this one.
        let mut known = Vec::new();
        if bounded_file::read_own(&sig_path(&image), MAX_SIGNATURE_LEN).is_ok_and(|kept| kept == signature) {
            known = self
                .images()?
                .into_iter()
                .find(|kept| kept.image == image)
                .map_or(known, |kept| kept.origins);
        }
        write_whole(&sig_path(&image), signature)?;
        write_origins(&image, known, url)?;
        fs::rename(file, &image).with_context(about)
    }

    /// Notes that `url` serves a kept image too. Where that cannot be written, the URL is asked again the next time.
    pub(super) fn add_origin(&self, kept: &CachedImage, url: &str) -> Result<()> {
        write_origins(&kept.image, kept.origins.clone(), url)
    }
}

/// The URLs that served a cached image.
pub(super) fn origins_of(image: &Path) -> Vec<String> {
    let text = bounded_file::read_own(&origins(image), MAX_ORIGINS).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    // A line that is not an image's URL was not written here.
    text.lines().filter(|line| ReleaseDir::from_image_url(line).is_ok()).map(str::to_owned).collect()
}

fn origins(image: &Path) -> PathBuf {
    image.with_file_name("from")
}

fn write_origins(image: &Path, mut known: Vec<String>, url: &str) -> Result<()> {
    known.retain(|origin| origin != url);
    known.push(url.to_owned());
    write_whole(&origins(image), (known.join("\n") + "\n").as_bytes())
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic_file::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
