//! On-demand reading of the files of a verified image.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::dir::Cache;
use crate::keyring::Keyring;
use crate::terminal::Term;
use coreos_types::error::{Error, Result, ResultExt};
use openpgp_policy::DetachedSignature;
use pxe_image::{Digest, SignatureCheck, UsrSquashfs, VerifiedImage};
use usr::file_info::{FileInfo, FileReader};
use usr::path::UsrPath;

/// The files of one image. The image of a cached tree is opened, and its signature checked over all of its bytes, when
/// the first file is read.
pub(super) struct ImageReader {
    term: Term,
    source: String,
    image: OnceLock<Result<UsrSquashfs>>,
    unopened: Option<UnopenedImage>,
    has_read: AtomicBool,
}

/// The inputs for verifying an image again.
pub(super) struct UnopenedImage {
    pub(super) path: PathBuf,
    pub(super) digest: Digest,
    /// `None` for an image that was accepted without a signature.
    pub(super) signature: Option<Vec<u8>>,
    pub(super) keyring: Keyring,
    pub(super) cache: Cache,
}

impl ImageReader {
    /// Creates a reader for an open image.
    pub(super) fn new(term: &Term, source: &str, image: UsrSquashfs) -> ImageReader {
        let image = OnceLock::from(Ok(image));
        ImageReader {
            term: term.clone(),
            source: source.to_owned(),
            image,
            unopened: None,
            has_read: AtomicBool::new(false),
        }
    }

    /// Creates a reader for an image that is opened on the first read.
    pub(super) fn with_unopened(term: &Term, source: &str, image: UnopenedImage) -> ImageReader {
        ImageReader {
            term: term.clone(),
            source: source.to_owned(),
            image: OnceLock::new(),
            unopened: Some(image),
            has_read: AtomicBool::new(false),
        }
    }

    /// Whether any file was read.
    pub(super) fn has_read(&self) -> bool {
        self.has_read.load(Ordering::Relaxed)
    }

    /// The image, verified and opened on the first call.
    ///
    /// # Errors
    /// The image has changed since it was verified.
    pub(super) fn image(&self) -> Result<&UsrSquashfs> {
        self.image.get_or_init(|| self.open()).as_ref().map_err(Error::clone)
    }

    fn open(&self) -> Result<UsrSquashfs> {
        let Some(image) = &self.unopened else {
            return Err(Error::failed(format!("{} is not open", self.source)));
        };
        self.term.detail(
            "cache",
            format!("{}: the image is opened: the cache does not have all files", self.source),
        );
        image.open(&self.source, &self.term)
    }
}

impl UnopenedImage {
    fn open(&self, source: &str, term: &Term) -> Result<UsrSquashfs> {
        let check = match &self.signature {
            Some(bytes) => {
                let signature = DetachedSignature::parse(bytes, &format!("{source}.sig"))?;
                // Its certificate is known: the cached tree was accepted under it.
                SignatureCheck::from(self.keyring.begin_verification(&signature, None)?)
            }
            None => SignatureCheck::Unsigned,
        };
        let file = open(&self.path)?;
        let size = file.metadata().ok().map(|found| found.len());
        let progress = term.progress("verify", size);
        let stream = ProgressReader { inner: &file, progress: &progress };
        let verified = VerifiedImage::verify(source, stream, size, check, &self.cache.temp_dir_or_system());
        progress.finish();
        let verified = verified?;
        if verified.digest() != self.digest {
            return Err(changed(&self.path));
        }
        let mut image = verified.open()?;
        // The cached tree is the same one.
        drop(image.take_tree());
        Ok(image)
    }
}

impl FileReader for ImageReader {
    fn read(&self, paths: &[UsrPath]) -> Result<Vec<(UsrPath, FileInfo)>> {
        self.term.detail("reading", format!("{}: {} files", self.source, paths.len()));
        paths.iter().for_each(|path| self.term.trace("reading", path));
        let read = self.image()?.read(paths)?;
        self.has_read.store(true, Ordering::Relaxed);
        Ok(read)
    }
}

/// The error of an image that has changed since it was verified.
pub(super) fn changed(path: &Path) -> Error {
    Error::failed(format!("{} changed while it was used", path.display()))
}

pub(super) fn open(path: &Path) -> Result<File> {
    let file = File::open(path).with_context(|| format!("cannot open the image {}", path.display()))?;
    if file.metadata().is_ok_and(|found| found.is_dir()) {
        return Err(Error::failed(format!("{} is a directory: expected a PXE image", path.display())));
    }
    Ok(file)
}

/// Reports the bytes that are read as progress.
pub(super) struct ProgressReader<'p, R> {
    pub(super) inner: R,
    pub(super) progress: &'p crate::terminal::Progress,
}

impl<R: std::io::Read> std::io::Read for ProgressReader<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(out)?;
        self.progress.advance(count as u64);
        Ok(count)
    }
}
