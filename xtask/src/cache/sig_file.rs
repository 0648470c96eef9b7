//! Detached signature files on the local disk.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::http::MAX_SIGNATURE_LEN;
use coreos_types::{Error, Result, ResultExt};

/// The path `FILE.sig` for `FILE`.
pub(crate) fn sig_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// Reads a `.sig`; `None` if there is none. A longer file than any signature is cut off, and the parser then refuses
/// it.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.with_path("cannot read the signature", path)?,
    };
    let mut bytes = Vec::new();
    // One byte more than any signature may have shows that it is too long, without reading an image.
    file.take(MAX_SIGNATURE_LEN + 1).read_to_end(&mut bytes).with_path("cannot read the signature", path)?;
    Ok(Some(bytes))
}

/// The error of a missing signature, refused like a bad one.
pub(crate) fn missing_signature_error(location: impl std::fmt::Display) -> Error {
    Error::refused(format!("there is no signature {location}"))
}
