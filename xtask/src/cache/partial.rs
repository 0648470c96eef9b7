//! Partial downloads, each locked so that another process that downloads the same release waits.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::dir::{create_private_dir, writable_dir_hint};
use super::release_cache::{ReleaseCache, remove_command, write_atomically};
use crate::bounded_file;
use crate::http::ResumePoint;
use crate::signals::TempPath;
use crate::terminal::Term;
use crate::unsupported_lock::is_unsupported_lock;
use coreos_types::{Error, ErrorExt, ErrorKind, Result, ResultExt};

/// Larger than any state file, which has a length and a validator.
const MAX_STATE: u64 = 16 << 10;

/// The file of a partial download, its state, and the lock on both.
pub(super) struct PartialDownload {
    path: PathBuf,
    /// Path of the file with the total length and the validator of the image.
    state: PathBuf,
    _lock: File,
    /// On a file system without locks: the files of this process, which no other process resumes.
    _own: Vec<TempPath>,
}

impl PartialDownload {
    /// Waits until no other process downloads this release.
    pub(super) fn lock(release: &ReleaseCache, term: &Term) -> Result<PartialDownload> {
        create_private_dir(&release.directory)?;
        let path = release.directory.join("lock");
        let lock = open_replacing_foreign(&path)?;
        let is_locked = match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::Error(error)) if is_unsupported_lock(&error) => false,
            Err(TryLockError::Error(error)) => return Err(error).with_path("cannot lock", &path),
            Err(TryLockError::WouldBlock) => {
                let directory = release.directory.display();
                term.stage("wait", format!("for another process that downloads to {directory}"));
                lock.lock().with_path("cannot lock", &path)?;
                true
            }
        };
        let process = if is_locked { String::new() } else { format!(".{}", std::process::id()) };
        let file = |end: &str| release.directory.join(format!("{}{process}.{end}", release.image));
        let (path, state) = (file("partial"), file("partial.state"));
        let own =
            if is_locked { vec![] } else { vec![TempPath::register(&path), TempPath::register(&state)] };
        Ok(PartialDownload { path, state, _lock: lock, _own: own })
    }

    /// Opens the partial file, and returns where the download can be resumed, if it can.
    pub(super) fn open(&self) -> Result<(File, Option<ResumePoint>)> {
        let file = open_replacing_foreign(&self.path)?;
        let length = file.metadata().with_path("cannot open", &self.path)?.len();
        let state = bounded_file::read_owned_by_user(&self.state, MAX_STATE).unwrap_or_default();
        let state = String::from_utf8_lossy(&state);
        let mut lines = state.lines();
        let total = lines.next().and_then(|line| line.parse().ok());
        let resume = lines
            .next()
            // A file system may leave zeros of a file that was written before a crash.
            .filter(|line| {
                length > 0 && !line.is_empty() && line.bytes().all(|byte| (b' '..=b'~').contains(&byte))
            })
            .map(|validator| ResumePoint { at: length, total, validator: validator.to_owned() });
        Ok((file, resume))
    }

    /// Stores what the next process needs to resume.
    pub(super) fn save_state(&self, resume: Option<&ResumePoint>) -> Result<()> {
        let text = resume.map_or_else(String::new, |resume| {
            let total = resume.total.map(|total| total.to_string()).unwrap_or_default();
            format!("{total}\n{}\n", resume.validator)
        });
        write_atomically(&self.state, text.as_bytes())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Discards a download of the wrong bytes; after another error it can be resumed.
    pub(super) fn discard_if_refused(&self, error: &Error) {
        if error.kind == ErrorKind::Refused {
            self.discard();
        }
    }

    /// Deletes the partial file and its state.
    pub(super) fn discard(&self) {
        // Files that do not exist are as good as deleted.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.state);
    }
}

/// Opens or creates a file of this user. A file of another user (after a run with sudo) and anything that is not a
/// regular file are replaced: this user owns the directory.
fn open_replacing_foreign(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let is_own = |file: &File| {
        file.metadata().is_ok_and(|found| found.is_file() && bounded_file::is_owned_by_user(&found))
    };
    let opened = match options.open(path) {
        Ok(file) if is_own(&file) => Ok(file),
        Err(error) if fs::symlink_metadata(path).is_err() => Err(error),
        _ => fs::remove_file(path).and_then(|()| options.open(path)),
    };
    opened.with_path("cannot write", path).with_hint(match path.is_dir() {
        true => remove_command(path),
        false => writable_dir_hint(path),
    })
}
