//! Takes `usr.squashfs` out of a gzipped cpio archive, as the bytes come.
//!
//! Vendors make one archive in one gzip member (flatcar/scripts `vm_image_util.sh`); users append archives of their
//! own (coreos/docs `booting-with-pxe.md`). Both are read to the last byte.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};

use super::broadcast::ChunkReceiver;
use super::gzip::{GzipError, GzipReader};
use super::temp_file::UnlinkedTempDir;
use coreos_types::error::{Error, Result, ResultExt};

/// The member that is the image's `/usr`.
const MEMBER: &str = "usr.squashfs";
/// A header with the longest name that Linux knows (cpio(5) newc; `PATH_MAX`), and its padding.
const MOST_HEADER: u64 = 110 + 4096 + 4;
const MIB: u64 = 1 << 20;

/// How large an image may become when it is inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InflateLimits {
    /// Bytes, whatever the compressed size.
    pub most: u64,
    /// The compressed size in bytes, where it is known before it was read.
    pub size: Option<u64>,
}

impl Default for InflateLimits {
    fn default() -> InflateLimits {
        InflateLimits { most: 2048 * MIB, size: None }
    }
}

impl InflateLimits {
    /// At most 64 MiB more than four times the compressed size, or, where that is not known, than four times the bytes
    /// that were read so far; and never more than [`InflateLimits::most`]. A real image hardly shrinks at all, since what is in
    /// it is compressed already.
    pub(super) fn after(self, read: u64) -> u64 {
        let size = self.size.unwrap_or(read).max(read);
        self.most.min(size.saturating_mul(4).saturating_add(64 * MIB))
    }
}

/// What to do about a file that is something else, or a part.
const PXE_IMAGE: &str = "give the PXE image, all of it: …_production_pxe_image.cpio.gz";

/// Reads the archive to its end, and gives the squashfs in it, in a file without a name.
///
/// # Errors
/// The stream is no gzip, the archive no cpio, either is cut short or followed by something else; there is no
/// `usr.squashfs`, or more than one; a limit is passed; the scratch file cannot be written.
pub(super) fn unpack(
    chunks: &ChunkReceiver,
    scratch: &UnlinkedTempDir,
    limits: InflateLimits,
) -> Result<File> {
    let done = read_archives(&mut GzipReader::new(chunks, limits), scratch);
    // The other consumers wait for this one: let the rest of the stream pass whatever was wrong.
    chunks.for_each(|_| ());
    done
}

fn read_archives(stream: &mut GzipReader<'_>, scratch: &UnlinkedTempDir) -> Result<File> {
    let mut found = None;
    let mut buffer = vec![0; 256 * 1024];
    let left = Cell::new(u64::MAX);
    while let Some(head) = next_archive(stream)? {
        let mut source = Metered { head: Some(head), inner: &mut *stream, left: &left };
        loop {
            left.set(MOST_HEADER);
            let mut entry = cpio::newc::Reader::new(source).map_err(|error| not_cpio(&error))?;
            left.set(u64::MAX);
            if entry.entry().is_trailer() {
                break;
            }
            let mut into = is_image(entry.entry()).then(|| scratch.file()).transpose()?;
            copy_entry(&mut entry, &mut buffer, into.as_mut())?;
            if into.is_some() && std::mem::replace(&mut found, into).is_some() {
                return Err(Error::failed(format!("the archive holds {MEMBER} twice")));
            }
            source = entry.finish().map_err(|error| not_cpio(&error))?;
        }
    }
    found.ok_or_else(|| Error::failed(format!("the archive holds no {MEMBER}")).with_hint(PXE_IMAGE))
}

/// The first byte of the next archive, past the zero bytes that pad the one before; `None` at the end.
fn next_archive(stream: &mut GzipReader<'_>) -> Result<Option<u8>> {
    let mut byte = [0];
    while stream.read(&mut byte).map_err(|error| not_cpio(&error))? == 1 {
        if byte[0] != 0 {
            return Ok(Some(byte[0]));
        }
    }
    Ok(None)
}

fn is_image(entry: &cpio::newc::Entry) -> bool {
    const REGULAR: u32 = 0o100_000;
    entry.name().trim_start_matches("./") == MEMBER && entry.mode() & 0o170_000 == REGULAR
}

/// Copies one member, and counts: the reader itself takes a member that is cut short for a whole one.
fn copy_entry<R: Read>(
    entry: &mut cpio::newc::Reader<R>,
    buffer: &mut [u8],
    mut into: Option<&mut File>,
) -> Result<()> {
    let mut copied = 0;
    loop {
        let count = entry.read(buffer).map_err(|error| not_cpio(&error))?;
        if count == 0 {
            break;
        }
        copied += count as u64;
        if let Some(file) = &mut into {
            file.write_all(&buffer[..count])
                .with_context(|| "cannot write the unpacked image to a temporary file")
                .map_err(|fault| {
                    fault.with_hint("free some space, or set XTASK_CACHE_DIR to a larger file system")
                })?;
        }
    }
    let (name, size) = (entry.entry().name(), u64::from(entry.entry().file_size()));
    if copied == size {
        Ok(())
    } else {
        Err(Error::failed(format!("the archive is cut short: {copied} of {size} bytes of {name} are there")))
    }
}

fn not_cpio(error: &io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<GzipError>()) {
        Some(gzip) => Error::failed(gzip.to_string()),
        None => Error::failed("what is gzipped is no whole cpio archive (newc)").with_cause(error),
    }
    .with_hint(PXE_IMAGE)
}

/// Puts one byte back in front of a stream, and ends it where a header would be longer than any real one.
struct Metered<'a, 'b> {
    head: Option<u8>,
    inner: &'a mut GzipReader<'b>,
    left: &'a Cell<u64>,
}

impl Read for Metered<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left.get()).map_or(out.len(), |left| out.len().min(left));
        let count = match (self.head.take(), out.first_mut()) {
            (Some(head), Some(first)) => {
                *first = head;
                1
            }
            (head, _) => {
                self.head = head;
                self.inner.read(&mut out[..most])?
            }
        };
        self.left.set(self.left.get() - count as u64);
        Ok(count)
    }
}
