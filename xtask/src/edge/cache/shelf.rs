//! The folder of one release for one board: proved images, and a download that is not done.

use std::cmp::Reverse;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::folder::Cache;
use super::release::Wanted;
use super::road::read_signature;
use crate::edge::http::Resume;
use crate::edge::image::Digest;
use crate::edge::term::Term;
use crate::fault::{OrFault, Result};

/// One folder, locked: another process that wants the same release waits.
pub(super) struct Shelf {
    folder: PathBuf,
    image: &'static str,
    _lock: File,
}

/// A proved image in the cache.
pub(super) struct OnShelf {
    pub(super) image: PathBuf,
    pub(super) signature: Vec<u8>,
}

impl Shelf {
    pub(super) fn lock(cache: &Cache, term: &Term, wanted: &Wanted) -> Result<Shelf> {
        let Wanted { brand, board, release, .. } = wanted;
        let below: PathBuf = ["releases", brand.id(), board.id(), release.as_str()].iter().collect();
        let folder = cache.folder(below)?;
        let path = folder.join("lock");
        let about = || format!("cannot lock {}", path.display());
        let lock = private(OpenOptions::new().write(true).create(true)).open(&path).or_fault(about)?;
        if lock.try_lock().is_err() {
            term.stage("wait", format!("for another process that gets {release}"));
            lock.lock().or_fault(about)?;
        }
        Ok(Shelf { folder, image: brand.pxe_image(), _lock: lock })
    }

    /// Every image that was put here, the newest first.
    pub(super) fn images(&self) -> Result<Vec<OnShelf>> {
        let about = || format!("cannot read {}", self.folder.display());
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).or_fault(about)? {
            let image = entry.or_fault(about)?.path().join(self.image);
            let Ok(placed) = fs::metadata(&image).and_then(|found| found.modified()) else { continue };
            if let Some(signature) = read_signature(&beside(&image))? {
                found.push((placed, OnShelf { image, signature }));
            }
        }
        found.sort_by_key(|(placed, _)| Reverse(*placed));
        Ok(found.into_iter().map(|(_, image)| image).collect())
    }

    /// Opens the unfinished download, and says where it can go on, if it can.
    pub(super) fn partial(&self) -> Result<(File, Option<Resume>)> {
        let path = self.partial_path();
        let about = || format!("cannot open {}", path.display());
        let file =
            private(OpenOptions::new().read(true).write(true).create(true)).open(&path).or_fault(about)?;
        let length = file.metadata().or_fault(about)?.len();
        let state = fs::read_to_string(self.state_path()).unwrap_or_default();
        let mut lines = state.lines();
        let total = lines.next().and_then(|line| line.parse().ok());
        let resume = lines.next().filter(|line| !line.is_empty() && length > 0).map(|validator| Resume {
            at: length,
            total,
            validator: validator.to_owned(),
        });
        Ok((file, resume))
    }

    /// Notes what entity the unfinished download is of.
    pub(super) fn note(&self, resume: Option<&Resume>) -> Result<()> {
        let path = self.state_path();
        let text = resume.map_or_else(String::new, |resume| {
            let total = resume.total.map(|total| total.to_string()).unwrap_or_default();
            format!("{total}\n{}\n", resume.validator)
        });
        fs::write(&path, text).or_fault(|| format!("cannot write {}", path.display()))
    }

    /// Forgets the unfinished download.
    pub(super) fn drop_partial(&self) {
        // What is not there is forgotten already.
        let _ = fs::remove_file(self.partial_path());
        let _ = fs::remove_file(self.state_path());
    }

    /// Gives the finished and proved download its name.
    pub(super) fn put(&self, digest: Digest, signature: &[u8]) -> Result<PathBuf> {
        let folder = self.folder.join(digest.hex());
        let image = folder.join(self.image);
        let about = || format!("cannot put the image into {}", folder.display());
        fs::create_dir_all(&folder).or_fault(about)?;
        fs::write(beside(&image), signature).or_fault(about)?;
        fs::rename(self.partial_path(), &image).or_fault(about)?;
        self.drop_partial();
        Ok(image)
    }

    fn partial_path(&self) -> PathBuf {
        self.folder.join(format!("{}.partial", self.image))
    }

    fn state_path(&self) -> PathBuf {
        self.folder.join(format!("{}.partial.state", self.image))
    }
}

fn beside(image: &Path) -> PathBuf {
    let mut name = image.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}
