//! Cache files that belong to one image: its tree and its packages.
//!
//! ```text
//! image-tree 4                     the format
//! file PATH                        empty if the path is not UTF-8 or has a control character
//! image DIGEST                     SHA-256 or SHA-512, by its length
//! ```

use std::io::Read;
use std::path::{Path, PathBuf};

use super::dir::Cache;
use super::remove_old_entries::remove_old_entries;
use crate::atomic_file;
use crate::bounded_file;
use coreos_types::{Result, ResultExt};
use pxe_image::Digest;

/// The header and the longest path.
const MAX_HEADER: u64 = 8 << 10;

/// The files of one kind.
pub(super) struct ImageEntryKind {
    pub(super) directory: &'static str,
    pub(super) format: &'static str,
    /// Size limit of a file in bytes. A larger one is not stored: the next run reads the image again.
    pub(super) max_len: u64,
}

impl ImageEntryKind {
    /// The file for the image at `image`. It is keyed by that path: a new image at the same path overwrites the entry.
    pub(super) fn path(&self, cache: &Cache, image: &Path) -> Result<PathBuf> {
        let name = Digest::sha256(image.as_os_str().as_encoded_bytes()).hex();
        Ok(cache.create_dir(self.directory)?.join(&name[..32]))
    }

    /// The first lines of a file, without the last line end.
    pub(super) fn header(&self, image: &Path, digest: Digest) -> String {
        let path = image.to_str().filter(|path| !path.contains(char::is_control)).unwrap_or_default();
        format!("{}\nfile {path}\nimage {}", self.format, digest.hex())
    }

    /// Splits the header into the digest and the lines that follow; `None` if it is of another format.
    pub(super) fn parse_header<'h>(&self, header: &'h str) -> Option<(Digest, std::str::Lines<'h>)> {
        let mut lines = header.strip_prefix(self.format)?.strip_prefix('\n')?.lines();
        lines.next()?.strip_prefix("file ")?;
        Some((Digest::from_hex(lines.next()?.strip_prefix("image ")?)?, lines))
    }

    /// Stores the file of the image at `image`, atomically, and removes the files of images that no longer exist.
    pub(super) fn store(&self, cache: &Cache, image: &Path, text: String) -> Result<()> {
        if text.len() as u64 > self.max_len {
            return Ok(());
        }
        let file = self.path(cache, image)?;
        atomic_file::write(&file, text).with_path("cannot write", &file)?;
        remove_old_entries(&cache.create_dir(self.directory)?, |file| {
            read_image_path(file).is_some_and(|image| matches!(image.try_exists(), Ok(false)))
        });
        Ok(())
    }
}

/// The path of the image that a file is for; `None` if the file does not have it.
fn read_image_path(file: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    bounded_file::open(file).ok()?.0.take(MAX_HEADER).read_to_end(&mut head).ok()?;
    let path = std::str::from_utf8(head.split(|byte| *byte == b'\n').nth(1)?).ok()?.strip_prefix("file ")?;
    (!path.is_empty()).then(|| PathBuf::from(path))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pipe_among_the_entries_is_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::new(home.path());
        let kind = ImageEntryKind { directory: "trees", format: "tree 1", max_len: 100 };
        let pipe = cache.create_dir("trees").unwrap().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        kind.store(&cache, Path::new("/image"), "text".to_owned()).unwrap();
        assert!(pipe.symlink_metadata().is_ok());
    }
}
