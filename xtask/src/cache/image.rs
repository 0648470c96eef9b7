//! An image as commands use it: its tree at once, the content of files when it is asked for.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::file_id::FileId;
use super::image_store::{ImageStore, SignatureCheck};
use super::tree_cache::{self, CacheKey, CachedTree};
use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::provenance::Signer;
use pxe_image::ingest::{Content, pass};
use pxe_image::{Digest, UsrSquashfs};
use usr::file_info::FileInfo;
use usr::path::UsrPath;
use usr::tree::UsrTree;

/// Where an image came from, and who answers for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The URL or path.
    pub source: String,
    /// The digest of the `.cpio.gz`.
    pub digest: Digest,
    /// Who signed it; `None` under `--unsigned`.
    pub signer: Option<Signer>,
}

/// A proved image. What was read of it before comes from the cache; the image itself is opened, and proved from its
/// bytes, when that is not enough.
pub struct ImageHandle {
    path: PathBuf,
    signature: Option<Vec<u8>>,
    origin: Origin,
    terms: Option<CacheKey>,
    hashes: Vec<Option<Vec<u8>>>,
    state: State,
    /// Whether the tree holds more than what is kept.
    grown: bool,
}

enum State {
    Read(UsrTree),
    Open(Box<UsrSquashfs>),
}

impl ImageHandle {
    /// Proves the image at `path`, from what is kept of it where that still counts, else from its bytes.
    pub(super) fn at(
        road: &ImageStore<'_>,
        path: PathBuf,
        source: String,
        signature: Option<Vec<u8>>,
    ) -> Result<ImageHandle> {
        let file = open(&path)?;
        let stamp = FileId::of(&file)?;
        let terms = road.terms(stamp, signature.as_deref());
        let place = tree_cache::place(&road.cache, &path).map_err(|_| "the cache cannot be used");
        let why_not = match place.and_then(|place| tree_cache::load(&place, &terms)) {
            Ok(kept) => match road.signer_of_kept(&source, signature.as_deref(), &kept)? {
                Some(signer) => {
                    road.term.detail("cache", format!("{source}: its tree is kept from an earlier run"));
                    let origin = Origin { source, digest: kept.digest, signer };
                    let (hashes, state) = (kept.hashes, State::Read(kept.tree));
                    return Ok(ImageHandle {
                        path,
                        signature,
                        origin,
                        terms: Some(terms),
                        hashes,
                        state,
                        grown: false,
                    });
                }
                None => "its signature holds no more",
            },
            Err(why_not) => why_not,
        };
        road.term.detail("cache", format!("{source}: {why_not}, so all of it is read"));
        let proving = road.proving(&source, signature.as_deref())?;
        ImageHandle::proved(road, path, source, signature, &file, proving)
    }

    /// Proves an open file from its bytes.
    fn proved(
        road: &ImageStore<'_>,
        path: PathBuf,
        source: String,
        signature: Option<Vec<u8>>,
        file: &File,
        proving: SignatureCheck,
    ) -> Result<ImageHandle> {
        let before = FileId::of(file)?;
        let progress = road.term.progress("verify", Some(before.size()));
        let stream = Metered { inner: file, progress: progress.as_ref() };
        let verified = road.prove(&source, stream, Some(before.size()), proving);
        progress.finish();
        let verified = verified?;
        // A file that changes under way, or did a moment ago, may look the same and not be it.
        let steady = FileId::of(file)? == before && !before.is_fresh(SystemTime::now());
        let terms = steady.then(|| road.terms(before, signature.as_deref()));
        ImageHandle::of_verified(path, signature, verified, terms)
    }

    /// Opens what was proved in another way: in its download.
    pub(super) fn of_verified(
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
        let hashes = verified.hashes().to_vec();
        let state = State::Open(Box::new(verified.open()?));
        Ok(ImageHandle { path, signature, origin, terms, hashes, state, grown: true })
    }

    /// Its file has found its place: from now on its tree may be kept.
    pub(super) fn lies(&mut self, terms: CacheKey) {
        self.terms = Some(terms);
    }

    /// Where it came from, and who answers for it.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Every node; files that were not asked for yet are [`FileInfo::Unread`].
    pub fn tree(&self) -> &UsrTree {
        match &self.state {
            State::Read(tree) => tree,
            State::Open(image) => image.tree(),
        }
    }

    /// Makes sure that what checks may ask of the files at these paths is in the tree.
    ///
    /// # Errors
    /// The image is broken where they lie, or is no longer the one that was proved.
    pub fn read_facts<'p>(
        &mut self,
        road: &ImageStore<'_>,
        paths: impl IntoIterator<Item = &'p UsrPath>,
    ) -> Result<()> {
        let unread = |path: &&UsrPath| self.tree().facts(path.as_str()) == Some(&FileInfo::Unread);
        let wanted: Vec<UsrPath> = paths.into_iter().filter(unread).cloned().collect();
        if wanted.is_empty() {
            return Ok(());
        }
        if let State::Read(tree) = &self.state {
            let known = tree.iter().map(|(path, _)| path);
            let known = known
                .filter(|path| tree.facts(path.as_str()).is_some_and(|facts| *facts != FileInfo::Unread));
            let known: Vec<UsrPath> = known.cloned().collect();
            self.reopen(road)?;
            self.read_open(&known)?;
        }
        self.read_open(&wanted)?;
        self.grown = true;
        Ok(())
    }

    fn read_open(&mut self, paths: &[UsrPath]) -> Result<()> {
        match &mut self.state {
            State::Open(image) => image.read_facts(paths),
            State::Read(_) => Ok(()),
        }
    }

    fn reopen(&mut self, road: &ImageStore<'_>) -> Result<()> {
        let proving = road.proving(&self.origin.source, self.signature.as_deref())?;
        let (path, source) = (self.path.clone(), self.origin.source.clone());
        let file = open(&path)?;
        let again = ImageHandle::proved(road, path, source, self.signature.clone(), &file, proving)?;
        if again.origin.digest != self.origin.digest {
            return Err(Error::failed(format!("{} changed while it was used", self.path.display())));
        }
        *self = again;
        Ok(())
    }

    /// The path of the `.cpio.gz`, for those who take its bytes from there: its signature is proved once more, from
    /// the bytes as they lie on disk now.
    ///
    /// # Errors
    /// It is no longer what was proved.
    pub fn hand_on(&self, road: &ImageStore<'_>) -> Result<&Path> {
        let proving = road.proving(&self.origin.source, self.signature.as_deref())?;
        let file = open(&self.path)?;
        let progress = road.term.progress("verify", file.metadata().ok().map(|found| found.len()));
        let stream = Metered { inner: &file, progress: progress.as_ref() };
        let passed = pass(stream, proving, Content::Opaque);
        progress.finish();
        let passed = passed?;
        passed.watch.judge()?;
        if passed.digest != self.origin.digest {
            return Err(Error::failed(format!("{} changed while it was used", self.path.display())));
        }
        Ok(&self.path)
    }

    /// Keeps the tree with what was read, for the next run, and gives it.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn finish(self, road: &ImageStore<'_>) -> Result<(Origin, UsrTree)> {
        let tree = match self.state {
            State::Read(tree) => tree,
            State::Open(image) => image.into_tree(),
        };
        let Some(terms) = self.terms.filter(|_| self.grown) else { return Ok((self.origin, tree)) };
        let kept = CachedTree { digest: self.origin.digest, hashes: self.hashes, tree };
        tree_cache::store(&road.cache, &self.path, &terms, &kept)?;
        Ok((self.origin, kept.tree))
    }
}

fn open(path: &Path) -> Result<File> {
    let file = File::open(path).with_context(|| format!("cannot open the image {}", path.display()))?;
    if file.metadata().is_ok_and(|found| found.is_dir()) {
        return Err(Error::failed(format!("{} is a folder, expected a PXE image", path.display())));
    }
    Ok(file)
}

/// Counts what is read.
pub(super) struct Metered<'p, R> {
    pub(super) inner: R,
    pub(super) progress: &'p dyn crate::terminal::Progress,
}

impl<R: std::io::Read> std::io::Read for Metered<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(out)?;
        self.progress.advance(count as u64);
        Ok(count)
    }
}
