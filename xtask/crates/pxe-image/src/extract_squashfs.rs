//! Extraction of `usr.squashfs` from a gzipped cpio archive, as the bytes arrive.
//!
//! Vendors make one archive in one gzip member (flatcar/scripts `vm_image_util.sh`); users append archives of their
//! own (coreos/docs `booting-with-pxe.md`). Both are read to the last byte.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};

use rustix::fs::{FallocateFlags, fallocate};

use super::chunk_channel::read_full;
use super::gzip::GzipReader;
use super::inflate_limits::InflateLimits;
use super::newc_header::{self, Header};
use super::temp_file::TempFileDir;
use coreos_types::{Error, Result, ResultExt};

/// The member that is the image's `/usr`.
const MEMBER: &str = "usr.squashfs";
/// The hint for a file that is not a PXE image, or is incomplete.
pub(super) const PXE_IMAGE_HINT: &str = "pass the complete PXE image: …_production_pxe_image.cpio.gz";

/// The size of a write in bytes: the buffer stays in the second-level cache between inflating and writing.
const BUFFER: usize = 64 * 1024;

/// Most zero bytes between and after archives, which are read one by one; cpio pads an archive to 512 bytes.
const MAX_PADDING: usize = 1 << 20;

/// Most members of all archives; a PXE image has about five, and one that a user appends rarely thousands.
const MAX_MEMBERS: usize = 100_000;

/// Reads the archive to its end and returns its squashfs, in a file without a name.
///
/// # Errors
/// The stream is not gzip, the archive is not cpio, either is cut short or followed by other data; `usr.squashfs` is
/// missing or present twice; a limit is exceeded; the temporary file cannot be written.
pub(super) fn extract_squashfs(
    compressed: impl BufRead,
    temp_dir: &TempFileDir,
    limits: InflateLimits,
) -> Result<File> {
    let mut stream = GzipReader::new(compressed, limits);
    let mut found = None;
    let mut buffer = vec![0; BUFFER];
    let (mut padding_left, mut members_left) = (MAX_PADDING, MAX_MEMBERS);
    while let Some(first) = read_archive_start(&mut stream, &mut padding_left)? {
        let mut image = SquashfsMember::default();
        let mut next = Header::read(&mut [first].chain(&mut stream));
        loop {
            let header = next.map_err(|error| cpio_error(&error))?;
            members_left = members_left
                .checked_sub(1)
                .ok_or_else(|| Error::failed(format!("the archive has more than {MAX_MEMBERS} members")))?;
            if header.is_trailer() {
                break;
            }
            image.record_header(&header)?;
            let into = image.create_data_file(&header, temp_dir)?;
            copy_or_skip_data(&header, &mut stream, &mut buffer, into)?;
            next = Header::read(&mut stream);
        }
        if let Some(file) = image.finish()?
            && found.replace(file).is_some()
        {
            return Err(Error::failed(format!("the archive has {MEMBER} twice")));
        }
    }
    found.ok_or_else(|| Error::failed(format!("the archive has no {MEMBER}")))
}

/// The device's major and minor number, and the inode number.
type Inode = (u32, u32, u32);

/// The member `usr.squashfs` of one archive. With hard links, the data follows the
/// header of one name, which need not be `usr.squashfs`.
#[derive(Default)]
struct SquashfsMember {
    /// The inode of the member `usr.squashfs`; `None` before it is read.
    inode: Option<Inode>,
    /// The data that follows this name.
    own: Option<File>,
    /// Data of files with several names, while `usr.squashfs` was not read yet or had no data.
    linked: Vec<(Inode, File)>,
}

/// The files with several names that are stored; real archives have none.
const MAX_LINKED: usize = 64;

impl SquashfsMember {
    /// Adds the next header of the archive.
    fn record_header(&mut self, header: &Header) -> Result<()> {
        if !is_usr_squashfs(header) {
            return Ok(());
        }
        let is_second = self.inode.is_some_and(|inode| inode != header.inode || header.links < 2);
        if is_second || self.own.is_some() && header.size > 0 {
            return Err(Error::failed(format!("the archive has {MEMBER} twice")));
        }
        self.inode = Some(header.inode);
        Ok(())
    }

    /// The file for the data that follows a header; `None` if the data cannot be the image's.
    fn create_data_file(&mut self, header: &Header, temp_dir: &TempFileDir) -> Result<Option<&mut File>> {
        if is_usr_squashfs(header) && (header.links < 2 || header.size > 0) {
            return Ok(Some(self.own.insert(temp_dir.create_unlinked_file()?)));
        }
        let may_be = self.own.is_none() && self.inode.is_none_or(|inode| inode == header.inode);
        let is_known = self.linked.iter().any(|(inode, _)| *inode == header.inode);
        if !header.is_regular() || header.links < 2 || header.size == 0 || !may_be || is_known {
            return Ok(None);
        }
        if self.linked.len() == MAX_LINKED {
            return Err(Error::failed("the archive has too many hard links"));
        }
        self.linked.push((header.inode, temp_dir.create_unlinked_file()?));
        Ok(self.linked.last_mut().map(|(_, file)| file))
    }

    /// The image; `None` if this archive has none.
    fn finish(self) -> Result<Option<File>> {
        let Some(inode) = self.inode else { return Ok(None) };
        let linked = self.linked.into_iter().find(|(linked, _)| *linked == inode);
        let data = self.own.or(linked.map(|(_, file)| file));
        data.map(Some).ok_or_else(|| Error::failed(format!("the archive has no data of {MEMBER}")))
    }
}

/// The first byte of the next archive, past the zero bytes that pad the one before; `None` at the end.
fn read_archive_start(stream: &mut GzipReader<impl BufRead>, padding_left: &mut usize) -> Result<Option<u8>> {
    let mut byte = [0];
    while stream.read(&mut byte).map_err(|error| cpio_error(&error))? == 1 {
        if byte[0] != 0 {
            return Ok(Some(byte[0]));
        }
        *padding_left = padding_left.checked_sub(1).ok_or_else(|| {
            Error::failed(format!("the archive has more than {MAX_PADDING} bytes of padding"))
        })?;
    }
    Ok(None)
}

fn is_usr_squashfs(header: &Header) -> bool {
    let name = header.name.strip_prefix(b"./").unwrap_or(&header.name);
    name == MEMBER.as_bytes() && header.is_regular()
}

/// Copies the data that follows a header to `into`, and skips the padding after the data.
fn copy_or_skip_data(
    header: &Header,
    stream: &mut GzipReader<impl BufRead>,
    buffer: &mut [u8],
    mut into: Option<&mut File>,
) -> Result<()> {
    let size = u64::from(header.size);
    if let Some(file) = &into {
        // Writing is faster then; file systems without fallocate(2) do without.
        let _ = fallocate(file, FallocateFlags::empty(), 0, stream.max_output().min(size));
    }
    let mut left = size;
    while left > 0 {
        let wanted = left.min(buffer.len() as u64) as usize;
        let count = read_full(stream, &mut buffer[..wanted]).map_err(|error| cpio_error(&error))?;
        if let Some(file) = &mut into {
            file.write_all(&buffer[..count])
                .with_context(|| "cannot write the unpacked image to a temporary file")
                .map_err(|error| {
                    error.with_hint("free some space, or set XTASK_CACHE_DIR to a larger file system")
                })?;
        }
        left -= count as u64;
        if count < wanted {
            return Err(Error::failed(format!(
                "the archive is cut short: it has {} of {size} bytes of {}",
                size - left,
                header.escaped_name()
            )));
        }
    }
    newc_header::skip_padding(stream, header.size).map_err(|error| cpio_error(&error))
}

fn cpio_error(error: &io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(gzip) => gzip.clone(),
        None => Error::failed("the gzipped content is not a complete cpio archive (newc)").with_cause(error),
    }
}
