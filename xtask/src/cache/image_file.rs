//! The file of an image, its signature, and the stream of its bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::bounded_file;
use crate::http::MAX_IMAGE_LEN;
use crate::terminal::{Progress, Term};
use coreos_types::{Error, Result, ResultExt, Signer};
use pxe_image::Digest;

/// A PXE image on the local disk.
#[derive(Debug, Clone)]
pub(super) struct ImageFile {
    pub(super) path: PathBuf,
    /// The URL or path of the image in messages.
    pub(super) source: String,
    /// The content of its `.sig`; `None` for an image that was accepted without a signature.
    pub(super) signature: Option<Vec<u8>>,
}

impl ImageFile {
    pub(super) fn open(&self) -> Result<File> {
        let about = || format!("cannot open the image {}", self.path.display());
        let (file, metadata) = bounded_file::open(&self.path).with_context(about)?;
        if metadata.len() > MAX_IMAGE_LEN {
            let gib = MAX_IMAGE_LEN >> 30;
            return Err(Error::failed(about()).with_cause(format!("it has more than {gib} GiB")));
        }
        Ok(file)
    }

    /// The error of an image that has changed since it was verified.
    pub(super) fn changed_error(&self) -> Error {
        Error::failed(format!("{} changed while it was used", self.path.display()))
    }
}

/// Source, digest and signer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageProvenance {
    /// The URL or path.
    pub source: String,
    /// The digest of the `.cpio.gz`.
    pub digest: Digest,
    /// The signer; `None` under `--unsigned`.
    pub signer: Option<Signer>,
}

/// The bytes of an image file, in one pass: shows the progress, and passes what is read to `visit`.
pub(super) struct ImageStream<'f, V> {
    file: &'f File,
    /// Length of the file in bytes, if known.
    pub(super) size: Option<u64>,
    progress: Progress,
    visit: V,
}

impl<'f, V: FnMut(&[u8]) -> io::Result<()>> ImageStream<'f, V> {
    pub(super) fn new(term: &Term, file: &'f File, visit: V) -> ImageStream<'f, V> {
        let size = file.metadata().ok().map(|found| found.len());
        ImageStream { file, size, progress: term.progress("verify", size), visit }
    }
}

impl<V: FnMut(&[u8]) -> io::Result<()>> Read for ImageStream<'_, V> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(out)?;
        self.progress.advance(count as u64);
        (self.visit)(&out[..count])?;
        Ok(count)
    }
}
