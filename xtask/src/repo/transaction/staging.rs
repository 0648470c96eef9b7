//! The staging directory: the new files before they are renamed into place, and the journal for recovery.
//!
//! The directory is at the tree's root, on the tree's file system. It has `new.N` and `old.N` for each file, the
//! journal that applies the plan (`forward`), its reverse (`back`), and, once the run is committed, `journal`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::disk;
use super::journal::{Entry, Journal, is_staging_name, staged_name};
use super::targets::Target;
use crate::bounded_file;
use crate::git;
use crate::repo::layout;
use crate::trusted_owners::TrustedOwners;
use coreos_types::{Error, Result, ResultExt, shell::quote};
use pxe_image::Digest;

/// The directory's name at the root of the tree.
const STAGING_DIR: &str = ".xtask-staging";

/// Larger than any journal.
const MAX_JOURNAL_LEN: u64 = 1 << 20;

/// The staging directory of a tree, which may not exist.
pub(super) struct Staging<'a> {
    root: &'a Path,
    dir: PathBuf,
}

impl<'a> Staging<'a> {
    pub(super) fn new(root: &'a Path) -> Staging<'a> {
        Staging { root, dir: root.join(STAGING_DIR) }
    }

    pub(super) fn exists(&self) -> Result<bool> {
        match fs::symlink_metadata(&self.dir) {
            Ok(found) if found.is_dir() => Ok(true),
            Ok(_) => Err(Error::failed(format!("{} is not a directory", self.dir.display()))
                .with_hint(format!("rm {}", quote(&self.dir.display().to_string())))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_path("cannot examine", &self.dir),
        }
    }

    /// Writes the new and the old content of every file, and both journals; the files of the tree are not changed yet.
    pub(super) fn stage_all(&self, targets: &[Target<'_>]) -> Result<Journal> {
        disk::create_dir(&self.dir)?;
        // Hides the directory from `git status`, whatever the tree's own rules are.
        disk::write_new(&self.dir.join(".gitignore"), b"*\n", None)?;
        for (index, target) in targets.iter().enumerate() {
            for (side, bytes) in [("new", &target.edit.after), ("old", &target.edit.before)] {
                let path = self.dir.join(staged_name(side, index));
                match target.hard_link_of {
                    Some(first) => disk::hard_link(&self.dir.join(staged_name(side, first)), &path)?,
                    None => disk::write_new(&path, bytes, Some(&target.metadata))?,
                }
            }
        }
        let entry = |(index, target): (usize, &Target<'_>)| Entry {
            old_sha256: Digest::sha256(&target.edit.before).hex(),
            new_sha256: Digest::sha256(&target.edit.after).hex(),
            staged: staged_name("new", index),
            path: target.path.clone(),
        };
        let journal = Journal { entries: targets.iter().enumerate().map(entry).collect() };
        disk::write_new(&self.dir.join("forward"), journal.to_text().as_bytes(), None)?;
        disk::write_new(&self.dir.join("back"), journal.reversed().to_text().as_bytes(), None)?;
        disk::sync_dir(&self.dir)?;
        disk::sync_dir(self.root)?;
        Ok(journal)
    }

    /// Commits the run: renames `forward` or `back` to `journal`, which may exist.
    pub(super) fn commit_journal(&self, journal_file: &str) -> Result<()> {
        disk::rename(&self.dir.join(journal_file), &self.dir.join("journal"))?;
        disk::sync_dir(&self.dir)
    }

    /// Reads the journal of a committed run of this or another process; `None` if there is none.
    pub(super) fn read_journal(&self) -> Result<Option<Journal>> {
        let other = "not a journal of this program";
        let bytes = match self.read_file("journal", MAX_JOURNAL_LEN) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(|error| self.invalid_journal_error(format!("{other}: {error}")))?,
        };
        let journal = std::str::from_utf8(&bytes).ok().and_then(Journal::parse);
        journal.map(Some).ok_or_else(|| self.invalid_journal_error(other))
    }

    /// Reads a file of the directory, which must not be a symlink.
    fn read_file(&self, name: &str, max_len: u64) -> io::Result<Vec<u8>> {
        let path = self.dir.join(name);
        if fs::symlink_metadata(&path)?.is_symlink() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is a symlink"));
        }
        bounded_file::read(&path, max_len)
    }

    /// Refuses a journal that a run of this user cannot have left: one that git tracks, one that another user may have
    /// written, and one that names a file which this program never changes.
    pub(super) fn check_trusted(&self, journal: &Journal) -> Result<()> {
        let staged = journal.entries.iter().map(|entry| self.dir.join(&entry.staged));
        let owners = TrustedOwners::from_env();
        for path in staged.chain([self.dir.join("journal")]).filter(|path| path.exists()) {
            let checked = owners.check_file(self.root, &path);
            let about = || format!("the journal in {} is not trusted", self.dir.display());
            checked.map_err(|error| {
                let to_trust = error.hint.clone().unwrap_or_default();
                self.with_removal_hint(error.with_cause(to_trust), about())
            })?;
        }
        if git::has_tracked_files(self.root, STAGING_DIR) {
            return Err(self.invalid_journal_error("git tracks it, so it came with the tree"));
        }
        let editable = layout::editable_files(self.root)?;
        let other = journal.entries.iter().map(|entry| &entry.path).find(|path| !editable.contains(*path));
        other.map_or(Ok(()), |path| {
            let why = format!("it names {path:?}, which is neither coreos-common.mk nor a manifest");
            Err(self.invalid_journal_error(why))
        })
    }

    /// The error of an operation on the journal; the hint removes the journal and leaves the files unchanged.
    pub(super) fn with_removal_hint(&self, error: Error, operation: impl Into<String>) -> Error {
        let hint = format!("rm -r {}", quote(&self.dir.display().to_string()));
        Error { hint: Some(hint), ..error.context(operation) }
    }

    /// Makes every replacement of the journal that is not made yet. No file is replaced unless each has its old or its
    /// new content.
    pub(super) fn replay(&self, journal: &Journal) -> Result<()> {
        let replaced = journal.entries.iter().map(|entry| self.is_replaced(entry));
        let replaced = replaced.collect::<Result<Vec<bool>>>()?;
        let mut directories = BTreeSet::new();
        for (entry, is_replaced) in journal.entries.iter().zip(replaced) {
            let path = self.root.join(&entry.path);
            if !is_replaced {
                disk::rename(&self.dir.join(&entry.staged), &path)?;
            }
            directories.extend(path.parent().map(Path::to_owned));
        }
        directories.iter().try_for_each(|directory| disk::sync_dir(directory))
    }

    /// Whether a file has its new content.
    ///
    /// # Errors
    /// It has neither its new nor its old content, or the new content is not staged.
    fn is_replaced(&self, entry: &Entry) -> Result<bool> {
        let path = self.root.join(&entry.path);
        let real = fs::canonicalize(&path).with_path("cannot find", &path)?;
        if real != path {
            return Err(self.not_replaceable_error(&entry.path, "it is a link now"));
        }
        let found = bounded_file::read(&path, layout::MAX_MANIFEST_LEN);
        let found = Digest::sha256(&found.with_path("cannot read", &path)?).hex();
        if found == entry.new_sha256 {
            return Ok(true);
        }
        if found != entry.old_sha256 {
            return Err(self.not_replaceable_error(&entry.path, "it was changed by another program"));
        }
        let staged = self.read_file(&entry.staged, layout::MAX_MANIFEST_LEN);
        if staged.is_ok_and(|bytes| Digest::sha256(&bytes).hex() == entry.new_sha256) {
            return Ok(false);
        }
        Err(self.invalid_journal_error(format!("{} does not have the content it names", entry.staged)))
    }

    fn not_replaceable_error(&self, path: &str, how: &str) -> Error {
        Error::failed(format!("{path} cannot be replaced: {how}")).with_hint("run the command again")
    }

    fn invalid_journal_error(&self, why: impl std::fmt::Display) -> Error {
        let operation = format!("cannot replay the journal in {}", self.dir.display());
        self.with_removal_hint(Error::failed(why.to_string()), operation)
    }

    /// Removes the files of this program, the journal first: without it the others have no effect. If there are other
    /// files, keeps the directory and returns the first of them.
    pub(super) fn clean_up(&self) -> Result<Option<PathBuf>> {
        disk::remove_file_if_exists(&self.dir.join("journal"))?;
        let (ours, foreign) = self.own_and_foreign_entries()?;
        ours.iter().try_for_each(|path| disk::remove_file_if_exists(path))?;
        match foreign {
            None => disk::remove_dir(&self.dir).map(|()| None),
            foreign => Ok(foreign),
        }
    }

    /// Checks that the directory has no files of other programs.
    pub(super) fn ensure_no_foreign_files(&self) -> Result<()> {
        let foreign = if self.exists()? { self.own_and_foreign_entries()?.1 } else { None };
        foreign.map_or(Ok(()), |foreign| {
            let message =
                format!("cannot stage files: {} was not created by this program", foreign.display());
            Err(Error::failed(message)
                .with_cause("a run writes to this directory, and removes its files at the end")
                .with_hint("move it elsewhere, then run the command again"))
        })
    }

    /// The files of this program in the directory, and the first entry that is not.
    fn own_and_foreign_entries(&self) -> Result<(Vec<PathBuf>, Option<PathBuf>)> {
        let names = fs::read_dir(&self.dir).with_path("cannot read", &self.dir)?;
        let paths = names.flatten().map(|entry| entry.path());
        let (ours, foreign): (Vec<_>, Vec<_>) = paths.partition(|path| {
            let is_ours = path.file_name().and_then(OsStr::to_str).is_some_and(is_staging_name);
            is_ours && fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
        });
        Ok((ours, foreign.into_iter().min()))
    }
}
