//! On-demand reading of the files of a verified image.

use std::sync::OnceLock;

use super::image_file::{ImageFile, ImageProvenance};
use super::image_store::ImageStore;
use coreos_types::{Error, Result};
use pxe_image::UsrSquashfs;
use usr::{FileInfo, FileInfoReader, UsrPath};

/// The files of one image. The image of a cached tree is opened, and its signature checked over all of its bytes, when
/// the first file is read.
pub(super) struct LazyImage {
    pub(super) store: ImageStore,
    pub(super) file: ImageFile,
    pub(super) provenance: ImageProvenance,
    /// Empty until the first read of an image with a cached tree.
    pub(super) image: OnceLock<Result<UsrSquashfs>>,
}

impl LazyImage {
    /// The image, verified and opened on the first call.
    pub(super) fn image(&self) -> Result<&UsrSquashfs> {
        self.image.get_or_init(|| self.open()).as_ref().map_err(Error::clone)
    }

    fn open(&self) -> Result<UsrSquashfs> {
        let why = format!("{}: the image is opened: the cache does not have all files", self.file.source);
        self.store.term.detail("cache", why);
        let verified = self.store.verify(&self.file, &self.file.open()?)?;
        if verified.outcome().digest != self.provenance.digest {
            return Err(self.file.changed_error());
        }
        let mut image = verified.open()?;
        // The cached tree is the same one.
        drop(image.take_tree_without_reader());
        Ok(image)
    }
}

impl FileInfoReader for LazyImage {
    fn read_infos(&self, paths: &[UsrPath]) -> Result<Vec<(UsrPath, FileInfo)>> {
        let term = &self.store.term;
        term.detail("reading", format!("{}: {} files", self.file.source, paths.len()));
        paths.iter().for_each(|path| term.trace("reading", path));
        self.image()?.read_infos(paths)
    }
}
