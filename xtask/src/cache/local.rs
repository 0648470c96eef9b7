//! PXE images on the local disk.

use std::path::Path;

use super::image::ImageHandle;
use super::image_file::ImageFile;
use super::image_store::ImageStore;
use super::sig_file;
use coreos_types::error::{Error, Result, ResultExt};

impl ImageStore<'_> {
    /// Opens and verifies a local PXE image. Its signature is `signature`, else the file with `.sig` appended; with
    /// `unsigned` it may have none.
    ///
    /// # Errors
    /// The image or its signature cannot be read, or is not valid; refused where the signature is missing.
    pub fn local(&self, image: &Path, signature: Option<&Path>, unsigned: bool) -> Result<ImageHandle> {
        let sig_path = signature.map_or_else(|| sig_file::sig_path(image), Path::to_owned);
        let path = image
            .canonicalize()
            .with_context(|| format!("cannot find the image {}", image.display()))
            .map_err(|error| {
                let hint = "check the path; without --image the image is downloaded: cargo xtask fetch";
                error.with_hint(hint)
            })?;
        if !path.is_file() {
            return Err(Error::failed(format!("{} is not a file: expected a PXE image", image.display()))
                .with_hint("pass the .cpio.gz itself: --image FILE"));
        }
        let signature = sig_file::read(&sig_path)?;
        if signature.is_none() && !unsigned {
            return Err(sig_file::missing_signature(sig_path.display()).with_hint(
                "pass a signature at another path with --signature FILE; --unsigned accepts an image without one",
            ));
        }
        ImageHandle::open(self, ImageFile { path, source: image.display().to_string(), signature })
    }
}
