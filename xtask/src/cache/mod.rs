//! The cache of images, signatures, certificates and image trees, and the only access to verified images.
//!
//! ```text
//! ROOT/certificates/FINGERPRINT.pgp
//! ROOT/releases/BRAND/BOARD/RELEASE/lock
//!                                  /IMAGE.partial, IMAGE.partial.state     a partial download
//!                                  /DIGEST/IMAGE, IMAGE.sig                a verified image
//!                                  /DIGEST/from                            the URLs that served it
//!                                  /DIGEST/used                            its modification time is that of the last use
//! ROOT/trees/NAME                                                         the text form of an image's tree
//! ROOT/packages/NAME                                                      the packages of an image
//! ROOT/last-run/TREE/                                                     the report of the last run on a tree
//! ROOT/expiry-checked                                                     when expired images were removed last
//! ROOT/coreos-xtask-UID/                                                  all of this, where others may write ROOT
//! ```
//!
//! [`ImageStore`] opens a release, or a file, as an [`ImageHandle`]. The tree of an image that was read before is
//! loaded from the cache as long as file, signature and certificates are the same; the signature is checked again on
//! each run.

mod dir;
mod download;
pub(crate) mod expiry;
mod file_id;
mod image_entries;
mod image_file;
mod image_handle;
mod image_store;
mod lazy_image;
mod open_image;
mod package_cache;
mod partial;
mod release_cache;
pub(super) mod remove_old_entries;
pub(crate) mod report_files;
pub(crate) mod sig_file;
mod tree_cache;

pub use dir::Cache;
pub use image_file::ImageProvenance;
pub use image_handle::{ImageCheck, ImageHandle};
pub use image_store::ImageStore;
pub use release_cache::ReleaseCache;
