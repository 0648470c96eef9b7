//! Cached image trees in text form, each with the key under which it is valid.
//!
//! ```text
//! image-tree 4
//! file PATH                        empty if the path is not UTF-8 or has a control character
//! image DIGEST                     SHA-256 or SHA-512, by its length
//! stamp DEVICE INODE SIZE MODIFIED CHANGED
//! signature DIGEST-OF-THE-SIG | none
//! certificates DIGEST
//! hash HEX | -                     one per signature: the digest of the image's bytes
//! check DIGEST-OF-THESE-LINES
//!
//! usr-tree 2 …
//! ```

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::dir::Cache;
use super::file_id::FileId;
use super::remove_old_entries::{is_missing, remove_old_entries};
use crate::atomic_file;
use crate::bounded_file;
use coreos_types::error::{Result, ResultExt};
use pxe_image::Digest;
use usr::tree::UsrTree;

const HEADER: &str = "image-tree 4";

pub(super) const FILE: &str = "file ";
/// The largest tree that is cached: that of a real image of 23,000 nodes takes 6 MiB.
const MAX_TREE: u64 = 32 << 20;
/// The header and the longest path.
const MAX_HEADER: u64 = 8 << 10;

/// The inputs of a cached tree; it is valid as long as all of them are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CacheKey {
    /// The image file.
    pub(super) stamp: FileId,
    /// Digest of the `.sig`; `None` for an image without a signature.
    pub(super) signature: Option<Digest>,
    /// Digest of all local certificates.
    pub(super) certificates: Digest,
}

pub(super) struct CachedTree {
    pub(super) digest: Digest,
    /// The digest of each signature that needs data: the signature is verified again with it, without the image.
    pub(super) hashes: Vec<Option<Vec<u8>>>,
    pub(super) tree: UsrTree,
}

/// The cache file for the tree of the image at `path`. It is keyed by that path: a new image at the same path
/// overwrites the entry.
pub(super) fn cache_path(cache: &Cache, path: &Path) -> Result<PathBuf> {
    let name = Digest::sha256(path.as_os_str().as_encoded_bytes()).hex();
    Ok(cache.dir("trees")?.join(&name[..32]))
}

/// Loads a tree from the cache, or returns the reason why none is valid.
pub(super) fn load(file: &Path, key: &CacheKey) -> std::result::Result<CachedTree, &'static str> {
    let bytes = bounded_file::read_own(file, MAX_TREE).map_err(|_| "its tree is not cached")?;
    parse(&bytes, key).unwrap_or(Err("its cached tree is corrupt, or of another version"))
}

/// Parses a cached tree; `None` if the text is corrupt, else the tree or the reason why it is not valid.
fn parse(bytes: &[u8], key: &CacheKey) -> Option<std::result::Result<CachedTree, &'static str>> {
    let end = bytes.windows(2).position(|two| two == b"\n\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let (checked, check) = head.rsplit_once("\ncheck ")?;
    if Digest::sha256(checked.as_bytes()).hex() != check {
        return None;
    }
    let reasons =
        ["the file has changed", "its signature has changed", "the trusted certificates have changed"];
    let mut lines = checked.strip_prefix(HEADER)?.strip_prefix('\n')?.lines();
    lines.next()?.strip_prefix(FILE)?;
    let digest = Digest::from_hex(lines.next()?.strip_prefix("image ")?)?;
    for (line, reason) in key.lines().into_iter().zip(reasons) {
        if lines.next()? != line {
            return Some(Err(reason));
        }
    }
    let hashes = lines.map(|line| parse_hash(line.strip_prefix("hash ")?)).collect::<Option<Vec<_>>>()?;
    let tree = UsrTree::from_text(&bytes[end + 2..]).ok()?;
    Some(Ok(CachedTree { digest, hashes, tree }))
}

/// Stores the tree of the image at `path`, atomically, and removes the trees of images that no longer exist.
pub(super) fn store(cache: &Cache, path: &Path, key: &CacheKey, cached: &CachedTree) -> Result<()> {
    let file = cache_path(cache, path)?;
    let image_path = path.to_str().filter(|path| !path.contains(char::is_control)).unwrap_or_default();
    let (image, key) = (cached.digest.hex(), key.lines().join("\n"));
    let mut head = format!("{HEADER}\n{FILE}{image_path}\nimage {image}\n{key}");
    for hash in &cached.hashes {
        let hex = hash.as_ref().map_or_else(|| "-".to_owned(), hex::encode);
        head += &format!("\nhash {hex}");
    }
    let check = Digest::sha256(head.as_bytes()).hex();
    let text = format!("{head}\ncheck {check}\n\n{}", cached.tree.to_text());
    if text.len() as u64 > MAX_TREE {
        // The next run reads the image again.
        return Ok(());
    }
    atomic_file::write(&file, text)
        .with_context(|| format!("cannot store the tree in {}", file.display()))?;
    remove_old_entries(&cache.dir("trees")?, |tree| {
        image_path_in(tree).is_some_and(|image| is_missing(&image))
    });
    Ok(())
}

/// The path of the image that a cache file is for; `None` if the file does not have it.
pub(super) fn image_path_in(tree: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    File::open(tree).ok()?.take(MAX_HEADER).read_to_end(&mut head).ok()?;
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

/// Parses the digest in a `hash` line; the outer `None` is a malformed line.
fn parse_hash(text: &str) -> Option<Option<Vec<u8>>> {
    if text == "-" {
        return Some(None);
    }
    hex::decode(text).ok().map(Some)
}
