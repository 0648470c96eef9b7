//! Directories and files that a smoke test writes below a tree that is not trusted: never through a link.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use coreos_types::{Error, Result, ResultExt, shell::quote};

/// Creates a directory below `tree`, with its parents. A link is not followed: it may point anywhere.
pub(super) fn create_dir_all(tree: &Path, directory: &Path) -> Result<()> {
    let below = directory
        .strip_prefix(tree)
        .map_err(|_| Error::failed(format!("{} is not in {}", directory.display(), tree.display())))?;
    let mut path = PathBuf::from(tree);
    for name in below {
        path.push(name);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => {}
            Ok(found) => {
                let kind = if found.is_symlink() { "a symlink" } else { "not a directory" };
                let text = path.display().to_string();
                return Err(Error::failed(format!("{text} is {kind}: smoketest writes its logs there"))
                    .with_hint(format!("rm {}", quote(&text))));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir(&path).with_path("cannot create", &path)?;
            }
            Err(error) => return Err(error).with_path("cannot examine", &path),
        }
    }
    Ok(())
}

/// Creates a file and replaces an existing one: neither a symlink nor a hard link is written through.
pub(super) fn replace_file(path: &Path) -> Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => File::options().write(true).create_new(true).open(path),
    }
    .with_path("cannot create", path)
}

/// Removes a file, or a directory with its content; a symlink is removed, not followed.
pub(super) fn remove_all_if_exists(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.with_path("cannot remove", path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn symlink_to_outside_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (tree, outside) = (home.path().join("tree"), home.path().join("outside"));
        fs::create_dir_all(outside.join("deep")).unwrap();
        fs::write(outside.join("file"), "precious").unwrap();
        for link in ["build", "build/work", "build/work/deep"] {
            fs::create_dir_all(tree.join(link).parent().unwrap()).unwrap();
            symlink(&outside, tree.join(link)).unwrap();
            let error = create_dir_all(&tree, &tree.join("build/work/deep")).unwrap_err();
            assert!(error.message.contains(&format!("{link} is a symlink")), "{error:?}");
            fs::remove_dir_all(&tree).unwrap();
        }
        fs::create_dir(&tree).unwrap();
        create_dir_all(&tree, &tree.join("build/work")).unwrap();
        for (name, make) in [("link", true), ("hard", false)] {
            let path = tree.join("build/work").join(name);
            if make {
                symlink(outside.join("file"), &path).unwrap()
            } else {
                fs::hard_link(outside.join("file"), &path).unwrap()
            }
            replace_file(&path).unwrap().write_all(b"log").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "log");
        }
        symlink(&outside, tree.join("build/files")).unwrap();
        remove_all_if_exists(&tree.join("build/files")).unwrap();
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "precious");
        assert!(create_dir_all(&tree, &outside).is_err());
    }
}
