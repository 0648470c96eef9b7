//! An image as commands use it: its tree at once, the content of files when it is requested.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::dir::Cache;
use super::file_id::FileId;
use super::image_reader::{ImageReader, Metered, UnopenedImage, changed, open};
use super::image_store::{ImageStore, SignatureCheck};
use super::package_cache;
use super::tree_cache::{self, CacheKey, CachedTree};
use crate::atomic_file;
use crate::signals::TempPath;
use crate::terminal::Term;
use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::provenance::Signer;
use packages::PackageSet;
use pxe_image::Sha256Digest;
use pxe_image::ingest::{Payload, ingest};
use usr::path::UsrPath;
use usr::tree::UsrTree;

/// Where an image came from, and who answers for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The URL or path.
    pub source: String,
    /// The digest of the `.cpio.gz`.
    pub digest: Sha256Digest,
    /// Who signed it; `None` under `--unsigned`.
    pub signer: Option<Signer>,
}

/// A verified image. What was read of it before comes from the cache; the image itself is opened, and verified from its
/// bytes, when that is not enough.
pub struct ImageHandle {
    path: PathBuf,
    signature: Option<Vec<u8>>,
    origin: Origin,
    terms: Option<CacheKey>,
    hashes: Vec<Option<Vec<u8>>>,
    tree: UsrTree,
    reader: Arc<ImageReader>,
    packages: OnceLock<PackageSet>,
    cache: Cache,
    /// Whether the tree came from the cache.
    is_cached: bool,
}

impl ImageHandle {
    /// Proves the image at `path`, from what is kept of it where that still counts, else from its bytes.
    pub(super) fn at(
        store: &ImageStore<'_>,
        path: PathBuf,
        source: String,
        signature: Option<Vec<u8>>,
    ) -> Result<ImageHandle> {
        let file = open(&path)?;
        let stamp = FileId::of(&file)?;
        let terms = store.terms(stamp, signature.as_deref());
        let place = tree_cache::place(&store.cache, &path).map_err(|_| "the cache cannot be used");
        let why_not = match place.and_then(|place| tree_cache::load(&place, &terms)) {
            Ok(kept) => match store.signer_of_kept(&source, signature.as_deref(), &kept)? {
                Some(signer) => {
                    store.term.detail("cache", format!("{source}: its tree is kept from an earlier run"));
                    return Ok(ImageHandle::of_kept(store, path, source, signature, (terms, kept), signer));
                }
                None => "its signature holds no more",
            },
            Err(why_not) => why_not,
        };
        store.term.detail("cache", format!("{source}: {why_not}, so all of it is read"));
        let proving = store.proving(&source, signature.as_deref())?;
        ImageHandle::proved(store, path, source, signature, &file, proving)
    }

    fn of_kept(
        store: &ImageStore<'_>,
        path: PathBuf,
        source: String,
        signature: Option<Vec<u8>>,
        (terms, kept): (CacheKey, CachedTree),
        signer: Option<Signer>,
    ) -> ImageHandle {
        let unopened = UnopenedImage {
            path: path.clone(),
            digest: kept.digest,
            signature: signature.clone(),
            keyring: store.keyring.clone(),
            cache: store.cache.clone(),
        };
        let reader = Arc::new(ImageReader::with_unopened(store.term, &source, unopened));
        ImageHandle {
            path,
            signature,
            origin: Origin { source, digest: kept.digest, signer },
            terms: Some(terms),
            hashes: kept.hashes,
            tree: kept.tree.with_reader(reader.clone()),
            reader,
            packages: OnceLock::new(),
            cache: store.cache.clone(),
            is_cached: true,
        }
    }

    /// Proves an open file from its bytes.
    fn proved(
        store: &ImageStore<'_>,
        path: PathBuf,
        source: String,
        signature: Option<Vec<u8>>,
        file: &File,
        proving: SignatureCheck,
    ) -> Result<ImageHandle> {
        let before = FileId::of(file)?;
        let progress = store.term.progress("verify", Some(before.size()));
        let stream = Metered { inner: file, progress: progress.as_ref() };
        let verified = store.prove(&source, stream, Some(before.size()), proving);
        progress.finish();
        let verified = verified?;
        // A file that changes under way, or did a moment ago, may look the same and not be it.
        let steady = FileId::of(file)? == before && !before.is_fresh(SystemTime::now());
        let terms = steady.then(|| store.terms(before, signature.as_deref()));
        ImageHandle::of_verified(store.term, &store.cache, path, signature, verified, terms)
    }

    /// Opens what was verified in another way: in its download.
    pub(super) fn of_verified(
        term: &Term,
        cache: &Cache,
        path: PathBuf,
        signature: Option<Vec<u8>>,
        verified: pxe_image::VerifiedImage,
        terms: Option<CacheKey>,
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
            terms,
            hashes,
            tree,
            reader,
            packages,
            cache: cache.clone(),
            is_cached: false,
        })
    }

    /// Its file has found its place: from now on its tree may be kept.
    pub(super) fn lies(&mut self, terms: CacheKey) {
        self.terms = Some(terms);
    }

    /// Where it came from, and who answers for it.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path of the `.cpio.gz`.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Every node. The content of files is read on demand.
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
    /// The image is no longer the one that was verified, or is malformed where one of the files is.
    pub fn for_each_piece<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p UsrPath>,
        visit: impl FnMut(&UsrPath, &[u8]),
    ) -> Result<()> {
        self.reader.image()?.for_each_piece(paths, visit)
    }

    /// The path of the `.cpio.gz`; its signature is verified once more, over the bytes on disk now. Whoever opens the
    /// path later may find other bytes: [`ImageHandle::copy_verified`] leaves no such gap.
    ///
    /// # Errors
    /// It is no longer what was verified.
    pub fn verified_path(&self, store: &ImageStore<'_>) -> Result<&Path> {
        let check = store.proving(&self.origin.source, self.signature.as_deref())?;
        self.read_verified(store, check, |_| Ok(()))?;
        Ok(&self.path)
    }

    /// Writes the image to `output`: the bytes that are written are the ones that are verified, in one pass, and the
    /// file gets its name when its signature is valid.
    ///
    /// # Errors
    /// The file cannot be written, or is there and no regular file; the image is no longer what was verified.
    pub fn copy_verified(&self, store: &ImageStore<'_>, output: &Path) -> Result<()> {
        let about = || format!("cannot write {}", output.display());
        match fs::symlink_metadata(output) {
            Ok(found) if !found.is_file() && !found.is_symlink() => {
                return Err(Error::failed(about()).with_cause("it is there, and is not a regular file"));
            }
            _ => {}
        }
        let check = store.proving(&self.origin.source, self.signature.as_deref())?;
        let temp = TempPath::at(atomic_file::temp_path(output));
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
        let file = open(&self.path)?;
        let progress = store.term.progress("verify", file.metadata().ok().map(|found| found.len()));
        let stream = Tee { inner: Metered { inner: &file, progress: progress.as_ref() }, write };
        let read = ingest(stream, check, Payload::Opaque);
        progress.finish();
        let read = read?;
        read.check.finish()?;
        if read.digest != self.origin.digest {
            return Err(changed(&self.path));
        }
        Ok(())
    }

    /// Keeps the tree with what was read, for the next run, and gives it.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn finish(self, store: &ImageStore<'_>) -> Result<(Origin, UsrTree)> {
        // Closes the image, where nothing else has its reader.
        let has_news = !self.is_cached || self.reader.has_read();
        drop(self.reader);
        let tree = self.tree.without_reader();
        let Some(terms) = self.terms.filter(|_| has_news) else { return Ok((self.origin, tree)) };
        if let Some(packages) = self.packages.get().filter(|packages| !self.is_cached && !packages.is_empty())
        {
            package_cache::store(&store.cache, &self.path, self.origin.digest, packages)?;
        }
        let kept = CachedTree { digest: self.origin.digest, hashes: self.hashes, tree };
        tree_cache::store(&store.cache, &self.path, &terms, &kept)?;
        Ok((self.origin, kept.tree))
    }
}

/// Passes what is read on.
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
