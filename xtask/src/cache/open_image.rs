//! Opening an image: a local file, or that of a release from the cache, else from the network.

use std::io::Read;
use std::path::Path;

use super::download::ImageDownload;
use super::expiry;
use super::image_file::ImageFile;
use super::image_handle::{ImageCheck, ImageHandle};
use super::image_store::{ImageStore, missing_remote_signature_error};
use super::release_cache::{CachedImage, ReleaseCache, origins_path, write_origins};
use super::sig_file;
use crate::http::{Client, MAX_IMAGE_LEN, MAX_SIGNATURE_LEN};
use crate::release_url::ReleaseUrl;
use crate::terminal::Progress;
use coreos_types::{Error, ErrorExt, Release, Result, ResultExt, Signer, Vendor, error::error_from_read};

impl ImageStore {
    /// Opens and verifies a local PXE image. Its signature is `signature`, else the file with `.sig` appended; with
    /// `unsigned` it may have none.
    ///
    /// # Errors
    /// The image or its signature cannot be read, or is not valid; refused where the signature is missing.
    pub fn open_local(&self, image: &Path, signature: Option<&Path>, unsigned: bool) -> Result<ImageHandle> {
        let sig_path = signature.map_or_else(|| sig_file::sig_path(image), Path::to_owned);
        let hint = "check the path; without --image the image is downloaded: cargo xtask fetch";
        let path = image.canonicalize().with_path("cannot find the image", image).with_hint(hint)?;
        if !path.is_file() {
            return Err(Error::failed(format!("{} is not a file: expected a PXE image", image.display()))
                .with_hint("pass the .cpio.gz itself: --image FILE"));
        }
        let signature = sig_file::read(&sig_path)?;
        if signature.is_none() && !unsigned {
            return Err(sig_file::missing_signature_error(sig_path.display()).with_hint(
                "pass a signature at another path with --signature FILE; --unsigned accepts an image without one",
            ));
        }
        ImageHandle::open(self, ImageFile { path, source: image.display().to_string(), signature })
    }

    /// Opens the image of a release from the first of `urls` that has it; `None` if none has. The origin is the URL
    /// that served the image. A cached image is used for the URLs in its list of origins, and under `--offline` for
    /// any.
    pub fn open_release(
        &self,
        cache: &ReleaseCache,
        urls: &[String],
        check: ImageCheck<'_>,
    ) -> Result<Option<ImageHandle>> {
        if self.client.is_offline() {
            return self.open_offline(cache, urls, check).map(Some);
        }
        for url in urls {
            if let Some(image) = self.open_url(cache, url, check)? {
                return Ok(Some(image));
            }
        }
        Ok(None)
    }

    /// Reads the newest release from the signed `version.txt` of a `current` directory.
    ///
    /// # Errors
    /// The file is not available, not signed, or names no release.
    pub fn fetch_latest_release(&self, current: &ReleaseUrl, vendor: &Vendor) -> Result<(Release, Signer)> {
        let url = current.file_url("version.txt");
        self.fetch_version_txt(&url, vendor)?.ok_or_else(|| {
            Error::failed(format!("{url} does not exist")).with_hint(
                "the mirror does not name its newest release; pass a number: cargo xtask bump-coreos RELEASE",
            )
        })
    }

    /// Reads the release in a signed `version.txt`, and its signer; `None` if the server does not have the file.
    ///
    /// # Errors
    /// The file is not available, not signed, or names no release.
    pub fn fetch_version_txt(&self, url: &str, vendor: &Vendor) -> Result<Option<(Release, Signer)>> {
        let Some((bytes, signer)) = self.fetch_signed(url, Client::get_bytes)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let key = format!("{}_VERSION_ID=", vendor.variable_prefix);
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(&key))
            .ok_or_else(|| Error::failed(format!("{url} has no line that starts with {key}")))?;
        let release = value.trim_matches('"').parse().with_context(|| format!("cannot use {url}"))?;
        Ok(Some((release, signer)))
    }

    /// Opens a cached image: one with one of these URLs as its origin, else any.
    fn open_offline(
        &self,
        cache: &ReleaseCache,
        urls: &[String],
        check: ImageCheck<'_>,
    ) -> Result<ImageHandle> {
        urls.iter().try_for_each(|url| self.client.check_url(url))?;
        let images = cache.images()?;
        let requested = urls.iter().flat_map(|url| {
            images.iter().filter(|cached| cached.has_origin(url)).map(move |cached| (cached, url))
        });
        let others = images.iter().filter(|cached| !urls.iter().any(|url| cached.has_origin(url)));
        let others = others.filter_map(|cached| cached.origins.last().map(|url| (cached, url)));
        let mut refused = None;
        for (cached, url) in requested.chain(others) {
            match self.open_cached(cached, url, check) {
                Ok(image) => return Ok(image),
                Err(error) => refused = Some(error),
            }
        }
        let first = urls.first().map(String::as_str).unwrap_or_default();
        Err(refused.unwrap_or_else(|| {
            let unknown = images.iter().find(|cached| cached.origins.is_empty());
            unknown.iter().fold(self.client.offline_error(first), |error, cached| {
                let path = origins_path(&cached.image);
                error.with_cause(format!(
                    "an image is cached, and {} does not name its origin",
                    path.display()
                ))
            })
        }))
    }

    /// Opens the image at one URL: a cached one with this origin, else the one on the server.
    fn open_url(
        &self,
        cache: &ReleaseCache,
        url: &str,
        check: ImageCheck<'_>,
    ) -> Result<Option<ImageHandle>> {
        self.client.check_url(url)?;
        let images = cache.images()?;
        let (known, mut others): (Vec<&CachedImage>, Vec<&CachedImage>) =
            images.iter().partition(|cached| cached.has_origin(url));
        let open = |cached| {
            let warn = |error: &Error| self.term.warn(format!("{error}; downloading it again"));
            Some((self.open_cached(cached, url, check).inspect_err(warn).ok()?, cached))
        };
        if known.is_empty() {
            self.term.detail("cache", format!("{url}: no cached image has this origin"));
        }
        if let Some((image, _)) = known.into_iter().find_map(open) {
            return Ok(Some(image));
        }
        let Some(signature) = self.fetch_signature(url, &images)? else { return Ok(None) };
        others.retain(|cached| cached.signature == signature);
        if !others.is_empty() && !self.url_exists(url)? {
            return Ok(None);
        }
        if let Some((image, cached)) = others.into_iter().find_map(open) {
            // After an error, the next run requests the URL again.
            if let Err(error) = write_origins(&cached.image, cached.origins.clone(), url) {
                self.term.detail("cache", error);
            }
            return Ok(Some(image));
        }
        let signature = &signature;
        ImageDownload { store: self, release: cache, url, signature, image_check: check }.run(&images)
    }

    /// The signature of the image at a URL; `None` if the server has neither, as for a missing release.
    fn fetch_signature(&self, url: &str, images: &[CachedImage]) -> Result<Option<Vec<u8>>> {
        let signature = self.client.get_bytes(&format!("{url}.sig"), MAX_SIGNATURE_LEN);
        let signature = signature.map_err(|error| {
            let other = images.iter().find_map(|cached| cached.origins.last());
            let cause = |other| format!("the cache has the image from {other}: --offline uses it");
            other.map(cause).into_iter().fold(error, Error::with_cause)
        })?;
        if signature.is_none() && self.url_exists(url)? {
            return Err(missing_remote_signature_error(url));
        }
        Ok(signature)
    }

    /// Whether the server has the file, by its headers and its first bytes, which may be those of an error page.
    pub(super) fn url_exists(&self, url: &str) -> Result<bool> {
        let download = self.client.get(url, MAX_IMAGE_LEN, None, Progress::silent())?;
        let Some(mut download) = download else { return Ok(false) };
        download.read(&mut [0; 512]).map(|_| true).map_err(error_from_read)
    }

    /// Opens a cached image as the one at `url`, verified and compared with the request.
    pub(super) fn open_cached(
        &self,
        cached: &CachedImage,
        url: &str,
        check: ImageCheck<'_>,
    ) -> Result<ImageHandle> {
        let file = ImageFile {
            path: cached.image.clone(),
            source: url.to_owned(),
            signature: Some(cached.signature.clone()),
        };
        let again = "run it once without --offline, which downloads the image again";
        let image = ImageHandle::open(self, file).map_err(|error| match self.client.is_offline() {
            true => Error { hint: Some(again.to_owned()), ..error },
            false => error,
        })?;
        check(&image)?;
        expiry::touch_used_file(&cached.image);
        Ok(image)
    }
}
