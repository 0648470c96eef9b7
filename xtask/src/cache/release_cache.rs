//! The folder of one release for one board: the images that were proved, and where each is known to come from.

use std::cmp::Reverse;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::dir::Cache;
use super::sig_file::{self, beside};
use crate::atomic_file;
use crate::release_dir::ReleaseDir;
use coreos_types::error::{Result, ResultExt};
use coreos_types::release::{Board, Brand, Release};
use pxe_image::Digest;

/// One folder, made when there is something to put into it. What is read here needs no lock: an image appears by one rename, after what stands beside it.
pub(super) struct ReleaseCache {
    pub(super) folder: PathBuf,
    /// The name of the image's file.
    pub(super) image: &'static str,
}

/// A proved image in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CachedImage {
    pub(super) image: PathBuf,
    pub(super) signature: Vec<u8>,
    /// Every URL that served this image under this signature, the newest last.
    pub(super) origins: Vec<String>,
    placed: SystemTime,
}

impl CachedImage {
    /// The file that has the origins.
    pub(super) fn noted_in(&self) -> PathBuf {
        origins(&self.image)
    }

    pub(super) fn is_from(&self, url: &str) -> bool {
        self.origins.iter().any(|origin| origin == url)
    }
}

impl ReleaseCache {
    pub(super) fn new(cache: &Cache, brand: Brand, board: Board, release: &Release) -> Result<ReleaseCache> {
        let below: PathBuf = ["releases", brand.id(), board.id(), release.as_str()].iter().collect();
        Ok(ReleaseCache { folder: cache.place(below)?, image: brand.pxe_image() })
    }

    /// Every image that was put here, the newest first.
    pub(super) fn images(&self) -> Result<Vec<CachedImage>> {
        let about = || format!("cannot read {}", self.folder.display());
        let mut found = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
            entries => entries.with_context(about)?,
        };
        for entry in entries {
            let image = entry.with_context(about)?.path().join(self.image);
            let Ok(placed) = fs::metadata(&image).and_then(|found| found.modified()) else { continue };
            if let Some(signature) = sig_file::read(&beside(&image))? {
                let origins = fs::read_to_string(origins(&image)).unwrap_or_default();
                // What is no address was not written here.
                let origins = origins.lines().filter(|line| ReleaseDir::from_image_url(line).is_ok());
                let origins = origins.map(str::to_owned).collect();
                found.push(CachedImage { image, signature, origins, placed });
            }
        }
        found.sort_by_key(|kept| Reverse(kept.placed));
        Ok(found)
    }

    /// The path that an image gets, or has, here.
    pub(super) fn place(&self, digest: Digest) -> PathBuf {
        self.folder.join(digest.hex()).join(self.image)
    }

    /// Gives a proved file its name, and notes where it came from.
    pub(super) fn put(&self, file: &Path, digest: Digest, signature: &[u8], url: &str) -> Result<()> {
        let image = self.place(digest);
        let folder = self.folder.join(digest.hex());
        let about = || format!("cannot put the image into {}", folder.display());
        fs::create_dir_all(&folder).with_context(about)?;
        // What came with another signature is not known to come with this one.
        let mut known = Vec::new();
        if sig_file::read(&beside(&image))?.is_some_and(|kept| kept == signature) {
            known = self
                .images()?
                .into_iter()
                .find(|kept| kept.image == image)
                .map_or(known, |kept| kept.origins);
        }
        write_whole(&beside(&image), signature)?;
        note(&image, known, url)?;
        fs::rename(file, &image).with_context(about)
    }

    /// Notes that `url` serves a kept image too. Where that cannot be written, the URL is asked again the next time.
    pub(super) fn also_from(&self, kept: &CachedImage, url: &str) -> Result<()> {
        note(&kept.image, kept.origins.clone(), url)
    }
}

fn origins(image: &Path) -> PathBuf {
    image.with_file_name("from")
}

fn note(image: &Path, mut known: Vec<String>, url: &str) -> Result<()> {
    known.retain(|origin| origin != url);
    known.push(url.to_owned());
    write_whole(&origins(image), (known.join("\n") + "\n").as_bytes())
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic_file::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
