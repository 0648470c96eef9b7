//! The staging directory: where the new files wait, and where an interrupted run is picked up.
//!
//! It lies at the tree's root, on the tree's file system, and holds `new.N` and `old.N` for each file, the
//! journal of the way there (`forward`) and of the way back (`back`), and, once the run is decided, `journal`.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::journal::{Entry, Journal, is_staging_name, new_name, old_name, sha256};
use super::targets::Target;
use crate::bounded_file;
use crate::git;
use crate::repo::layout;
use crate::trusted_owners::TrustedOwners;
use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::shell::quote;

/// The directory's name at the root of the tree.
const FOLDER: &str = ".xtask-staging";

/// A journal is small; a larger file is none.
const MAX_JOURNAL: u64 = 1 << 20;
/// Larger than any manifest: see [`layout::MAX_SIZE`].
const MAX_FILE: u64 = layout::MAX_SIZE;

/// The staging directory of a tree, there or not.
pub(super) struct Staging<'a> {
    disk: &'a Disk,
    root: &'a Path,
    folder: PathBuf,
}

/// Where a file of a journal stands.
enum FileState {
    /// It holds what the journal says to replace.
    Before,
    /// It has been replaced.
    After,
}

impl<'a> Staging<'a> {
    pub(super) fn of(disk: &'a Disk, root: &'a Path) -> Staging<'a> {
        Staging { disk, root, folder: root.join(FOLDER) }
    }

    /// Whether there is such a directory.
    ///
    /// # Errors
    /// Something else has its name.
    pub(super) fn is_there(&self) -> Result<bool> {
        match fs::symlink_metadata(&self.folder) {
            Ok(what) if what.is_dir() => Ok(true),
            Ok(_) => Err(Error::failed(format!("{} is not a directory", self.folder.display()))
                .with_hint(format!("rm {}", quote(&self.folder.display().to_string())))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot examine {}", self.folder.display())),
        }
    }

    /// Writes every file twice, as it shall be and as it is, and both journals; the tree is not touched yet.
    pub(super) fn fill(&self, targets: &[Target]) -> Result<Journal> {
        self.disk.create_dir(&self.folder)?;
        // Seen by no `git status`, whatever the tree's own rules are.
        self.disk.write_new(&self.folder.join(".gitignore"), b"*\n", None)?;
        for (index, target) in targets.iter().enumerate() {
            self.stage(&new_name(index), &target.after, target, target.same_file.map(new_name))?;
            self.stage(&old_name(index), &target.before, target, target.same_file.map(old_name))?;
        }
        let entry = |(index, target): (usize, &Target)| Entry {
            before: sha256(&target.before),
            after: sha256(&target.after),
            staged: new_name(index),
            path: target.path.clone(),
        };
        let journal = Journal { entries: targets.iter().enumerate().map(entry).collect() };
        self.disk.write_new(&self.folder.join("forward"), journal.to_text().as_bytes(), None)?;
        self.disk.write_new(&self.folder.join("back"), journal.reversed().to_text().as_bytes(), None)?;
        self.disk.sync_dir(&self.folder)?;
        self.disk.sync_dir(self.root)?;
        Ok(journal)
    }

    fn stage(&self, name: &str, bytes: &[u8], target: &Target, linked_to: Option<String>) -> Result<()> {
        match linked_to {
            Some(first) => self.disk.hard_link(&self.folder.join(first), &self.folder.join(name)),
            None => self.disk.write_new(&self.folder.join(name), bytes, Some(&target.metadata)),
        }
    }

    /// From here on the run is decided: `forward` or `back` becomes the journal, whatever it was.
    pub(super) fn decide(&self, way: &str) -> Result<()> {
        self.disk.rename(&self.folder.join(way), &self.folder.join("journal"))?;
        self.disk.sync_dir(&self.folder)
    }

    /// The journal of a run that was decided, here or in another process.
    pub(super) fn journal(&self) -> Result<Option<Journal>> {
        let path = self.folder.join("journal");
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Ok(found) if found.is_file() => {}
            _ => return Err(self.invalid_journal("not a journal of this program")),
        }
        let bytes = bounded_file::read(&path, MAX_JOURNAL)
            .map_err(|error| self.invalid_journal(format!("not a journal of this program: {error}")))?;
        let journal = std::str::from_utf8(&bytes).ok().and_then(Journal::parse);
        journal.map(Some).ok_or_else(|| self.invalid_journal("not a journal of this program"))
    }

    /// Refuses a journal that this user's run cannot have left: one that git tracks or somebody else may have
    /// written, and one that names a file which no run of this program changes.
    pub(super) fn check_trusted(&self, journal: &Journal) -> Result<()> {
        let staged = journal.entries.iter().map(|entry| self.folder.join(&entry.staged));
        let owners = TrustedOwners::from_env();
        for path in staged.chain([self.folder.join("journal")]).filter(|path| path.exists()) {
            owners.check_file(self.root, &path).map_err(|error| self.refuse(error))?;
        }
        if git::is_tracked(self.root, FOLDER) {
            return Err(self.invalid_journal("git tracks it, so it came with the tree"));
        }
        let editable = layout::editable_files(self.root)?;
        match journal.entries.iter().find(|entry| !editable.contains(&entry.path)) {
            None => Ok(()),
            Some(entry) => Err(self.invalid_journal(format!(
                "it names {:?}, which is neither coreos-common.mk nor a manifest",
                entry.path
            ))),
        }
    }

    fn refuse(&self, error: Error) -> Error {
        let mut refused = error.context(format!("the journal in {} is not trusted", self.folder.display()));
        refused.hint = Some(self.removal());
        refused
    }

    /// The command that removes the journal, and leaves the files as they are.
    pub(super) fn removal(&self) -> String {
        format!("rm -r {}", quote(&self.folder.display().to_string()))
    }

    /// Makes every replacement of the journal that is not made yet. Nothing is replaced unless every file holds
    /// what it held before or shall hold after.
    pub(super) fn replay(&self, journal: &Journal) -> Result<()> {
        let states = journal.entries.iter().map(|entry| self.state(entry)).collect::<Result<Vec<_>>>()?;
        let mut directories = BTreeSet::new();
        for (entry, state) in journal.entries.iter().zip(states) {
            let path = self.root.join(&entry.path);
            if matches!(state, FileState::Before) {
                self.disk.rename(&self.folder.join(&entry.staged), &path)?;
            }
            directories.extend(path.parent().map(Path::to_owned));
        }
        directories.iter().try_for_each(|directory| self.disk.sync_dir(directory))
    }

    fn state(&self, entry: &Entry) -> Result<FileState> {
        let path = self.root.join(&entry.path);
        let real = fs::canonicalize(&path).with_context(|| format!("cannot find {}", path.display()))?;
        if real != path {
            return Err(self.changed(&entry.path, "it is a link now"));
        }
        let found = bounded_file::read(&path, MAX_FILE);
        let found = sha256(&found.with_context(|| format!("cannot read {}", path.display()))?);
        if found == entry.after {
            return Ok(FileState::After);
        }
        if found != entry.before {
            return Err(self.changed(&entry.path, "it was changed by someone else"));
        }
        let staged = self.folder.join(&entry.staged);
        let is_regular = fs::symlink_metadata(&staged).is_ok_and(|found| found.is_file());
        let bytes = is_regular.then(|| bounded_file::read(&staged, MAX_FILE).ok()).flatten();
        if bytes.is_none_or(|bytes| sha256(&bytes) != entry.after) {
            return Err(self.invalid_journal(format!("{} does not have the content it names", entry.staged)));
        }
        Ok(FileState::Before)
    }

    fn changed(&self, path: &str, how: &str) -> Error {
        Error::failed(format!("{path} cannot be replaced: {how}")).with_hint("run the command again")
    }

    fn invalid_journal(&self, why: impl std::fmt::Display) -> Error {
        Error::failed(format!("cannot replay the journal in {}", self.folder.display()))
            .with_cause(why)
            .with_hint(self.removal())
    }

    /// Removes what this program put here, the journal first: without it the rest says nothing. Gives what somebody
    /// else put here, and leaves the directory then.
    pub(super) fn clear(&self) -> Result<Option<PathBuf>> {
        self.disk.remove_file(&self.folder.join("journal"))?;
        let (ours, foreign) = self.contents()?;
        ours.iter().try_for_each(|path| self.disk.remove_file(path))?;
        match foreign {
            None => self.disk.remove_dir(&self.folder).map(|()| None),
            foreign => Ok(foreign),
        }
    }

    /// Makes sure that nothing of somebody else's lies where a run is to write.
    pub(super) fn ensure_free(&self) -> Result<()> {
        let foreign = if self.is_there()? { self.contents()?.1 } else { None };
        match foreign {
            None => Ok(()),
            Some(foreign) => Err(Error::failed(format!(
                "cannot stage: {} was not made by this program",
                foreign.display()
            ))
            .with_cause("the folder is for what waits to be put in place, and is emptied")
            .with_hint("move it elsewhere, then run the command again")),
        }
    }

    /// The files that this program put here, and the first thing that somebody else did.
    fn contents(&self) -> Result<(Vec<PathBuf>, Option<PathBuf>)> {
        let names =
            fs::read_dir(&self.folder).with_context(|| format!("cannot read {}", self.folder.display()))?;
        let (ours, foreign): (Vec<_>, Vec<_>) = names.flatten().partition(|entry| {
            entry.file_name().to_str().is_some_and(is_staging_name)
                && entry.file_type().is_ok_and(|what| what.is_file())
        });
        let paths = |entries: &[fs::DirEntry]| entries.iter().map(fs::DirEntry::path).collect::<Vec<_>>();
        Ok((paths(&ours), paths(&foreign).into_iter().min()))
    }
}
