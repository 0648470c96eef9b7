//! The text form of an image's tree in the cache, and what must be the same for it to count.
//!
//! ```text
//! image-tree 3
//! file PATH                        empty where the path is no plain text
//! image DIGEST
//! stamp DEVICE INODE SIZE MODIFIED CHANGED
//! signature DIGEST-OF-THE-SIG | none
//! certificates DIGEST
//! hash HEX | -                     one a signature: what the image's bytes were hashed to
//! check DIGEST-OF-THESE-LINES
//!
//! usr-tree 2 …
//! ```

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::dir::Cache;
use super::file_id::FileId;
use super::prune::{is_gone, sweep};
use crate::atomic_file;
use crate::bounded_file;
use coreos_types::error::{Result, ResultExt};
use pxe_image::Sha256Digest;
use usr::tree::UsrTree;

const HEADER: &str = "image-tree 3";

pub(super) const FILE: &str = "file ";
/// Larger than the tree of any image: one of 23,000 nodes takes 6 MiB.
const MAX_TREE: u64 = 256 << 20;
/// The header and the longest path.
const MOST_HEAD: u64 = 8 << 10;

/// What a kept tree was made of and under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CacheKey {
    /// The image file.
    pub(super) stamp: FileId,
    /// The `.sig`; `None` only for an image that has none.
    pub(super) signature: Option<Sha256Digest>,
    /// Every certificate available.
    pub(super) certificates: Sha256Digest,
}

/// A tree as it was kept.
pub(super) struct CachedTree {
    pub(super) digest: Sha256Digest,
    /// What each open signature's hash came to: with it the signature is verified again without the image.
    pub(super) hashes: Vec<Option<Vec<u8>>>,
    pub(super) tree: UsrTree,
}

/// Where the tree of the image at `path` is kept. A new image under an old name takes the old one's place.
pub(super) fn place(cache: &Cache, path: &Path) -> Result<PathBuf> {
    let name = Sha256Digest::compute(path.as_os_str().as_encoded_bytes()).hex();
    Ok(cache.dir("trees")?.join(&name[..32]))
}

/// What is kept at `place`, or why nothing is that counts.
pub(super) fn load(place: &Path, terms: &CacheKey) -> std::result::Result<CachedTree, &'static str> {
    let bytes = bounded_file::read_own(place, MAX_TREE).map_err(|_| "nothing is kept of it")?;
    read(&bytes, terms).unwrap_or(Err("what is kept of it is broken"))
}

/// The outer `None` is no text of ours.
fn read(bytes: &[u8], terms: &CacheKey) -> Option<std::result::Result<CachedTree, &'static str>> {
    let end = bytes.windows(2).position(|two| two == b"\n\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let (checked, check) = head.rsplit_once("\ncheck ")?;
    if Sha256Digest::compute(checked.as_bytes()).hex() != check {
        return None;
    }
    let others =
        ["the file is another by now", "its signature is another by now", "other certificates count by now"];
    let mut lines = checked.strip_prefix(HEADER)?.strip_prefix('\n')?.lines();
    lines.next()?.strip_prefix(FILE)?;
    let digest = Sha256Digest::from_hex(lines.next()?.strip_prefix("image ")?)?;
    for (term, other) in terms.lines().into_iter().zip(others) {
        if lines.next()? != term {
            return Some(Err(other));
        }
    }
    let hashes = lines.map(|line| hash(line.strip_prefix("hash ")?)).collect::<Option<Vec<_>>>()?;
    let tree = UsrTree::from_text(&bytes[end + 2..]).ok()?;
    Some(Ok(CachedTree { digest, hashes, tree }))
}

/// Keeps the tree of the image at `path`: written next to and renamed, so that another process sees the old one or the
/// new one, whole. Trees whose image is gone make room.
pub(super) fn store(cache: &Cache, path: &Path, terms: &CacheKey, kept: &CachedTree) -> Result<()> {
    let place = place(cache, path)?;
    let file = path.to_str().filter(|path| !path.contains(char::is_control)).unwrap_or_default();
    let (image, terms) = (kept.digest.hex(), terms.lines().join("\n"));
    let mut head = format!("{HEADER}\n{FILE}{file}\nimage {image}\n{terms}");
    for hash in &kept.hashes {
        let hex = hash.as_ref().map_or_else(|| "-".to_owned(), hex::encode);
        head += &format!("\nhash {hex}");
    }
    let check = Sha256Digest::compute(head.as_bytes()).hex();
    let text = format!("{head}\ncheck {check}\n\n{}", kept.tree.to_text());
    atomic_file::write(&place, text)
        .with_context(|| format!("cannot keep the tree in {}", place.display()))?;
    sweep(&cache.dir("trees")?, |tree| image_of(tree).is_some_and(|image| is_gone(&image)));
    Ok(())
}

/// The image that a kept tree is of.
pub(super) fn image_of(tree: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    File::open(tree).ok()?.take(MOST_HEAD).read_to_end(&mut head).ok()?;
    let head = head.split(|byte| *byte == b'\n').nth(1)?;
    let path = std::str::from_utf8(head).ok()?.strip_prefix(FILE)?;
    (!path.is_empty()).then(|| PathBuf::from(path))
}

impl CacheKey {
    fn lines(&self) -> [String; 3] {
        let signature = self.signature.map_or_else(|| "none".to_owned(), |digest| digest.hex());
        [
            format!("stamp {}", self.stamp.line()),
            format!("signature {signature}"),
            format!("certificates {}", self.certificates.hex()),
        ]
    }
}

/// The hash of one line; the outer `None` is a line that is none.
fn hash(text: &str) -> Option<Option<Vec<u8>>> {
    if text == "-" {
        return Some(None);
    }
    hex::decode(text).ok().map(Some)
}
