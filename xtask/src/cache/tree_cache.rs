//! Cached image trees in text form, each with the key under which it is valid.
//!
//! ```text
//! …                                the header of [`ImageEntryKind`]
//! stamp DEVICE INODE SIZE MODIFIED CHANGED
//! signature DIGEST-OF-THE-SIG | none
//! certificates DIGEST
//! hash HEX | -                     one per signature: the digest of the image's bytes
//! check DIGEST-OF-THESE-LINES
//!
//! usr-tree 5 …
//! ```

use std::path::Path;
use std::thread::{self, ScopedJoinHandle};

use super::dir::Cache;
use super::file_id::FileId;
use super::image_entries::ImageEntryKind;
use crate::bounded_file;
use coreos_types::{Result, error::panic_to_error};
use pxe_image::{Digest, spawn_scoped};
use usr::UsrTree;

/// The tree of a real image of 23,000 nodes takes 6 MiB.
pub(super) const TREES: ImageEntryKind =
    ImageEntryKind { directory: "trees", format: "image-tree 4", max_len: 32 << 20 };

/// The inputs of a cached tree; it is valid as long as all of them are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CacheInputs {
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

/// Loads the tree of the image at `path` from the cache, or returns the reason why none is valid. Meanwhile `verify` runs
/// in another thread, with the digests: the cryptographic check takes half the time of parsing the tree.
pub(super) fn load_and_verify<V: Send>(
    cache: &Cache,
    path: &Path,
    key: &CacheInputs,
    verify: impl FnOnce(Digest, &[Option<Vec<u8>>]) -> Result<V> + Send,
) -> std::result::Result<(CachedTree, Result<V>), &'static str> {
    let file = TREES.path(cache, path).map_err(|_| "the cache cannot be used")?;
    let bytes =
        bounded_file::read_owned_by_user(&file, TREES.max_len).map_err(|_| "its tree is not cached")?;
    let corrupt = "its cached tree is corrupt, or of another version";
    let end = bytes.windows(2).position(|two| two == b"\n\n").ok_or(corrupt)?;
    let (digest, hashes) = parse_head(&bytes[..end], key).unwrap_or(Err(corrupt))?;
    let (verified, tree) = thread::scope(|scope| {
        let verified = spawn_scoped(scope, || verify(digest, &hashes));
        let tree = UsrTree::from_text(&bytes[end + 2..]);
        let join =
            |thread: ScopedJoinHandle<_>| panic_to_error("verifying a cached signature", thread.join());
        (verified.and_then(join).flatten(), tree)
    });
    Ok((CachedTree { digest, hashes, tree: tree.map_err(|_| corrupt)? }, verified))
}

type Digests = (Digest, Vec<Option<Vec<u8>>>);

/// Parses the lines before the tree; `None` if they are corrupt, else the digests or the reason why they are not valid.
fn parse_head(head: &[u8], key: &CacheInputs) -> Option<std::result::Result<Digests, &'static str>> {
    let head = std::str::from_utf8(head).ok()?;
    let (checked, check) = head.rsplit_once("\ncheck ")?;
    if Digest::sha256(checked.as_bytes()).hex() != check {
        return None;
    }
    let (digest, mut lines) = TREES.parse_header(checked)?;
    let reasons =
        ["the file has changed", "its signature has changed", "the trusted certificates have changed"];
    for (line, reason) in key.lines().into_iter().zip(reasons) {
        if lines.next()? != line {
            return Some(Err(reason));
        }
    }
    let hashes = lines.map(|line| parse_hash(line.strip_prefix("hash ")?)).collect::<Option<Vec<_>>>()?;
    Some(Ok((digest, hashes)))
}

/// Stores the tree of the image at `path`.
pub(super) fn store(cache: &Cache, path: &Path, key: &CacheInputs, cached: &CachedTree) -> Result<()> {
    let mut head = [vec![TREES.header(path, cached.digest)], key.lines().into()].concat();
    let hash = |hash: &Option<Vec<u8>>| hash.as_ref().map_or_else(|| "-".to_owned(), hex::encode);
    head.extend(cached.hashes.iter().map(|bytes| format!("hash {}", hash(bytes))));
    let head = head.join("\n");
    let check = Digest::sha256(head.as_bytes()).hex();
    TREES.store(cache, path, format!("{head}\ncheck {check}\n\n{}", cached.tree.to_text()))
}

impl CacheInputs {
    fn lines(&self) -> [String; 3] {
        let signature = self.signature.map_or_else(|| "none".to_owned(), |digest| digest.hex());
        [
            format!("stamp {}", self.stamp.line),
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
