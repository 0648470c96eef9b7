//! A verified image: its tree, and the content of its files on demand.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::file_id::FileId;
use super::image_file::{ImageFile, ImageProvenance, ImageStream};
use super::image_store::ImageStore;
use super::lazy_image::LazyImage;
use super::package_cache::{self, PACKAGES};
use super::remove_old_entries::touch_entry;
use super::tree_cache::{self, CacheInputs, CachedTree, TREES};
use crate::atomic_file;
use crate::signals::TempPath;
use coreos_types::{Error, Result, ResultExt, Signer};
use packages::PackageSet;
use pxe_image::{CheckOutcome, UsrSquashfs, VerifiedImage};
use usr::{UsrPath, UsrTree};

/// A verified image. Its tree may come from the cache; the image itself is then opened, and its bytes are verified,
/// when a file is read that the cache does not have.
pub struct ImageHandle {
    reader: Arc<LazyImage>,
    /// The key under which the tree can be cached; set once the image is at its path.
    pub(super) cache_inputs: Option<CacheInputs>,
    hashes: Vec<Option<Vec<u8>>>,
    tree: UsrTree,
    packages: OnceLock<PackageSet>,
}

/// Compares a verified image with the request, since a wrong image may have a good signature. A refused image is not
/// cached.
pub type ImageCheck<'j> = &'j dyn Fn(&ImageHandle) -> Result<()>;

impl ImageHandle {
    /// Opens and verifies an image: with its cached tree if that is still valid, else by its bytes.
    pub(super) fn open(store: &ImageStore, file: ImageFile) -> Result<ImageHandle> {
        let opened = file.open()?;
        let key = store.cache_inputs(FileId::from_file(&opened)?, file.signature.as_deref());
        let reverify = |digest, hashes: &[_]| store.reverify_cached(&file, digest, hashes);
        let why_not = match tree_cache::load_and_verify(&store.cache, &file.path, &key, reverify) {
            Ok((cached, signer)) => match signer? {
                Some(signer) => {
                    store.term.detail("cache", format!("{}: its tree is cached", file.source));
                    // The tree does not contain the packages: their entry lives as long.
                    let entries = [&TREES, &PACKAGES].map(|entries| entries.path(&store.cache, &file.path));
                    entries.iter().flatten().for_each(|entry| touch_entry(entry));
                    return Ok(ImageHandle::new(store, file, signer, cached, None, Some(key)));
                }
                None => "its signature is not valid any more",
            },
            Err(why_not) => why_not,
        };
        store.term.detail("cache", format!("{}: {why_not}, so the whole image is read", file.source));
        let verified = store.verify(&file, &opened)?;
        // A file that changes meanwhile, or changed a moment ago, may have the same metadata with other content.
        let is_stable = FileId::from_file(&opened)? == key.stamp && !key.stamp.is_racy(SystemTime::now());
        ImageHandle::from_verified(store, file, verified, is_stable.then_some(key))
    }

    /// Creates the handle of a verified image. `cache_inputs` is `None` if its tree must not be cached (yet).
    pub(super) fn from_verified(
        store: &ImageStore,
        file: ImageFile,
        verified: VerifiedImage,
        cache_inputs: Option<CacheInputs>,
    ) -> Result<ImageHandle> {
        let CheckOutcome { digest, signer, signature_digests } = verified.outcome().clone();
        let mut image = verified.open()?;
        let read = CachedTree { digest, hashes: signature_digests, tree: image.take_tree_without_reader() };
        Ok(ImageHandle::new(store, file, signer, read, Some(image), cache_inputs))
    }

    /// Creates the handle of a tree that was cached, or read from `image`.
    fn new(
        store: &ImageStore,
        file: ImageFile,
        signer: Option<Signer>,
        CachedTree { digest, hashes, tree }: CachedTree,
        image: Option<UsrSquashfs>,
        cache_inputs: Option<CacheInputs>,
    ) -> ImageHandle {
        let packages = image.as_ref().map_or_else(OnceLock::new, |image| {
            OnceLock::from(package_cache::read_from_image(&store.term, image, &tree))
        });
        let provenance = ImageProvenance { source: file.source.clone(), digest, signer };
        let image = image.map_or_else(OnceLock::new, |image| OnceLock::from(Ok(image)));
        let reader = Arc::new(LazyImage { store: store.clone(), file, provenance, image });
        let tree = tree.with_reader(reader.clone());
        ImageHandle { reader, cache_inputs, hashes, tree, packages }
    }

    /// Source, digest and signer.
    pub fn provenance(&self) -> &ImageProvenance {
        &self.reader.provenance
    }

    /// The path of the `.cpio.gz`.
    pub(crate) fn path(&self) -> &Path {
        &self.reader.file.path
    }

    /// The tree, whose files are read on demand.
    pub fn tree(&self) -> &UsrTree {
        &self.tree
    }

    /// The packages of the image and the files that they own; empty if the image does not name them.
    pub fn packages(&self) -> &PackageSet {
        let load = || package_cache::load(&self.reader.store.cache, self.path(), self.provenance().digest);
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
    pub fn reverify_path(&self) -> Result<&Path> {
        self.read_verified(|_| Ok(())).map(|()| self.path())
    }

    /// Writes the image to `output`: the same bytes are verified and written, in one pass, and the file is renamed to
    /// `output` once the signature is valid.
    ///
    /// # Errors
    /// The file cannot be written; it exists, and is not a regular file or a link to one; the image has changed since it
    /// was verified.
    pub fn copy_verified(&self, output: &Path) -> Result<()> {
        if fs::metadata(output).is_ok_and(|found| !found.is_file()) {
            return Err(Error::failed(format!("cannot write {}", output.display()))
                .with_cause("it exists, and is not a regular file"));
        }
        let temp = TempPath::register(atomic_file::temp_path(output));
        let mut file = File::create_new(temp.path()).with_path("cannot write", output)?;
        self.read_verified(|bytes| file.write_all(bytes))?;
        fs::rename(temp.path(), output).with_path("cannot write", output)?;
        temp.keep();
        Ok(())
    }

    /// Reads the image once: verifies it, and passes every byte to `write`.
    fn read_verified(&self, write: impl FnMut(&[u8]) -> io::Result<()>) -> Result<()> {
        let LazyImage { store, file, .. } = &*self.reader;
        let mut check = store.signature_check(&file.source, file.signature.as_deref())?;
        let opened = file.open()?;
        check.read_to_end(ImageStream::new(&store.term, &opened, write))?;
        if check.finish()?.digest == self.provenance().digest { Ok(()) } else { Err(file.changed_error()) }
    }

    /// Stores the tree, with the files that were read, in the cache, and returns it.
    pub fn store_tree(self) -> Result<UsrTree> {
        let LazyImage { store, file, provenance, image } = &*self.reader;
        let tree = self.tree.without_reader();
        // The image of a cached tree is opened for files that the cache does not have.
        let is_changed = image.get().is_some_and(Result::is_ok);
        let Some(key) = self.cache_inputs.filter(|_| is_changed) else { return Ok(tree) };
        if let Some(packages) = self.packages.get().filter(|packages| !packages.is_empty()) {
            package_cache::store(&store.cache, &file.path, provenance.digest, packages)?;
        }
        let cached = CachedTree { digest: provenance.digest, hashes: self.hashes, tree };
        tree_cache::store(&store.cache, &file.path, &key, &cached)?;
        Ok(cached.tree)
    }
}
