//! A download that is not done: locked, so that another process that wants the same release waits.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::dir::private_folder;
use super::release_cache::ReleaseCache;
use crate::http::ResumePoint;
use crate::terminal::Term;
use coreos_types::error::{Result, ResultExt};

/// What there is of a download, and the lock on it.
pub(super) struct PartialDownload {
    path: PathBuf,
    /// What entity it is of.
    state: PathBuf,
    _lock: File,
}

impl PartialDownload {
    /// Waits until nobody else downloads for this shelf.
    pub(super) fn lock(shelf: &ReleaseCache, term: &Term) -> Result<PartialDownload> {
        private_folder(&shelf.folder)?;
        let path = shelf.folder.join("lock");
        let about = || format!("cannot lock {}", path.display());
        let lock = private(OpenOptions::new().write(true).create(true)).open(&path).with_context(about)?;
        if lock.try_lock().is_err() {
            term.stage("wait", format!("for another process that downloads to {}", shelf.folder.display()));
            lock.lock().with_context(about)?;
        }
        let file = |end: &str| shelf.folder.join(format!("{}.{end}", shelf.image));
        Ok(PartialDownload { path: file("partial"), state: file("partial.state"), _lock: lock })
    }

    /// Opens what there is, and says where it can go on, if it can.
    pub(super) fn open(&self) -> Result<(File, Option<ResumePoint>)> {
        let about = || format!("cannot open {}", self.path.display());
        let file = private(OpenOptions::new().read(true).write(true).create(true))
            .open(&self.path)
            .with_context(about)?;
        let length = file.metadata().with_context(about)?.len();
        let state = fs::read_to_string(&self.state).unwrap_or_default();
        let mut lines = state.lines();
        let total = lines.next().and_then(|line| line.parse().ok());
        let resume = lines
            .next()
            .filter(|line| !line.is_empty() && length > 0)
            .map(|validator| ResumePoint { at: length, total, validator: validator.to_owned() });
        Ok((file, resume))
    }

    /// Notes what entity it is of.
    pub(super) fn note(&self, resume: Option<&ResumePoint>) -> Result<()> {
        let text = resume.map_or_else(String::new, |resume| {
            let total = resume.total.map(|total| total.to_string()).unwrap_or_default();
            format!("{total}\n{}\n", resume.validator)
        });
        fs::write(&self.state, text).with_context(|| format!("cannot write {}", self.state.display()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Forgets it.
    pub(super) fn discard(&self) {
        // What is not there is forgotten already.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.state);
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}
