//! Gets an image over the network: verified as it comes, stored as it comes, and kept when it is what was requested.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use super::file_id::FileId;
use super::image::ImageHandle;
use super::image_store::{ImageStore, SignatureCheck};
use super::partial::PartialDownload;
use super::release::Judge;
use super::release_cache::{CachedImage, ReleaseCache};
use crate::http::{Download, MAX_IMAGE_LEN, ResumePoint};
use coreos_types::error::{Error, ErrorKind, Result, ResultExt};
use pxe_image::VerifiedImage;

/// Once with what is there, once after the file changed under way, once from zero after a bad signature.
const ATTEMPTS: usize = 3;

/// What one download came to.
enum Attempt {
    CheckOutcome(VerifiedImage),
    Missing,
    /// It has to begin from the start, and why.
    Invocation(Error),
}

impl ImageStore<'_> {
    /// Downloads the image at `url`, unless another process did while this one waited for it; `known` is what was
    /// kept before.
    pub(super) fn download(
        &self,
        release: &ReleaseCache,
        known: &[CachedImage],
        url: &str,
        signature: &[u8],
        judge: Judge<'_>,
    ) -> Result<Option<ImageHandle>> {
        // A verdict that stands without the data needs no download.
        let mut proving = self.proving(url, Some(signature))?;
        let begun = PartialDownload::lock(release, self.term)?;
        let fresh = release.images()?.into_iter().find(|kept| kept.has_origin(url) && !known.contains(kept));
        if let Some(image) = fresh.and_then(|kept| self.open_cached(&kept, url, judge).ok()) {
            return Ok(Some(image));
        }
        let (mut partial, mut resume) = begun.open()?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match self.attempt(&begun, url, &mut partial, resume.take().as_ref(), proving)? {
                Attempt::CheckOutcome(verified) => {
                    return self.keep(release, &begun, &partial, verified, signature, judge).map(Some);
                }
                Attempt::Missing => {
                    begun.discard();
                    return Ok(None);
                }
                Attempt::Invocation(error) => {
                    last = Some(error);
                    proving = self.proving(url, Some(signature))?;
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::failed(format!("cannot get {url}"))))
    }

    /// Puts a verified download on the release, if it is what was requested.
    fn keep(
        &self,
        release: &ReleaseCache,
        begun: &PartialDownload,
        partial: &File,
        verified: VerifiedImage,
        signature: &[u8],
        judge: Judge<'_>,
    ) -> Result<ImageHandle> {
        let (digest, url) = (verified.digest(), verified.source().to_owned());
        let path = release.image_path(digest);
        let mut image = ImageHandle::of_verified(
            self.term,
            &self.cache,
            path.clone(),
            Some(signature.to_vec()),
            verified,
            None,
        )?;
        if let Err(error) = judge(&mut image) {
            if error.kind == ErrorKind::Refused {
                begun.discard();
            }
            return Err(error);
        }
        partial.sync_data().with_context(|| "cannot write the download to disk")?;
        release.insert(begun.path(), digest, signature, &url)?;
        begun.discard();
        let placed = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        image.lies(self.terms(FileId::of(&placed)?, Some(signature)));
        Ok(image)
    }

    /// One download, from where the last one stopped if that can be, verified as it comes.
    fn attempt(
        &self,
        begun: &PartialDownload,
        url: &str,
        partial: &mut File,
        resume: Option<&ResumePoint>,
        proving: SignatureCheck,
    ) -> Result<Attempt> {
        let progress = self.term.progress("download", None);
        let Some(mut download) = self.client.get(url, MAX_IMAGE_LEN, resume, progress.as_ref())? else {
            return Ok(Attempt::Missing);
        };
        let held = download.at();
        if held == 0 {
            partial.set_len(0).with_context(|| "cannot begin the download anew")?;
        }
        partial.rewind().with_context(|| "cannot read the download that was begun")?;
        begun.save_state(download.resume_after(0).as_ref())?;
        progress.resume(held);
        let total = download.total();
        let proved = self.prove(url, Stored { partial, held, download: &mut download }, total, proving);
        progress.finish();
        match proved {
            Ok(verified) => Ok(Attempt::CheckOutcome(verified)),
            Err(error) if download.must_restart() => Ok(Attempt::Invocation(error)),
            Err(error) if error.kind == ErrorKind::Refused && held > 0 => {
                self.term.warn(format!("{error}; getting it once more from the start"));
                Ok(Attempt::Invocation(error))
            }
            Err(error) => {
                if error.kind == ErrorKind::Refused {
                    begun.discard();
                }
                Err(error)
            }
        }
    }
}

/// What is there of a download, then the rest of it, which is stored as it comes.
struct Stored<'d, 'c> {
    partial: &'d mut File,
    /// Bytes of the partial file still to be read.
    held: u64,
    download: &'d mut Download<'c>,
}

impl Read for Stored<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.held > 0 {
            let most = usize::try_from(self.held).map_or(out.len(), |held| out.len().min(held));
            let count = self.partial.read(&mut out[..most])?;
            self.held = if count == 0 { 0 } else { self.held - count as u64 };
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
