//! The published lists of the files and packages of an image.
//!
//! `…_image_contents.txt` is what `find -printf '%M %2n %-7u %-7g %7s %TY-%Tm-%Td %TH:%TM ./%P -> %l'` prints from
//! the image's root (flatcar/scripts `build_library/build_image_util.sh`); `…_image_packages.txt` has one
//! `category/package-version::repository` per line. They describe the disk image, which has almost the same `/usr` as the
//! PXE image, and have nothing of the content of files.

use super::file_info::FileInfo;
use super::path::UsrPath;
use super::tree::{Node, NodeKind, UsrTree};
use coreos_types::{Error, Result, SystemdVersion};

/// The files, the bytes of their paths, and the components that a path does not share with the one before: each of them
/// may be a directory that is not listed itself, with a path of its own. A real list has a third of that at most.
const MAX_NODES: usize = 150_000;
const MAX_PATH_BYTES: usize = 16 << 20;
const MAX_COMPONENTS: usize = 3 * MAX_NODES;
/// The depth of directories in a list; a real one has about fifteen.
const MAX_DEPTH: usize = 64;

/// Parses a contents list into the tree below `/usr`. Every file has [`FileInfo::Other`]. Lines in another format, paths
/// outside of `/usr` and paths deeper than any real one are skipped.
///
/// # Errors
/// Failed (2) for a list with more files than any image.
pub fn parse_contents(text: &str) -> Result<UsrTree> {
    let (mut nodes, mut path_bytes, mut components) = (Vec::<(UsrPath, Node)>::new(), 0, 0);
    for (path, node) in text.lines().filter_map(parse_line) {
        let last = nodes.last().map_or("", |(last, _)| last.as_str());
        let shared = path.components().zip(last.split('/')).take_while(|(one, other)| one == other).count();
        let new = path.components().count().saturating_sub(shared).max(1);
        path_bytes += new * path.as_str().len();
        components += new;
        nodes.push((path, node));
        if nodes.len() > MAX_NODES || path_bytes > MAX_PATH_BYTES || components > MAX_COMPONENTS {
            return Err(Error::failed(format!(
                "the list of files has more than {MAX_NODES} files, {MAX_PATH_BYTES} bytes of paths, or {MAX_COMPONENTS} components of paths"
            )));
        }
    }
    Ok(UsrTree::from_nodes(nodes))
}

fn parse_line(line: &str) -> Option<(UsrPath, Node)> {
    let (mode, rest) = line.split_once(' ')?;
    // Links, user, group, size, date and time are before the path, which may contain blanks.
    let mut rest = rest.trim_start();
    let mut size = 0;
    for field in 0..6 {
        let (word, tail) = rest.split_once(' ')?;
        if field == 3 {
            size = word.parse().ok()?;
        }
        rest = tail.trim_start();
    }
    let (path, target) = match rest.split_once(" -> ") {
        Some((path, target)) => (path, target),
        None => (rest.strip_suffix(" ->").unwrap_or(rest), ""),
    };
    let inside = path.strip_prefix("./usr/").or_else(|| path.strip_prefix("/usr/"))?;
    if inside.split('/').count() > MAX_DEPTH {
        return None;
    }
    let kind = match mode.as_bytes().first()? {
        b'-' => NodeKind::file(size, FileInfo::Other),
        b'd' => NodeKind::Directory,
        b'l' => NodeKind::Symlink(target.to_owned()),
        _ => NodeKind::Special,
    };
    Some((UsrPath::new(inside).ok()?, Node { mode: permissions(mode.get(1..)?), kind }))
}

/// The permission bits of `rwxr-xr-x`, with `s`, `S`, `t` and `T` in place of `x`.
fn permissions(text: &str) -> u16 {
    let mut bits = 0;
    for (at, letter) in text.bytes().take(9).enumerate() {
        let bit = 0o400 >> at;
        let special = [0o4000, 0o2000, 0o1000][at / 3];
        bits |= match letter {
            b'-' => 0,
            b's' | b't' => bit | special,
            b'S' | b'T' => special,
            _ => bit,
        };
    }
    bits
}

/// The major version of systemd in a packages list; `None` if the list has no systemd.
pub fn systemd_version_from_packages(text: &str) -> Option<SystemdVersion> {
    text.lines().find_map(|line| {
        let version = line.trim().strip_prefix("sys-apps/systemd-")?;
        let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok().map(SystemdVersion)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LIST: &str = "\
drwxr-xr-x  2 root    root       4096 2026-08-01 00:00 ./usr/lib64
-rwxr-xr-x  1 root    root      99192 2026-08-01 00:00 ./usr/lib64/systemd/systemd
-rwsr-xr-x  1 root    root        100 2026-08-01 00:00 ./usr/bin/sudo it ->
lrwxrwxrwx  1 root    root          5 2026-08-01 00:00 ./usr/lib -> lib64
-rw-r--r--  1 root    root          1 2026-08-01 00:00 ./boot/vmlinuz
nonsense
";

    #[test]
    fn contents_list_is_parsed_into_a_tree() {
        let tree = parse_contents(LIST).unwrap();
        let lines: Vec<String> =
            tree.iter().map(|(path, node)| format!("{path} {:o} {:?}", node.mode, node.kind)).collect();
        assert_eq!(
            lines,
            [
                "bin 755 Directory",
                "bin/sudo it 4755 File { size: 100, info: OnceLock(Other) }",
                "lib 777 Symlink(\"lib64\")",
                "lib64 755 Directory",
                "lib64/systemd 755 Directory",
                "lib64/systemd/systemd 755 File { size: 99192, info: OnceLock(Other) }",
            ]
        );
    }

    #[test]
    fn line_of_thirty_thousand_directories_is_skipped() {
        let line = format!(
            "-rw-r--r--  1 root    root          1 2026-08-01 00:00 ./usr/{}x\n",
            "d/".repeat(30_000)
        );
        assert_eq!(parse_contents(&line).unwrap().iter().count(), 0);
    }

    #[test]
    fn list_with_more_files_than_an_image_is_refused() {
        let list = |directory: &str, count: usize| {
            let line = |at| {
                format!("-rw-r--r--  1 root    root          1 2026-08-01 00:00 ./usr/{directory}{at}\n")
            };
            parse_contents(&(0..count).map(line).collect::<String>())
        };
        assert!(list("bin/", 30_000).is_ok());
        assert!(list("bin/", MAX_NODES + 1).is_err());
        assert!(list(&format!("{}/", "d".repeat(2000)), 10_000).is_err());
        let deep = |at| {
            format!("-rw-r--r--  1 root    root          1 2026-08-01 00:00 ./usr/{at}{}x\n", "/d".repeat(60))
        };
        assert!(parse_contents(&(0..8_000).map(deep).collect::<String>()).is_err());
        // Few lines of long paths, with many directories that are not listed.
        let long = |at| {
            let (name, below) = ("n".repeat(2000), "/d".repeat(60));
            format!("-rw-r--r--  1 root    root          1 2026-08-01 00:00 ./usr/{at}{name}{below}\n")
        };
        assert!(parse_contents(&(0..200).map(long).collect::<String>()).is_err());
    }

    #[test]
    fn systemd_version_is_read_from_packages() {
        let version = |text| systemd_version_from_packages(text).map(|version| version.0);
        assert_eq!(version("a/b-1::x\nsys-apps/systemd-212-r8::coreos\n"), Some(212));
        assert_eq!(version("sys-apps/systemd-257.9::portage-stable"), Some(257));
        assert_eq!(version("sys-apps/systemd-utils-1::x"), None);
    }
}
