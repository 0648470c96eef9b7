//! Lines put into a manifest and taken out of it as a person asks: what `edit-manifest` changes.

use super::sources::Stage1Sources;
use crate::editor::ManifestEditor;
use crate::finding::{Fix, FixKind};
use crate::suggestion::LineEdit;
use coreos_types::error::{Error, Result};
use usr::lossless_text;
use usr::path::UsrPath;

/// The sources with one manifest edited, and each changed line with its reason. A line to add that is listed already
/// changes nothing.
///
/// # Errors
/// The manifest is not one of the tree's, a line to remove is not listed, or a new line is not a path below `/usr`.
pub fn edit(sources: &Stage1Sources, asked: &LineEdit) -> Result<(Stage1Sources, Vec<Fix>)> {
    let (mut after, file) = (sources.clone(), real_name(sources, &asked.file)?);
    // All of them, because a file that is in both orders follows the others.
    let files = sources.manifests.iter().map(|(file, bytes)| (file.as_str(), bytes.as_slice()));
    let Some(mut draft) = ManifestEditor::of_files(files).remove(file) else {
        return Ok((after, Vec::new()));
    };
    if let Some(line) = asked.remove.iter().find(|line| !draft.has(line)) {
        let similar = similar_lines(&sources.manifests[file], line);
        let hint =
            if similar.is_empty() { "check the path".to_owned() } else { format!("it lists {similar}") };
        return Err(Error::failed(format!("{} does not list {line}", asked.file))
            .with_cause("nothing was changed")
            .with_hint(hint));
    }
    for line in &asked.remove {
        while draft.has(line) {
            draft.drop_line(line, FixKind::Drop, "requested on the command line");
        }
    }
    for line in &asked.add {
        let path = one_path(line).map_err(|why| {
            Error::failed(format!("{line:?} is no path of the image"))
                .with_cause(why)
                .with_hint("give it relative to /usr: bin/ip")
        })?;
        draft.add(path.as_str(), "requested on the command line");
    }
    let fixes = draft.fixes().to_vec();
    if !fixes.is_empty() {
        after.manifests.insert(file.to_owned(), draft.text().to_bytes());
    }
    Ok((after, fixes))
}

/// Up to three lines with a similar file name.
fn similar_lines(manifest: &[u8], wanted: &str) -> String {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let (text, wanted) = (lossless_text::from_bytes(manifest), name(wanted));
    let is_similar = |line: &&str| {
        let name = name(line);
        !name.is_empty() && !wanted.is_empty() && (name.contains(&wanted) || wanted.contains(&name))
    };
    text.lines().filter(is_similar).take(3).collect::<Vec<_>>().join(", ")
}

/// The one path of the image that a person means. A line that the check would find out of form is not put in.
fn one_path(line: &str) -> std::result::Result<UsrPath, String> {
    if line.contains(['\n', '\r']) {
        return Err("it has a line break, and a manifest has one path a line".into());
    }
    let below = |path: UsrPath| path.as_str().strip_prefix("usr/").map_or(Ok(path.clone()), UsrPath::new);
    let path = UsrPath::from_rootfs_path(line.trim()).and_then(below).map_err(|why| why.to_string())?;
    if path.as_str().starts_with('#') {
        return Err("a line that starts with # is a comment".into());
    }
    if path.parent().is_none() && !ROOT.contains(&path.as_str()) {
        return Err("it lacks its directory".into());
    }
    Ok(path)
}

/// What lies at the root of `/usr` itself: directories, and links to them (file-hierarchy(7)). No file does.
const ROOT: [&str; 9] = ["bin", "include", "lib", "lib32", "lib64", "libexec", "sbin", "share", "src"];

/// The key of a manifest, by its own path or by that of a link to it.
fn real_name<'s>(sources: &'s Stage1Sources, file: &str) -> Result<&'s str> {
    let listing = sources
        .listings
        .iter()
        .find(|listing| [&listing.file, &listing.listed_as].contains(&&file.to_owned()));
    let Some(listing) = listing else {
        let near = sources.manifests.keys().find(|key| key.rsplit('/').next() == file.rsplit('/').next());
        let near = near.or(sources.manifests.keys().next()).map_or("", String::as_str);
        return Err(Error::failed(format!("{file} is no manifest of this tree"))
            .with_cause("expected a file in stage1/usr_from_*/manifest-BOARD.d")
            .with_hint(format!("name it from the tree's root: {near}")));
    };
    Ok(&listing.file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::plan::sources::ManifestRef;
    use coreos_types::release::{Board, Flavor};

    const FILE: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/a.manifest";
    const LINK: &str = "stage1/usr_from_kvm/manifest-amd64-usr.d/a.manifest";

    fn edited(before: &[u8], file: &str, add: &[&str], remove: &[&str]) -> Result<(Vec<u8>, usize)> {
        let mut sources = Stage1Sources::default();
        sources.manifests.insert(FILE.to_owned(), before.to_vec());
        for listed_as in [FILE, LINK] {
            let flavor = Flavor::from_dir_name(listed_as.split('/').nth(1).unwrap()).unwrap();
            let (listed_as, file) = (listed_as.to_owned(), FILE.to_owned());
            sources.listings.push(ManifestRef { board: Board::Amd64, flavor, listed_as, file });
        }
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let asked = LineEdit { file: file.to_owned(), add: words(add), remove: words(remove) };
        let (after, fixes) = edit(&sources, &asked)?;
        Ok((after.manifests[FILE].clone(), fixes.len()))
    }

    /// The ways in which a line at the end of the file, and sorting it then, went wrong.
    #[test]
    fn lines_go_where_the_file_wants_them_and_nothing_else_moves() {
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
            // A line out of form is taken out as it stands, each time it is there.
            ("/bin/ip\nbin/b\n/bin/ip\n", &[], &["/bin/ip"], "bin/b\n"),
            ("bin/a\n", &["bin/a"], &[], "bin/a\n"),
            // As people write paths, and a link at the root of /usr.
            ("bin/a\n", &["usr/bin/b", " bin/c ", "./usr//bin/d"], &[], "bin/a\nbin/b\nbin/c\nbin/d\n"),
            ("bin/a\n", &["/lib", "usr/lib64"], &[], "bin/a\nlib\nlib64\n"),
        ] {
            let (bytes, fixes) = edited(before.as_bytes(), LINK, add, remove).unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), after, "{before:?} + {add:?} - {remove:?}");
            assert_eq!(fixes == 0, before == after);
        }
    }

    #[test]
    fn removing_an_unlisted_line_is_an_error() {
        for (line, hint) in [("sbin/ip", "it lists bin/ip"), ("bin/x y", "check the path")] {
            let error = edited(b"bin/a\nbin/ip\n", FILE, &["bin/d"], &["bin/a", line]).unwrap_err();
            assert_eq!(error.message, format!("{FILE} does not list {line}"));
            assert_eq!(error.hint.as_deref(), Some(hint));
        }
    }

    #[test]
    fn what_is_no_manifest_or_no_path_is_refused() {
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
