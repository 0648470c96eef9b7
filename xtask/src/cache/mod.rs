//! Keeps images, signatures, certificates and text forms between runs, and is the only store to a verified image.
//!
//! ```text
//! ROOT/certificates/FINGERPRINT.pgp
//! ROOT/releases/BRAND/BOARD/RELEASE/lock
//!                                  /IMAGE.partial, IMAGE.partial.state     a download that is not done
//!                                  /DIGEST/IMAGE, IMAGE.sig                one that was verified
//!                                  /DIGEST/from                            the URLs that served it
//!                                  /DIGEST/used                            its time is that of the last use
//! ROOT/trees/NAME                                                         the text form of an image's tree
//! ROOT/packages/NAME                                                      the packages of an image
//! ROOT/last-run/TREE/                                                     the report of the last run on a tree
//! ROOT/expiry-checked                                                     when expired images were removed last
//! ROOT/coreos-xtask-UID/                                                  all of this, where others may write ROOT
//! ```
//!
//! [`ImageStore`] turns a release, or a file, into an [`ImageHandle`]. An image that was read before is not read again as long as
//! it is the same file under the same trust; its signature is checked again on each run.

mod dir;
mod download;
pub mod expiry;
mod file_id;
mod image;
mod image_reader;
mod image_store;
pub mod last_report;
mod local;
mod package_cache;
mod partial;
pub(super) mod prune;
mod release;
mod release_cache;
pub mod sig_file;
mod tree_cache;

pub use dir::Cache;
pub use image::{ImageHandle, Origin};
pub use image_store::ImageStore;
pub use release::{Judge, ReleaseRequest};
