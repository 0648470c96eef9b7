//! The edit of one manifest that a user requests with `edit-manifest`: lines to add and to remove.

use crate::editor::ManifestEditor;
use crate::finding::{Fix, FixKind};
use crate::stage1_sources::Stage1Sources;
use crate::suggestion::ManifestEdit;
use coreos_types::{Error, Result, shell::quote_path};
use usr::{UsrPath, lossless_text};

/// Edits one manifest. Returns the new sources and each changed line with its reason. Adding a listed line changes
/// nothing.
///
/// # Errors
/// The manifest is not in the tree, a line to remove is not listed, or a new line is not a path below `/usr`.
pub fn plan_edit(sources: &Stage1Sources, request: &ManifestEdit) -> Result<(Stage1Sources, Vec<Fix>)> {
    let (mut after, file) = (sources.clone(), find_manifest(sources, &request.file)?);
    // Every manifest is opened: a file in both sort orders is edited in the order of the others.
    let Some(mut editor) = ManifestEditor::open_all(&sources.manifests).remove(file) else {
        return Ok((after, Vec::new()));
    };
    if let Some(line) = request.remove.iter().find(|line| !editor.contains(line)) {
        let similar = similar_lines(&sources.manifests[file], line);
        let hint = if similar.is_empty() {
            format!("cat {}", quote_path(file))
        } else {
            format!("it lists {similar}")
        };
        return Err(Error::failed(format!("{} does not list {line}", request.file))
            .with_cause("nothing was changed")
            .with_hint(hint));
    }
    for line in &request.remove {
        while editor.contains(line) {
            editor.remove(line, FixKind::Drop, "requested on the command line");
        }
    }
    for line in &request.add {
        let path = parse_entry(line).map_err(|why| {
            Error::failed(format!("{line:?} is not a path of the image"))
                .with_cause(why)
                .with_hint("write the path relative to /usr: bin/ip")
        })?;
        editor.add(path.as_str(), "requested on the command line");
    }
    let fixes: Vec<Fix> = editor.fixes().cloned().collect();
    if !fixes.is_empty() {
        after.manifests.insert(file.to_owned(), editor.edited_file().to_bytes());
    }
    Ok((after, fixes))
}

/// At most three lines with a similar file name, for a hint.
fn similar_lines(manifest: &[u8], expected: &str) -> String {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let (text, expected) = (lossless_text::from_bytes(manifest), name(expected));
    let is_similar = |line: &&str| {
        let name = name(line);
        !name.is_empty() && !expected.is_empty() && (name.contains(&expected) || expected.contains(&name))
    };
    text.lines().filter(is_similar).take(3).collect::<Vec<_>>().join(", ")
}

/// Parses a path of the image as users write it. A path that the check would report as malformed is an error.
fn parse_entry(line: &str) -> std::result::Result<UsrPath, String> {
    if line.contains(['\n', '\r']) {
        return Err("the path has a line break; a manifest has one path per line".into());
    }
    let below = |path: UsrPath| path.as_str().strip_prefix("usr/").map_or(Ok(path.clone()), UsrPath::new);
    let path = UsrPath::from_rootfs_path(line.trim()).and_then(below).map_err(|why| why.to_string())?;
    if path.as_str().starts_with('#') {
        return Err("a line that starts with # is a comment".into());
    }
    if path.parent().is_none() && !USR_DIRECTORIES.contains(&path.as_str()) {
        return Err("the directory is missing".into());
    }
    Ok(path)
}

/// The entries of `/usr`: directories and symlinks to directories (file-hierarchy(7)), no files.
const USR_DIRECTORIES: [&str; 9] =
    ["bin", "include", "lib", "lib32", "lib64", "libexec", "sbin", "share", "src"];

/// The key of a manifest, from its path or the path of a symlink to it.
fn find_manifest<'s>(sources: &'s Stage1Sources, file: &str) -> Result<&'s str> {
    let mut manifest_refs = sources.manifest_refs.iter();
    if let Some(manifest_ref) =
        manifest_refs.find(|manifest_ref| manifest_ref.file == file || manifest_ref.directory_entry == file)
    {
        return Ok(&manifest_ref.file);
    }
    let near = sources.manifests.keys().find(|key| key.rsplit('/').next() == file.rsplit('/').next());
    let near = near.or(sources.manifests.keys().next()).map_or("", String::as_str);
    Err(Error::failed(format!("{file} is not a manifest of this tree"))
        .with_cause("expected a file in stage1/usr_from_*/manifest-BOARD.d")
        .with_hint(format!("write the path relative to the tree: {near}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::stage1_sources::ManifestRef;
    use coreos_types::{Board, Flavor};

    const FILE: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/a.manifest";
    const LINK: &str = "stage1/usr_from_kvm/manifest-amd64-usr.d/a.manifest";

    fn edited(before: &[u8], file: &str, add: &[&str], remove: &[&str]) -> Result<(Vec<u8>, usize)> {
        let mut sources = Stage1Sources::default();
        sources.manifests.insert(FILE.to_owned(), before.to_vec());
        for directory_entry in [FILE, LINK] {
            let flavor = Flavor::from_dir_name(directory_entry.split('/').nth(1).unwrap()).unwrap();
            let (directory_entry, file) = (directory_entry.to_owned(), FILE.to_owned());
            sources.manifest_refs.push(ManifestRef { board: Board::Amd64, flavor, directory_entry, file });
        }
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let request = ManifestEdit { file: file.to_owned(), add: words(add), remove: words(remove) };
        let (after, fixes) = plan_edit(&sources, &request)?;
        Ok((after.manifests[FILE].clone(), fixes.len()))
    }

    /// Cases in which appending a line and sorting the file would be wrong.
    #[test]
    fn added_line_keeps_order_and_line_ends() {
        for (before, add, remove, after) in [
            // Without a final newline.
            ("bin/a\nbin/c", &["bin/d"][..], &[][..], "bin/a\nbin/c\nbin/d"),
            ("bin/a\nbin/c", &["bin/b"], &[], "bin/a\nbin/b\nbin/c"),
            // In the order of en_US.UTF-8.
            (
                "lib64/libcryptsetup.so\nlib64/libc.so.6\n",
                &["lib64/libc.so.7"],
                &[],
                "lib64/libcryptsetup.so\nlib64/libc.so.6\nlib64/libc.so.7\n",
            ),
            // In no order.
            ("bin/z\nlib64/x\nbin/a\n", &["bin/b"], &[], "bin/z\nlib64/x\nbin/a\nbin/b\n"),
            // With CRLF.
            ("bin/a\r\nbin/c\r\n", &["bin/b", "/usr/bin/d"], &["bin/a"], "bin/b\r\nbin/c\r\nbin/d\r\n"),
            // A malformed line is removed verbatim, every occurrence.
            ("/bin/ip\nbin/b\n/bin/ip\n", &[], &["/bin/ip"], "bin/b\n"),
            ("bin/a\n", &["bin/a"], &[], "bin/a\n"),
            // Common spellings of paths, and a symlink in /usr itself.
            ("bin/a\n", &["usr/bin/b", " bin/c ", "./usr//bin/d"], &[], "bin/a\nbin/b\nbin/c\nbin/d\n"),
            ("bin/a\n", &["/lib", "usr/lib64"], &[], "bin/a\nlib\nlib64\n"),
        ] {
            let (bytes, fixes) = edited(before.as_bytes(), LINK, add, remove).unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), after, "{before:?} + {add:?} - {remove:?}");
            assert_eq!(fixes == 0, before == after);
        }
    }

    #[test]
    fn newline_of_the_former_last_line_is_a_fix() {
        for (before, add, remove, fixes) in [
            ("bin/a\nbin/c", &["bin/d"][..], &[][..], 2),
            ("bin/a\nbin/c", &["bin/d", "bin/e"], &[], 3),
            ("bin/a\nbin/c", &["bin/b"], &[], 1),
            ("bin/a\nbin/c", &["bin/d"], &["bin/c"], 2),
            ("bin/a\nbin/c\n", &["bin/d"], &[], 1),
        ] {
            let (_, count) = edited(before.as_bytes(), FILE, add, remove).unwrap();
            assert_eq!(count, fixes, "{before:?} + {add:?} - {remove:?}");
        }
    }

    #[test]
    fn removing_an_unlisted_line_is_an_error() {
        for (line, hint) in [("sbin/ip", "it lists bin/ip"), ("bin/x y", &format!("cat {FILE}"))] {
            let error = edited(b"bin/a\nbin/ip\n", FILE, &["bin/d"], &["bin/a", line]).unwrap_err();
            assert_eq!(error.message, format!("{FILE} does not list {line}"));
            assert_eq!(error.hint.as_deref(), Some(hint));
        }
    }

    #[test]
    fn invalid_manifest_or_path_is_an_error() {
        for (file, add, about) in [
            ("a.manifest", "bin/a", "stage1/usr_from_coreos"),
            (FILE, "../etc/x", "bin/ip"),
            (FILE, "/etc/x", "bin/ip"),
            (FILE, "bin/b\nbin/c", "bin/ip"),
            (FILE, "bin/b\r", "bin/ip"),
            (FILE, "#x", "bin/ip"),
            (FILE, "./#bin/x", "bin/ip"),
            (FILE, "ip", "bin/ip"),
            (FILE, "/usr/ip", "bin/ip"),
        ] {
            let error = edited(b"bin/a\n", file, &[add], &[]).unwrap_err();
            assert!(error.hint.as_ref().is_some_and(|hint| hint.contains(about)), "{error:?}");
        }
    }
}
