//! Holds the files of a built root filesystem against the image that they came from, byte by byte.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use backhand::{FilesystemReader, InnerNode};

use super::Rootfs;
use crate::edge::loader::is_root;
use crate::fault::{OrFault, Result};
use crate::usr::path::UsrPath;
use crate::usr::tree::{Kind, Node};

/// What is not as in the image: the path, and how it differs.
pub type Differences = BTreeMap<UsrPath, String>;

/// Compares kind, mode, link target and content of everything in `rootfs` with the `usr.squashfs` at `squashfs`.
///
/// # Errors
/// An image that cannot be read.
pub fn with_image(rootfs: &Rootfs, squashfs: &Path) -> Result<Differences> {
    let unreadable = || format!("cannot read {}", squashfs.display());
    let file = BufReader::new(File::open(squashfs).or_fault(unreadable)?);
    let image = FilesystemReader::from_reader(file).or_fault(unreadable)?;
    let mut differences = Differences::new();
    let mut unseen: BTreeMap<&UsrPath, &Node> = rootfs.tree.iter().collect();
    for node in image.files() {
        let Some(path) =
            node.fullpath.to_str().and_then(|text| UsrPath::new(text.trim_start_matches('/')).ok())
        else {
            continue;
        };
        let Some(built) = unseen.remove(&path) else { continue };
        let difference = match (&node.inner, &built.kind) {
            (InnerNode::Dir(_), Kind::Directory) => None,
            (InnerNode::Symlink(link), Kind::Symlink(target)) => {
                let there = link.link.to_string_lossy();
                (there != target.as_str()).then(|| format!("links to {target}, in the image to {there}"))
            }
            (InnerNode::File(_), Kind::File { .. }) if other_mode(node.header.permissions, built.mode) => {
                let there = node.header.permissions & 0o7777;
                Some(format!("has mode {:04o}, in the image {there:04o}", built.mode))
            }
            (InnerNode::File(there), Kind::File { .. }) => {
                let here = File::open(rootfs.on_disk(&path)).or_fault(|| format!("cannot read {path}"))?;
                let same =
                    same_bytes(image.file(there).reader(), BufReader::new(here)).or_fault(unreadable)?;
                (!same).then(|| "has other bytes than in the image".to_owned())
            }
            _ => Some("is of another kind than in the image".to_owned()),
        };
        if let Some(difference) = difference {
            differences.insert(path, difference);
        }
    }
    differences.extend(unseen.into_keys().map(|path| (path.clone(), "is not in the image".to_owned())));
    Ok(differences)
}

/// unsquashfs gives setuid and setgid bits to root's files only.
fn other_mode(there: u16, here: u16) -> bool {
    let kept = if is_root() { 0o7777 } else { 0o1777 };
    there & kept != here & kept
}

fn same_bytes(mut one: impl Read, mut other: impl Read) -> std::io::Result<bool> {
    let (mut left, mut right) = ([0; 1 << 15], [0; 1 << 15]);
    loop {
        let (read, also) = (fill(&mut one, &mut left)?, fill(&mut other, &mut right)?);
        if left[..read] != right[..also] {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or nothing is left.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
