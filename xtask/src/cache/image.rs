//! A verified image: its tree, and the content of its files on demand.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::dir::Cache;
use super::file_id::FileId;
use super::image_reader::{ImageReader, ProgressReader, UnopenedImage, changed, open as open_image};
use super::image_store::{ImageStore, SignatureCheck};
use super::package_cache;
use super::remove_old_entries::mark_used;
use super::tree_cache::{self, CacheKey, CachedTree};
use crate::atomic_file;
use crate::signals::TempPath;
use crate::terminal::Term;
use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::signer::Signer;
use packages::PackageSet;
use pxe_image::Digest;
use pxe_image::ingest::{Payload, ingest};
use usr::path::UsrPath;
use usr::tree::UsrTree;

/// Source, digest and signer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The URL or path.
    pub source: String,
    /// The digest of the `.cpio.gz`.
    pub digest: Digest,
    /// The signer; `None` under `--unsigned`.
    pub signer: Option<Signer>,
}

/// A verified image. Its tree may come from the cache; the image itself is then opened, and its bytes are verified,
/// when a file is read that the cache does not have.
pub struct ImageHandle {
    path: PathBuf,
    signature: Option<Vec<u8>>,
    origin: Origin,
    /// The key under which the tree can be cached.
    cache_key: Option<CacheKey>,
    hashes: Vec<Option<Vec<u8>>>,
    tree: UsrTree,
    reader: Arc<ImageReader>,
    packages: OnceLock<PackageSet>,
    cache: Cache,
    /// Whether the tree came from the cache.
    is_cached: bool,
}

impl ImageHandle {
    /// Opens and verifies the image at `path`: with its cached tree if that is still valid, else by its bytes.
    pub(super) fn open(
        store: &ImageStore<'_>,
        path: PathBuf,
        source: String,
        signature: Option<Vec<u8>>,
    ) -> Result<ImageHandle> {
        let file = open_image(&path)?;
        let stamp = FileId::from_file(&file)?;
        let key = store.cache_key(stamp, signature.as_deref());
        let file_path = tree_cache::cache_path(&store.cache, &path).map_err(|_| "the cache cannot be used");
        let why_not = match file_path.and_then(|file_path| tree_cache::load(&file_path, &key)) {
            Ok(cached) => match store.reverify_cached(&source, signature.as_deref(), &cached)? {
                Some(signer) => {
                    store.term.detail("cache", format!("{source}: its tree is cached"));
                    // A cached tree does not bring the packages back, so they are kept as long.
                    let entries = [
                        tree_cache::cache_path(&store.cache, &path),
                        package_cache::cache_path(&store.cache, &path),
                    ];
                    entries.into_iter().flatten().for_each(|entry| mark_used(&entry));
                    return Ok(ImageHandle::from_cached(
                        store,
                        path,
                        source,
                        signature,
                        (key, cached),
                        signer,
                    ));
                }
                None => "its signature is not valid any more",
            },
            Err(why_not) => why_not,
        };
        store.term.detail("cache", format!("{source}: {why_not}, so the whole image is read"));
        let check = store.signature_check(&source, signature.as_deref())?;
        ImageHandle::open_uncached(store, path, source, signature, &file, check)
    }

    fn from_cached(
        store: &ImageStore<'_>,
        path: PathBuf,
        source: String,
        signature: Option<Vec<u8>>,
        (key, cached): (CacheKey, CachedTree),
        signer: Option<Signer>,
    ) -> ImageHandle {
        let unopened = UnopenedImage {
            path: path.clone(),
            digest: cached.digest,
            signature: signature.clone(),
            keyring: store.keyring.clone(),
            cache: store.cache.clone(),
        };
        let reader = Arc::new(ImageReader::with_unopened(store.term, &source, unopened));
        ImageHandle {
            path,
            signature,
            origin: Origin { source, digest: cached.digest, signer },
            cache_key: Some(key),
            hashes: cached.hashes,
            tree: cached.tree.with_reader(reader.clone()),
            reader,
            packages: OnceLock::new(),
            cache: store.cache.clone(),
            is_cached: true,
        }
    }

    /// Verifies the bytes of an open file.
    fn open_uncached(
        store: &ImageStore<'_>,
        path: PathBuf,
        source: String,
        signature: Option<Vec<u8>>,
        file: &File,
        check: SignatureCheck,
    ) -> Result<ImageHandle> {
        let before = FileId::from_file(file)?;
        let progress = store.term.progress("verify", Some(before.size()));
        let stream = ProgressReader { inner: file, progress: &progress };
        let verified = store.verify_stream(&source, stream, Some(before.size()), check);
        progress.finish();
        let verified = verified?;
        // A file that changes meanwhile, or changed a moment ago, may have the same metadata with other content.
        let is_stable = FileId::from_file(file)? == before && !before.is_racy(SystemTime::now());
        let key = is_stable.then(|| store.cache_key(before, signature.as_deref()));
        ImageHandle::from_verified(store.term, &store.cache, path, signature, verified, key)
    }

    /// Creates the handle of a verified image. `cache_key` is `None` if its tree must not be cached (yet).
    pub(super) fn from_verified(
        term: &Term,
        cache: &Cache,
        path: PathBuf,
        signature: Option<Vec<u8>>,
        verified: pxe_image::VerifiedImage,
        cache_key: Option<CacheKey>,
    ) -> Result<ImageHandle> {
        let origin = Origin {
            source: verified.source().to_owned(),
            digest: verified.digest(),
            signer: verified.signer().cloned(),
        };
        let hashes = verified.digests().to_vec();
        let mut image = verified.open()?;
        let tree = image.take_tree();
        let packages = OnceLock::from(package_cache::read(term, &image, &tree));
        let reader = Arc::new(ImageReader::new(term, &origin.source, image));
        let tree = tree.with_reader(reader.clone());
        Ok(ImageHandle {
            path,
            signature,
            origin,
            cache_key,
            hashes,
            tree,
            reader,
            packages,
            cache: cache.clone(),
            is_cached: false,
        })
    }

    /// Sets the cache key, once the image is at its path in the cache.
    pub(super) fn set_cache_key(&mut self, key: CacheKey) {
        self.cache_key = Some(key);
    }

    /// Source, digest and signer.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path of the `.cpio.gz`.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The tree, whose files are read on demand.
    pub fn tree(&self) -> &UsrTree {
        &self.tree
    }

    /// The packages of the image and the files that they own; empty if the image does not name them.
    pub fn packages(&self) -> &PackageSet {
        self.packages.get_or_init(|| {
            package_cache::load(&self.cache, &self.path, self.origin.digest).unwrap_or_default()
        })
    }

    /// Passes the content of these regular files to `visit` in pieces; see [`pxe_image::UsrSquashfs::for_each_piece`].
    ///
    /// # Errors
    /// The image has changed since it was verified, or one of the files is malformed.
    pub fn for_each_piece<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p UsrPath>,
        visit: impl FnMut(&UsrPath, &[u8]),
    ) -> Result<()> {
        self.reader.image()?.for_each_piece(paths, visit)
    }

    /// The path of the `.cpio.gz`, after another verification of the bytes on disk. The file may change after that;
    /// [`ImageHandle::copy_verified`] has no such race.
    ///
    /// # Errors
    /// The image has changed since it was verified.
    pub fn verified_path(&self, store: &ImageStore<'_>) -> Result<&Path> {
        let check = store.signature_check(&self.origin.source, self.signature.as_deref())?;
        self.read_verified(store, check, |_| Ok(()))?;
        Ok(&self.path)
    }

    /// Writes the image to `output`: the same bytes are verified and written, in one pass, and the file is renamed to
    /// `output` once the signature is valid.
    ///
    /// # Errors
    /// The file cannot be written, or exists and is not a regular file; the image has changed since it was verified.
    pub fn copy_verified(&self, store: &ImageStore<'_>, output: &Path) -> Result<()> {
        let about = || format!("cannot write {}", output.display());
        match fs::symlink_metadata(output) {
            Ok(found) if !found.is_file() && !found.is_symlink() => {
                return Err(Error::failed(about()).with_cause("it exists, and is not a regular file"));
            }
            _ => {}
        }
        let check = store.signature_check(&self.origin.source, self.signature.as_deref())?;
        let temp = TempPath::new(atomic_file::temp_path(output));
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(temp.path()).with_context(about)?;
        self.read_verified(store, check, |bytes| file.write_all(bytes))?;
        fs::rename(temp.path(), output).with_context(about)?;
        temp.keep();
        Ok(())
    }

    /// Reads the image once: verifies it, and passes every byte to `write`.
    fn read_verified(
        &self,
        store: &ImageStore<'_>,
        check: SignatureCheck,
        write: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<()> {
        let file = open_image(&self.path)?;
        let progress = store.term.progress("verify", file.metadata().ok().map(|found| found.len()));
        let stream = Tee { inner: ProgressReader { inner: &file, progress: &progress }, write };
        let read = ingest(stream, check, Payload::Opaque);
        progress.finish();
        let read = read?;
        read.check.finish()?;
        if read.digest != self.origin.digest {
            return Err(changed(&self.path));
        }
        Ok(())
    }

    /// Stores the tree, with the files that were read, in the cache, and returns it.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn finish(self, store: &ImageStore<'_>) -> Result<(Origin, UsrTree)> {
        // Closes the image, unless another tree shares the reader.
        let is_changed = !self.is_cached || self.reader.has_read();
        drop(self.reader);
        let tree = self.tree.without_reader();
        let Some(key) = self.cache_key.filter(|_| is_changed) else { return Ok((self.origin, tree)) };
        if let Some(packages) = self.packages.get().filter(|packages| !self.is_cached && !packages.is_empty())
        {
            package_cache::store(&store.cache, &self.path, self.origin.digest, packages)?;
        }
        let cached = CachedTree { digest: self.origin.digest, hashes: self.hashes, tree };
        tree_cache::store(&store.cache, &self.path, &key, &cached)?;
        Ok((self.origin, cached.tree))
    }
}

/// Passes the bytes that are read to `write`.
struct Tee<R, W> {
    inner: R,
    write: W,
}

impl<R: Read, W: FnMut(&[u8]) -> io::Result<()>> Read for Tee<R, W> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        (self.write)(&out[..count])?;
        Ok(count)
    }
}
