//! Files that the user names: of `--output` and `--report`.

use std::fs;
use std::path::Path;

use crate::atomic_file;
use coreos_types::{Error, Result, ResultExt, shell::quote};

/// Checks, before anything else is changed, that a file can be written to a path.
pub(crate) fn check_destination(path: &Path) -> Result<()> {
    let cannot = |why: &str| Error::failed(format!("cannot write {}", path.display())).with_cause(why);
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    if path.is_dir() {
        return Err(cannot("it is a directory, expected a file")
            .with_hint("pass the path of a file: --output FILE, or --report FILE"));
    }
    match directory.filter(|directory| !directory.is_dir()) {
        None => Ok(()),
        Some(directory) => Err(cannot("its directory does not exist")
            .with_hint(format!("mkdir -p -- {}", quote(&directory.display().to_string())))),
    }
}

/// Writes a text to a file of the user: atomically where that is a regular file or a new one, through where it is a
/// device or a pipe, or a symlink to a new file. A symlink stays one.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let target = fs::canonicalize(path);
    let target = target.as_deref().unwrap_or(path);
    let done = match fs::metadata(target) {
        Ok(metadata) if !metadata.is_file() => fs::write(target, text),
        Err(_) if target.is_symlink() => fs::write(target, text),
        _ => atomic_file::write(target, text),
    };
    done.with_path("cannot write", path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn file_is_replaced_atomically_and_links_stay() {
        let home = tempfile::tempdir().unwrap();
        let [file, link] = ["a.md", "link.md"].map(|name| home.path().join(name));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("a.md", &link).unwrap();
        write(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(link.is_symlink());
        fs::remove_file(&file).unwrap();
        write(&link, "newer").unwrap();
        assert!(link.is_symlink() && fs::read_to_string(&file).unwrap() == "newer");
        write(Path::new("/dev/null"), "new").unwrap();
        assert!(!Path::new("/dev/null").is_file());
        let error = write(&home.path().join("none/a.md"), "new").unwrap_err();
        assert!(error.message.starts_with("cannot write"), "{error}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
    }

    #[test]
    fn destination_is_checked_before_the_run() {
        let home = tempfile::tempdir().unwrap();
        let error = check_destination(&home.path().join("a b/x.md")).unwrap_err();
        assert_eq!(error.hint, Some(format!("mkdir -p -- '{}/a b'", home.path().display())));
        assert!(check_destination(home.path()).is_err());
        assert!(check_destination(Path::new("x.md")).is_ok());
    }
}
