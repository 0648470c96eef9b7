//! Download of an image, verified and stored as it arrives; it is cached if it is the requested one.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use super::file_id::FileId;
use super::image::ImageHandle;
use super::image_store::{ImageStore, SignatureCheck};
use super::partial::PartialDownload;
use super::release_cache::{CachedImage, ReleaseCache};
use super::release_image::ImageCheck;
use crate::http::{Download, MAX_IMAGE_LEN, ResumePoint};
use coreos_types::error::{Error, ErrorKind, Result, ResultExt};
use pxe_image::VerifiedImage;

/// One attempt that resumes, one after the file changed meanwhile, one from the start after a bad signature.
const MAX_ATTEMPTS: usize = 3;

/// Result of one attempt.
enum DownloadOutcome {
    Verified(VerifiedImage),
    NotFound,
    /// The download must restart from the first byte, because of the error.
    Restart(Error),
}

impl ImageStore<'_> {
    /// Downloads the image at `url`, unless another process did so while this one waited for the lock. `known` are the
    /// images that were cached before; `None` if the server does not have the image.
    pub(super) fn download(
        &self,
        release: &ReleaseCache,
        known: &[CachedImage],
        url: &str,
        signature: &[u8],
        image_check: ImageCheck<'_>,
    ) -> Result<Option<ImageHandle>> {
        // A signature that is refused whatever the data are needs no download.
        let mut check = self.signature_check(url, Some(signature))?;
        let partial_download = PartialDownload::lock(release, self.term)?;
        let is_new = |cached: &CachedImage| cached.has_origin(url) && !known.contains(cached);
        let fresh = release.images()?.into_iter().find(is_new);
        if let Some(image) = fresh.and_then(|cached| self.open_cached(&cached, url, image_check).ok()) {
            return Ok(Some(image));
        }
        let (mut partial, mut resume) = partial_download.open()?;
        let mut last = None;
        for _ in 0..MAX_ATTEMPTS {
            match self.attempt(&partial_download, url, &mut partial, resume.take().as_ref(), check)? {
                DownloadOutcome::Verified(verified) => {
                    return self
                        .store(release, &partial_download, &partial, verified, signature, image_check)
                        .map(Some);
                }
                DownloadOutcome::NotFound => {
                    partial_download.discard();
                    return Ok(None);
                }
                DownloadOutcome::Restart(error) => {
                    last = Some(error);
                    check = self.signature_check(url, Some(signature))?;
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::failed(format!("cannot download {url}"))))
    }

    /// Moves a verified download into the cache, if it is the requested image.
    fn store(
        &self,
        release: &ReleaseCache,
        partial_download: &PartialDownload,
        partial: &File,
        verified: VerifiedImage,
        signature: &[u8],
        image_check: ImageCheck<'_>,
    ) -> Result<ImageHandle> {
        let (digest, url) = (verified.digest(), verified.source().to_owned());
        let path = release.image_path(digest);
        let mut image = ImageHandle::from_verified(
            self.term,
            &self.cache,
            path.clone(),
            Some(signature.to_vec()),
            verified,
            None,
        )?;
        if let Err(error) = image_check(&mut image) {
            if error.kind == ErrorKind::Refused {
                partial_download.discard();
            }
            return Err(error);
        }
        partial.sync_data().with_context(|| "cannot write the download to disk")?;
        release.insert(partial_download.path(), digest, signature, &url)?;
        partial_download.discard();
        let stored = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        image.set_cache_key(self.cache_key(FileId::from_file(&stored)?, Some(signature)));
        Ok(image)
    }

    /// Makes one attempt, which continues a partial download if possible.
    fn attempt(
        &self,
        partial_download: &PartialDownload,
        url: &str,
        partial: &mut File,
        resume: Option<&ResumePoint>,
        check: SignatureCheck,
    ) -> Result<DownloadOutcome> {
        let progress = self.term.progress("download", None);
        let Some(mut download) = self.client.get(url, MAX_IMAGE_LEN, resume, progress.clone())? else {
            return Ok(DownloadOutcome::NotFound);
        };
        let resumed_at = download.at();
        if resumed_at == 0 {
            partial.set_len(0).with_context(|| "cannot truncate the partial download")?;
        }
        partial.rewind().with_context(|| "cannot read the partial download")?;
        partial_download.save_state(download.resume_after(0).as_ref())?;
        progress.resume(resumed_at);
        let total = download.total();
        let stream = TeeReader { partial, replay_left: resumed_at, download: &mut download };
        let verified = self.verify_stream(url, stream, total, check);
        progress.finish();
        match verified {
            Ok(verified) => Ok(DownloadOutcome::Verified(verified)),
            Err(error) if download.must_restart() => Ok(DownloadOutcome::Restart(error)),
            Err(error) if error.kind == ErrorKind::Refused && resumed_at > 0 => {
                self.term.warn(format!("{error}; downloading it again from the start"));
                Ok(DownloadOutcome::Restart(error))
            }
            Err(error) => {
                if error.kind == ErrorKind::Refused {
                    partial_download.discard();
                }
                Err(error)
            }
        }
    }
}

/// Reads the partial file, then the rest of the download, which is appended to the file.
struct TeeReader<'d, 'c> {
    partial: &'d mut File,
    /// Bytes of the partial file that are still to be read.
    replay_left: u64,
    download: &'d mut Download<'c>,
}

impl Read for TeeReader<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.replay_left > 0 {
            let max = usize::try_from(self.replay_left).map_or(out.len(), |left| out.len().min(left));
            let count = self.partial.read(&mut out[..max])?;
            self.replay_left = if count == 0 { 0 } else { self.replay_left - count as u64 };
            if count > 0 {
                return Ok(count);
            }
        }
        let count = self.download.read(out)?;
        let stored =
            self.partial.write_all(&out[..count]).with_context(|| "cannot store the download in the cache");
        let hint = "free some space, or set XTASK_CACHE_DIR to a larger file system";
        stored.map_err(|error| io::Error::other(error.with_hint(hint)))?;
        Ok(count)
    }
}
