//! The `.sig` next to a file of this machine.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::http::MAX_SIGNATURE_LEN;
use coreos_types::error::{Error, Result, ResultExt};

/// `FILE.sig`.
pub fn sig_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// Reads a `.sig`; `None` where there is none. What is longer than any signature comes cut off, and is told by the
/// one who reads it.
///
/// # Errors
/// It is there and cannot be read.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let about = || format!("cannot read the signature {}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.with_context(about)?,
    };
    let mut bytes = Vec::new();
    // One byte more than any signature may have shows that it is too long, without reading an image.
    file.take(MAX_SIGNATURE_LEN + 1).read_to_end(&mut bytes).with_context(about)?;
    Ok(Some(bytes))
}

/// A missing signature is no lack of a file but a lack of trust: no better than a bad one.
pub fn missing_signature(place: impl std::fmt::Display) -> Error {
    Error::refused(format!("there is no signature {place}"))
}
