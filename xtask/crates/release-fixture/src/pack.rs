//! squashfs in cpio in gzip, as the vendors pack a PXE image.

use std::io::{Cursor, Write};

use backhand::compression::Compressor;
use backhand::kind::{Kind, LE_V4_0};
use backhand::{FilesystemCompressor, FilesystemWriter, NodeHeader};
use cpio::newc::{Builder, ModeFileType, trailer};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::image_spec::{ImageSpec, NodeSpec};
use coreos_types::{Error, Result, ResultExt};

/// The time of every file, so that the same description gives the same bytes: 2016-04-29 01:29 UTC.
const FILE_MTIME: u32 = 1_461_893_340;

/// The whole PXE image: `pack(description) = gzip(cpio(., etc, usr.squashfs))`.
///
/// # Errors
/// The description is not a file system: a file below a file, for example.
pub fn pxe_image(image: &ImageSpec) -> Result<Vec<u8>> {
    let archive = cpio_archive(&[("usr.squashfs", &squashfs(image)?)])?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&archive).and_then(|()| gzip.finish()).with_context(|| "cannot gzip the image")
}

/// A cpio archive in the newc format with `.`, an empty `etc` and these members.
///
/// # Errors
/// A member has 4 GiB or more, which the format does not allow.
pub fn cpio_archive(members: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    let failed = || "cannot write the cpio archive";
    for (index, directory) in [".", "etc"].iter().enumerate() {
        let entry = Builder::new(directory).ino(index as u32 + 1).mode(0o755).nlink(2).mtime(FILE_MTIME);
        let entry = entry.set_mode_file_type(ModeFileType::Directory);
        entry.write(&mut archive, 0).finish().with_context(failed)?;
    }
    for (index, (name, bytes)) in members.iter().enumerate() {
        let size = u32::try_from(bytes.len()).with_context(failed)?;
        let entry = Builder::new(name).ino(index as u32 + 3).mode(0o644).mtime(FILE_MTIME);
        let mut writer = entry.set_mode_file_type(ModeFileType::Regular).write(&mut archive, size);
        writer.write_all(bytes).and_then(|()| writer.finish().map(drop)).with_context(failed)?;
    }
    trailer(&mut archive).with_context(failed)?;
    // GNU cpio pads its last block to 512 bytes.
    archive.resize(archive.len().next_multiple_of(512), 0);
    Ok(archive)
}

/// The file system that is `/usr`: gzip, blocks of 128 KiB, everything owned by root.
pub fn squashfs(image: &ImageSpec) -> Result<Vec<u8>> {
    let failed = || "cannot write the squashfs image";
    let mut writer = FilesystemWriter::default();
    let kind = Kind::from_const(LE_V4_0).map_err(|cause| Error::failed(failed()).with_cause(cause));
    writer.set_kind(kind?);
    writer.set_compressor(FilesystemCompressor::new(Compressor::Gzip, None).with_context(failed)?);
    writer.set_time(FILE_MTIME);
    writer.set_root_mode(0o755);
    for (path, content) in &image.files {
        if let Some(parent) = path.parent() {
            writer.push_dir_all(parent.as_str(), header(0o755)).with_context(failed)?;
        }
        let (path, header) = (path.as_str(), header(content.mode()));
        match content {
            NodeSpec::Link(target) => writer.push_symlink(target, path, header),
            NodeSpec::Directory => writer.push_dir_all(path, header),
            NodeSpec::Elf(_) | NodeSpec::Bytes(_) => {
                writer.push_file(Cursor::new(content.bytes()), path, header)
            }
        }
        .with_context(|| format!("cannot put {path} into the squashfs image"))?;
    }
    let mut bytes = Cursor::new(Vec::new());
    writer.write(&mut bytes).with_context(failed)?;
    Ok(bytes.into_inner())
}

fn header(permissions: u16) -> NodeHeader {
    NodeHeader { permissions, uid: 0, gid: 0, mtime: FILE_MTIME }
}
