//! Opens the image of a release: from the cache, else from the network.

use super::expiry;
use super::image::ImageHandle;
use super::image_store::{ImageStore, no_signature};
use super::release_cache::{CachedImage, ReleaseCache};
use crate::http::{MAX_IMAGE_LEN, MAX_SIGNATURE_LEN};
use crate::release_dir::ReleaseDir;
use crate::terminal::Silent;
use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::provenance::Signer;
use coreos_types::release::{Board, Brand, Release};

/// The image to open, and where it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRequest {
    /// Its vendor.
    pub brand: Brand,
    /// Its board.
    pub board: Board,
    /// Its release.
    pub release: Release,
    /// Directories in the order in which they are tried.
    pub places: Vec<ReleaseDir>,
}

/// Compares a verified image with the request, since a wrong image may be signed as well as any. An image that this
/// check refuses is not cached.
pub type Judge<'j> = &'j dyn Fn(&ImageHandle) -> Result<()>;

impl ImageStore<'_> {
    /// Opens the image of a release from the first directory that has it; `None` where none has. Its origin is the URL
    /// that served it. A cached image serves the URLs that it is known to come from, and offline any.
    ///
    /// # Errors
    /// It is not available, or is refused.
    pub fn release(&self, wanted: &ReleaseRequest, judge: Judge<'_>) -> Result<Option<ImageHandle>> {
        let shelf = ReleaseCache::new(&self.cache, wanted.brand, wanted.board, &wanted.release)?;
        let urls = wanted.places.iter().map(ReleaseDir::image_url);
        if self.client.is_offline() {
            return self.open_offline(&shelf, &urls.collect::<Vec<_>>(), judge).map(Some);
        }
        for url in urls {
            if let Some(image) = self.open_url(&shelf, &url, judge)? {
                return Ok(Some(image));
            }
        }
        Ok(None)
    }

    /// The newest release, from the signed `version.txt` of a `current` directory.
    ///
    /// # Errors
    /// It is not available, not signed, or names no release.
    pub fn latest(&self, current: &ReleaseDir, brand: Brand) -> Result<(Release, Signer)> {
        let url = current.file_url("version.txt");
        self.version_file(&url, brand)?.ok_or_else(|| {
            Error::failed(format!("{url} does not exist"))
                .with_hint("name the release by its number instead of latest")
        })
    }

    /// The release that a signed `version.txt` names, and who signed it; `None` where there is no such file.
    ///
    /// # Errors
    /// It is not available, not signed, or names no release.
    pub fn version_file(&self, url: &str, brand: Brand) -> Result<Option<(Release, Signer)>> {
        let Some((bytes, signer)) = self.list(url)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let key = format!("{}_VERSION_ID=", brand.variable_prefix());
        let value = text.lines().find_map(|line| line.strip_prefix(&key));
        let value = value.ok_or_else(|| Error::failed(format!("{url} has no line {key}…")))?;
        let release = value.trim_matches('"').parse().with_context(|| format!("cannot use {url}"))?;
        Ok(Some((release, signer)))
    }

    /// Opens a cached image: one that is known to come from one of these URLs, else any.
    fn open_offline(&self, shelf: &ReleaseCache, urls: &[String], judge: Judge<'_>) -> Result<ImageHandle> {
        urls.iter().try_for_each(|url| self.client.check_url(url))?;
        let images = shelf.images()?;
        let asked = urls
            .iter()
            .flat_map(|url| images.iter().filter(|kept| kept.has_origin(url)).map(move |kept| (kept, url)));
        let others = images.iter().filter(|kept| !urls.iter().any(|url| kept.has_origin(url)));
        let others = others.filter_map(|kept| kept.origins.last().map(|url| (kept, url)));
        let mut refused = None;
        for (kept, url) in asked.chain(others) {
            match self.open_cached(kept, url, judge) {
                Ok(image) => return Ok(image),
                Err(error) => refused = Some(error),
            }
        }
        let first = urls.first().map(String::as_str).unwrap_or_default();
        let unknown = images.iter().find(|kept| kept.origins.is_empty());
        Err(refused.unwrap_or_else(|| {
            unknown.iter().fold(self.client.offline_error(first), |error, kept| {
                let lost = kept.origins_path();
                error.with_cause(format!(
                    "an image is cached, and {} does not name its origin",
                    lost.display()
                ))
            })
        }))
    }

    /// Opens the image at one URL: a cached one that is known to come from there, else what the server has now.
    fn open_url(&self, shelf: &ReleaseCache, url: &str, judge: Judge<'_>) -> Result<Option<ImageHandle>> {
        self.client.check_url(url)?;
        let images = shelf.images()?;
        if !images.iter().any(|kept| kept.has_origin(url)) {
            self.term.detail("cache", format!("{url}: no cached image is known to come from there"));
        }
        for kept in images.iter().filter(|kept| kept.has_origin(url)) {
            match self.open_cached(kept, url, judge) {
                Ok(image) => return Ok(Some(image)),
                Err(error) => self.term.warn(format!("{error}; downloading it again")),
            }
        }
        let signature = self.client.get_bytes(&format!("{url}.sig"), MAX_SIGNATURE_LEN);
        let signature =
            signature.map_err(|error| match images.iter().find_map(|kept| kept.origins.last()) {
                Some(other) => {
                    error.with_cause(format!("the cache has the image from {other}: --offline uses it"))
                }
                None => error,
            })?;
        let Some(signature) = signature else {
            // A release that is not there has no signature either; an image without one is refused.
            return if self.url_exists(url)? { Err(no_signature(url)) } else { Ok(None) };
        };
        for kept in images.iter().filter(|kept| !kept.has_origin(url) && kept.signature == signature) {
            if !self.url_exists(url)? {
                return Ok(None);
            }
            match self.open_cached(kept, url, judge) {
                Ok(image) => {
                    if let Err(error) = shelf.add_origin(kept, url) {
                        self.term.detail("cache", error);
                    }
                    return Ok(Some(image));
                }
                Err(error) => self.term.warn(format!("{error}; downloading it again")),
            }
        }
        self.download(shelf, &images, url, &signature, judge)
    }

    /// Whether the server has the file, by the header section of its response.
    pub(super) fn url_exists(&self, url: &str) -> Result<bool> {
        Ok(self.client.get(url, MAX_IMAGE_LEN, None, &Silent)?.is_some())
    }

    /// Opens a cached image as the one at `url`, verified and compared with the request.
    pub(super) fn open_cached(&self, kept: &CachedImage, url: &str, judge: Judge<'_>) -> Result<ImageHandle> {
        let mut image =
            ImageHandle::at(self, kept.image.clone(), url.to_owned(), Some(kept.signature.clone()))?;
        judge(&mut image)?;
        expiry::mark_used(&kept.image);
        Ok(image)
    }
}
