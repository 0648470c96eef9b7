//! Download of an image, verified and stored as it arrives; it is cached if it is the requested one.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use super::file_id::FileId;
use super::image_file::ImageFile;
use super::image_handle::{ImageCheck, ImageHandle};
use super::image_store::ImageStore;
use super::partial::PartialDownload;
use super::release_cache::{CachedImage, ReleaseCache};
use crate::http::{self, MAX_IMAGE_LEN, ResumePoint};
use coreos_types::{Error, ErrorKind, Result, ResultExt};
use pxe_image::{SignatureCheck, VerifiedImage};

/// One attempt that resumes, one after the file changed meanwhile, one from the start after a bad signature.
const MAX_ATTEMPTS: usize = 3;

/// Result of one attempt.
enum DownloadOutcome {
    Verified(VerifiedImage),
    NotFound,
    /// The download must restart from the first byte, because of the error.
    Restart(Error),
}

/// The download of one image into the cache of its release.
pub(super) struct ImageDownload<'d> {
    pub(super) store: &'d ImageStore,
    pub(super) release: &'d ReleaseCache,
    pub(super) url: &'d str,
    pub(super) signature: &'d [u8],
    pub(super) image_check: ImageCheck<'d>,
}

impl ImageDownload<'_> {
    /// Downloads the image, unless another process did so while this one waited for the lock. `known` are the images
    /// that were cached before; `None` if the server does not have the image.
    pub(super) fn run(&self, known: &[CachedImage]) -> Result<Option<ImageHandle>> {
        // Rejects an invalid signature packet or an unknown key before the download.
        let mut check = self.signature_check()?;
        let partial = PartialDownload::lock(self.release, &self.store.term)?;
        let is_new = |cached: &CachedImage| cached.has_origin(self.url) && !known.contains(cached);
        let fresh = self.release.images()?.into_iter().find(is_new);
        let open = |cached: CachedImage| self.store.open_cached(&cached, self.url, self.image_check).ok();
        if let Some(image) = fresh.and_then(open) {
            return Ok(Some(image));
        }
        let (file, mut resume) = partial.open()?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.attempt(&partial, &file, resume.take().as_ref(), check)? {
                DownloadOutcome::Verified(verified) => {
                    return self.insert(&partial, &file, verified).map(Some);
                }
                DownloadOutcome::NotFound => {
                    partial.discard();
                    return Ok(None);
                }
                DownloadOutcome::Restart(error) if attempts == MAX_ATTEMPTS => return Err(error),
                DownloadOutcome::Restart(_) => check = self.signature_check()?,
            }
        }
    }

    fn signature_check(&self) -> Result<SignatureCheck> {
        self.store.signature_check(self.url, Some(self.signature))
    }

    /// Moves a verified download into the cache, if it is the requested image.
    fn insert(
        &self,
        partial: &PartialDownload,
        downloaded: &File,
        verified: VerifiedImage,
    ) -> Result<ImageHandle> {
        let digest = verified.outcome().digest;
        let file = ImageFile {
            path: self.release.image_path(digest),
            source: self.url.to_owned(),
            signature: Some(self.signature.to_owned()),
        };
        let mut image = ImageHandle::from_verified(self.store, file.clone(), verified, None)?;
        (self.image_check)(&image).inspect_err(|error| partial.discard_if_refused(error))?;
        downloaded.sync_data().with_context(|| "cannot write the download to disk")?;
        self.release.insert(partial.path(), digest, self.signature, self.url)?;
        partial.discard();
        let id = FileId::from_file(&file.open()?)?;
        image.cache_inputs = Some(self.store.cache_inputs(id, Some(self.signature)));
        Ok(image)
    }

    /// Makes one attempt, which continues a partial download if possible.
    fn attempt(
        &self,
        partial: &PartialDownload,
        mut file: &File,
        resume: Option<&ResumePoint>,
        check: SignatureCheck,
    ) -> Result<DownloadOutcome> {
        let ImageStore { client, term, .. } = self.store;
        let progress = term.progress("download", None);
        let Some(mut download) = client.get(self.url, MAX_IMAGE_LEN, resume, progress.clone())? else {
            return Ok(DownloadOutcome::NotFound);
        };
        let resumed_at = download.position();
        if resumed_at == 0 {
            file.set_len(0).with_context(|| "cannot truncate the partial download")?;
        }
        file.rewind().with_context(|| "cannot read the partial download")?;
        partial.save_state(download.resume_point_at(0).as_ref())?;
        progress.set_resumed_bytes(resumed_at);
        let total = download.total();
        let rest = StoringReader { download: &mut download, partial: file };
        let stream = file.take(resumed_at).chain(rest);
        let temp_dir = self.store.cache.temp_dir_or_system();
        let verified = VerifiedImage::read_and_verify(self.url, stream, total, check, &temp_dir);
        progress.finish();
        match verified {
            Ok(verified) => Ok(DownloadOutcome::Verified(verified)),
            Err(error) if download.must_restart() => Ok(DownloadOutcome::Restart(error)),
            Err(error) if error.kind == ErrorKind::Refused && resumed_at > 0 => {
                term.warn(format!("{error}; downloading it again from the start"));
                Ok(DownloadOutcome::Restart(error))
            }
            Err(error) => {
                partial.discard_if_refused(&error);
                let encoding = download.encoding().filter(|_| error.kind == ErrorKind::Refused);
                let note =
                    encoding.map(|encoding| format!("the server sent it with Content-Encoding {encoding}"));
                Err(note.iter().fold(error, Error::with_cause))
            }
        }
    }
}

/// Reads a download, and appends what was read to the partial file.
struct StoringReader<'d, 'c> {
    download: &'d mut http::Download<'c>,
    partial: &'d File,
}

impl Read for StoringReader<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.download.read(out)?;
        let stored =
            self.partial.write_all(&out[..count]).with_context(|| "cannot store the download in the cache");
        let hint = "free some space, or set XTASK_CACHE_DIR to a larger file system";
        stored.map_err(|error| io::Error::other(error.with_hint(hint)))?;
        Ok(count)
    }
}
