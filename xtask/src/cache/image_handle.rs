//! A verified image: its tree, and the content of its files on demand.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::file_id::FileId;
use super::image_file::{ImageFile, ImageStream};
use super::image_store::ImageStore;
use super::lazy_image::LazyImage;
use super::package_cache::{self, PACKAGES};
use super::remove_old_entries::touch_entry;
use super::tree_cache::{self, CacheInputs, CachedTree, TREES};
use crate::atomic_file;
use crate::signals::TempPath;
use coreos_types::{Error, Result, ResultExt, Signer};
use packages::PackageSet;
use pxe_image::unverified_read::{Payload, read_unverified};
use pxe_image::{Digest, VerifiedImage};
use usr::{UsrPath, UsrTree};

/// Source, digest and signer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageProvenance {
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
    file: ImageFile,
    provenance: ImageProvenance,
    /// The key under which the tree can be cached.
    cache_inputs: Option<CacheInputs>,
    hashes: Vec<Option<Vec<u8>>>,
    tree: UsrTree,
    reader: Arc<LazyImage>,
    packages: OnceLock<PackageSet>,
    /// Whether the tree came from the cache.
    is_cached: bool,
}

/// Compares a verified image with the request, since a wrong image may have a good signature. A refused image is not
/// cached.
pub type ImageCheck<'j> = &'j dyn Fn(&ImageHandle) -> Result<()>;

impl ImageHandle {
    /// Opens and verifies an image: with its cached tree if that is still valid, else by its bytes.
    pub(super) fn open(store: &ImageStore<'_>, file: ImageFile) -> Result<ImageHandle> {
        let opened = file.open()?;
        let id = FileId::from_file(&opened)?;
        let key = store.cache_inputs(id, file.signature.as_deref());
        let source = &file.source;
        let why_not = match tree_cache::load(&store.cache, &file.path, &key) {
            Ok(cached) => match store.reverify_cached(&file, &cached)? {
                Some(signer) => return Ok(ImageHandle::from_cached(store, file, key, cached, signer)),
                None => "its signature is not valid any more",
            },
            Err(why_not) => why_not,
        };
        store.term.detail("cache", format!("{source}: {why_not}, so the whole image is read"));
        let check = store.signature_check(source, file.signature.as_deref())?;
        let verified = file.verify(&opened, check, store.term, &store.cache)?;
        // A file that changes meanwhile, or changed a moment ago, may have the same metadata with other content.
        let is_stable = FileId::from_file(&opened)? == id && !id.is_racy(SystemTime::now());
        ImageHandle::from_verified(store, file, verified, is_stable.then_some(key))
    }

    fn from_cached(
        store: &ImageStore<'_>,
        file: ImageFile,
        key: CacheInputs,
        cached: CachedTree,
        signer: Option<Signer>,
    ) -> ImageHandle {
        store.term.detail("cache", format!("{}: its tree is cached", file.source));
        // The tree does not contain the packages: their entry lives as long.
        let entries = [&TREES, &PACKAGES].map(|entries| entries.path(&store.cache, &file.path));
        entries.iter().flatten().for_each(|entry| touch_entry(entry));
        let reader = Arc::new(LazyImage::new(store, &file, cached.digest, None));
        ImageHandle {
            provenance: ImageProvenance { source: file.source.clone(), digest: cached.digest, signer },
            file,
            cache_inputs: Some(key),
            hashes: cached.hashes,
            tree: cached.tree.with_reader(reader.clone()),
            reader,
            packages: OnceLock::new(),
            is_cached: true,
        }
    }

    /// Creates the handle of a verified image. `cache_inputs` is `None` if its tree must not be cached (yet).
    pub(super) fn from_verified(
        store: &ImageStore<'_>,
        file: ImageFile,
        verified: VerifiedImage,
        cache_inputs: Option<CacheInputs>,
    ) -> Result<ImageHandle> {
        let (digest, signer) = (verified.digest(), verified.signer().cloned());
        let hashes = verified.signature_digests().to_vec();
        let mut image = verified.open()?;
        let tree = image.take_tree_without_reader();
        let packages = OnceLock::from(package_cache::read_from_image(store.term, &image, &tree));
        let reader = Arc::new(LazyImage::new(store, &file, digest, Some(image)));
        Ok(ImageHandle {
            provenance: ImageProvenance { source: file.source.clone(), digest, signer },
            file,
            cache_inputs,
            hashes,
            tree: tree.with_reader(reader.clone()),
            reader,
            packages,
            is_cached: false,
        })
    }

    /// Sets the cache key, once the image is at its path in the cache.
    pub(super) fn set_cache_inputs(&mut self, key: CacheInputs) {
        self.cache_inputs = Some(key);
    }

    /// Source, digest and signer.
    pub fn provenance(&self) -> &ImageProvenance {
        &self.provenance
    }

    /// The path of the `.cpio.gz`.
    pub(crate) fn path(&self) -> &Path {
        &self.file.path
    }

    /// The tree, whose files are read on demand.
    pub fn tree(&self) -> &UsrTree {
        &self.tree
    }

    /// The packages of the image and the files that they own; empty if the image does not name them.
    pub fn packages(&self) -> &PackageSet {
        let load = || package_cache::load(&self.reader.cache, self.path(), self.provenance.digest);
        self.packages.get_or_init(|| load().unwrap_or_default())
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
    pub fn reverify_path(&self, store: &ImageStore<'_>) -> Result<&Path> {
        self.read_verified(store, |_| Ok(())).map(|()| self.path())
    }

    /// Writes the image to `output`: the same bytes are verified and written, in one pass, and the file is renamed to
    /// `output` once the signature is valid.
    ///
    /// # Errors
    /// The file cannot be written, or exists and is not a regular file; the image has changed since it was verified.
    pub fn copy_verified(&self, store: &ImageStore<'_>, output: &Path) -> Result<()> {
        let about = || format!("cannot write {}", output.display());
        if fs::symlink_metadata(output).is_ok_and(|found| !found.is_file() && !found.is_symlink()) {
            return Err(Error::failed(about()).with_cause("it exists, and is not a regular file"));
        }
        let temp = TempPath::register(atomic_file::temp_path(output));
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(temp.path()).with_context(about)?;
        self.read_verified(store, |bytes| file.write_all(bytes))?;
        fs::rename(temp.path(), output).with_context(about)?;
        temp.keep();
        Ok(())
    }

    /// Reads the image once: verifies it, and passes every byte to `write`.
    fn read_verified(
        &self,
        store: &ImageStore<'_>,
        write: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<()> {
        let check = store.signature_check(&self.file.source, self.file.signature.as_deref())?;
        let file = self.file.open()?;
        let stream = ImageStream::new(store.term, &file, write);
        let read = read_unverified(stream, check, Payload::Opaque)?;
        read.check.finish()?;
        if read.digest == self.provenance.digest { Ok(()) } else { Err(self.file.changed_error()) }
    }

    /// Stores the tree, with the files that were read, in the cache, and returns it.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn store_tree(self, store: &ImageStore<'_>) -> Result<(ImageProvenance, UsrTree)> {
        // Drops the reader, and with it the open image, unless a clone of the tree still has it.
        let is_changed = !self.is_cached || self.reader.has_read();
        drop(self.reader);
        let tree = self.tree.without_reader();
        let Some(key) = self.cache_inputs.filter(|_| is_changed) else { return Ok((self.provenance, tree)) };
        let (path, digest) = (&self.file.path, self.provenance.digest);
        if let Some(packages) = self.packages.get().filter(|packages| !self.is_cached && !packages.is_empty())
        {
            package_cache::store(&store.cache, path, digest, packages)?;
        }
        let cached = CachedTree { digest, hashes: self.hashes, tree };
        tree_cache::store(&store.cache, path, &key, &cached)?;
        Ok((self.provenance, cached.tree))
    }
}
