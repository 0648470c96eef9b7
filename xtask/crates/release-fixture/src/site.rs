//! A release as a server has it: every file and its detached signature.

use std::collections::BTreeMap;

use super::certificate::TestCertificate;
use super::image_spec::ImageSpec;
use super::{metadata_files, pack};
use coreos_types::Result;

/// The files of a release server by their path below the server's root, `amd64-usr/1032.0.0/version.txt`.
pub type Site = BTreeMap<String, Vec<u8>>;

/// Adds an image to the site: the PXE image, `version.txt`, the lists of files and packages, and a `.sig` for each.
pub fn add_signed_release(site: &mut Site, image: &ImageSpec, certificate: &TestCertificate) -> Result<()> {
    for (name, bytes) in [
        (image.vendor.pxe_image, pack::pxe_image(image)?),
        ("version.txt", metadata_files::version_txt(image).into_bytes()),
        (image.vendor.contents_list, metadata_files::contents_list(image).into_bytes()),
        (image.vendor.packages_list, metadata_files::packages_list(image).into_bytes()),
    ] {
        let path = format!("{}/{}/{name}", image.board, image.release);
        site.insert(format!("{path}.sig"), certificate.sign(&bytes)?);
        site.insert(path, bytes);
    }
    Ok(())
}

/// Makes a published release the newest one, as `current/version.txt` names it.
pub fn make_current(site: &mut Site, image: &ImageSpec) {
    for name in ["version.txt", "version.txt.sig"] {
        if let Some(bytes) = site.get(&format!("{}/{}/{name}", image.board, image.release)).cloned() {
            site.insert(format!("{}/current/{name}", image.board), bytes);
        }
    }
}
