//! The files that a plan replaces, at their real paths, checked once more before anything is written.

use std::collections::BTreeSet;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::journal::is_allowed_path;
use crate::bounded_file;
use crate::repo::layout;
use coreos_types::{Error, Result, ResultExt, shell::quote};
use manifest::plan::edit_plan::{EditPlan, FileEdit};

/// A file to replace.
#[derive(Debug)]
pub(super) struct Target<'p> {
    /// Real path relative to the tree.
    pub(super) path: String,
    /// Old and new content.
    pub(super) edit: &'p FileEdit,
    /// Mode, owner and group, which the new file gets too.
    pub(super) metadata: Metadata,
    /// Index of the target of which this is another hard link; they remain one file.
    pub(super) hard_link_of: Option<usize>,
}

/// Collects the files that the plan replaces. A file with several hard links in the tree is a target for each of them.
///
/// # Errors
/// A file has changed since the plan was made, is a link, is outside the tree, or is not writable.
pub(super) fn check_and_collect<'p>(root: &Path, plan: &'p EditPlan) -> Result<Vec<Target<'p>>> {
    let mut targets = Vec::new();
    for edit in &plan.edits {
        let metadata = check_replaceable(root, edit)?;
        let first = targets.len();
        let names = match metadata.nlink() {
            1 => BTreeSet::new(),
            _ => layout::other_hard_links(root, &edit.path, &metadata)?,
        };
        let target = |path: &str, hard_link_of| Target {
            path: path.to_owned(),
            edit,
            metadata: metadata.clone(),
            hard_link_of,
        };
        targets.push(target(&edit.path, None));
        targets.extend(names.iter().map(|name| target(name, Some(first))));
    }
    Ok(targets)
}

fn check_replaceable(root: &Path, edit: &FileEdit) -> Result<Metadata> {
    if !is_allowed_path(&edit.path) {
        return Err(Error::failed(format!("{:?} is not a valid path for a manifest", edit.path)).with_cause(
            "an interrupted run could not be recovered there: expected one line without a .git component",
        ));
    }
    let path = root.join(&edit.path);
    let real = fs::canonicalize(&path).with_path("cannot find", &path)?;
    if real != path {
        let message = format!("{} is a link to {}: it is never written through", edit.path, real.display());
        return Err(Error::failed(message));
    }
    let metadata = fs::metadata(&path).with_path("cannot examine", &path)?;
    if metadata.mode() & 0o222 == 0 {
        let why = format!("no user has write permission (mode {:o})", metadata.mode() & 0o7777);
        return Err(Error::failed(format!("{} may not be written: {why}", edit.path))
            .with_hint(format!("chmod u+w {}", quote(&path.display().to_string()))));
    }
    // rename(2) checks the directory only; this checks the file, and detects a read-only file system.
    if let Err(error) = OpenOptions::new().append(true).open(&path) {
        return Err(unwritable_error(&edit.path, &path, &error));
    }
    let found = bounded_file::read(&path, layout::MAX_MANIFEST_LEN).with_path("cannot read", &path)?;
    if found != edit.before {
        return Err(Error::failed(format!("{} was changed by another program since it was read", edit.path))
            .with_cause("nothing was written")
            .with_hint("run the command again"));
    }
    Ok(metadata)
}

/// The error of a file that cannot be opened for writing although its mode has a write permission.
fn unwritable_error(name: &str, path: &Path, error: &io::Error) -> Error {
    let path = quote(&path.display().to_string());
    Error::failed(format!("{name} may not be written")).with_cause(error).with_hint(match error.kind() {
        ErrorKind::PermissionDenied => {
            format!("run the command as the owner of the file: ls -l {path}")
        }
        ErrorKind::ReadOnlyFilesystem => {
            format!("the file system is read-only, use a writable one: findmnt -T {path}")
        }
        _ => format!("examine it: ls -l {path}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_errors_have_hints() {
        for (kind, hint) in [
            (ErrorKind::PermissionDenied, "run the command as the owner of the file: ls -l '/my tree/f'"),
            (
                ErrorKind::ReadOnlyFilesystem,
                "the file system is read-only, use a writable one: findmnt -T '/my tree/f'",
            ),
            (ErrorKind::ExecutableFileBusy, "examine it: ls -l '/my tree/f'"),
        ] {
            let error = unwritable_error("f", Path::new("/my tree/f"), &kind.into());
            assert_eq!((error.message.as_str(), error.hint.as_deref()), ("f may not be written", Some(hint)));
        }
    }
}
