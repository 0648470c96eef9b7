//! `share/licenses/licenses.json.bz2` of an image: the packages with their files and licences.

use std::fmt;
use std::io::{BufReader, Read};

use bzip2::read::MultiBzDecoder;
use coreos_types::{Error, Result};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use usr::{ResolutionEnd, UsrPath, UsrTree};

use crate::package::MAX_PACKAGES;
use crate::{Package, PackageSet};

/// The file below `/usr`.
pub const PATH: &str = "share/licenses/licenses.json.bz2";

/// Largest compressed file that is read; Flatcar 4593 has 0.4 MB.
pub const MAX_COMPRESSED: u64 = 8 << 20;

/// Most bytes that the file may expand to; Flatcar 4593 has 2 MB.
const MAX_EXPANDED: u64 = 16 << 20;

/// Longest name, version, licence or home page that is kept.
const MAX_WORD: usize = 500;

/// Reads packages and owners from the compressed file; paths that `tree` does not have are skipped.
///
/// The packages are read one at a time, so peak memory is that of the largest package and not that of the whole file.
///
/// # Errors
/// It is not bzip2 or not JSON of the expected shape, or larger than the limits; the message names the file.
pub fn read_packages(compressed: impl Read, tree: &UsrTree) -> Result<PackageSet> {
    let mut expanded = MultiBzDecoder::new(compressed).take(MAX_EXPANDED);
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, &mut expanded));
    let locator = Locator { tree, parent: String::new(), directory: ResolutionEnd::OutsideUsr };
    json.deserialize_seq(locator).map_err(|error| {
        let failed = Error::failed(format!("cannot read {PATH} of the image"));
        match expanded.limit() {
            0 => failed.with_cause(format!("it expands to more than {MAX_EXPANDED} bytes")),
            _ => failed.with_cause(error),
        }
    })
}

impl<'de> Visitor<'de> for Locator<'_> {
    type Value = PackageSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of packages")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> std::result::Result<PackageSet, A::Error> {
        let mut set = PackageSet::new();
        while let Some(entry) = entries.next_element::<Value>()? {
            let Some(package) = parse_entry(&entry) else { continue };
            if set.packages().len() == MAX_PACKAGES {
                return Err(serde::de::Error::custom(format!("more than {MAX_PACKAGES} packages")));
            }
            let lines = entry["files"].as_str().unwrap_or_default().lines();
            set.insert(package, lines.filter_map(|line| self.resolve_in_tree(parse_file_line(line)?)));
        }
        Ok(set)
    }
}

/// The package of one entry: its `project`, `licenses` and `homepage`.
fn parse_entry(entry: &Value) -> Option<Package> {
    let is_plain = |word: &&str| word.len() <= MAX_WORD && word.chars().all(|c| c.is_ascii_graphic());
    let package = Package::parse_atom(entry["project"].as_str().filter(is_plain)?)?;
    let licenses = entry["licenses"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut licenses: Vec<String> =
        licenses.iter().filter_map(Value::as_str).filter(is_plain).take(100).map(str::to_owned).collect();
    licenses.sort();
    let homepage = entry["homepage"].as_str().and_then(|pages| pages.split_whitespace().next());
    Some(Package { licenses, homepage: homepage.filter(is_plain).map(str::to_owned), ..package })
}

/// The path of a line `PATH MD5` or `PATH -> TARGET`.
fn parse_file_line(line: &str) -> Option<&str> {
    let is_md5 = |word: &str| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    match line.rsplit_once(' ') {
        Some((path, md5)) if is_md5(md5) => Some(path),
        _ => line.split_once(" -> ").map(|(path, _target)| path),
    }
}

/// Maps the paths of a package database to an image in which directories may have been merged or symlinked since.
struct Locator<'t> {
    tree: &'t UsrTree,
    /// The directory of the last path; files of one directory mostly follow each other.
    parent: String,
    /// The same directory in the image.
    directory: ResolutionEnd,
}

impl Locator<'_> {
    fn resolve_in_tree(&mut self, path: &str) -> Option<UsrPath> {
        let (parent, name) = path.rsplit_once('/')?;
        if self.parent != parent {
            self.directory = self.tree.resolve_rootfs(parent).end;
            parent.clone_into(&mut self.parent);
        }
        let path = match &self.directory {
            ResolutionEnd::UsrRoot => UsrPath::new(name).ok()?,
            ResolutionEnd::Node(directory) => directory.join(name),
            _ => return None,
        };
        self.tree.get(path.as_str()).is_some().then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use bzip2::Compression;
    use bzip2::write::BzEncoder;
    use usr::{FileInfo, Node, NodeKind};

    use super::*;
    use crate::package::short_name;

    fn compress(text: &str) -> Vec<u8> {
        let mut encoder = BzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn tree() -> UsrTree {
        let mut tree = UsrTree::new();
        let mut put = |path: &str, kind| tree.insert(UsrPath::new(path).unwrap(), Node { mode: 0o755, kind });
        let file = || NodeKind::file(1, FileInfo::Other);
        put("lib", NodeKind::Symlink("lib64".to_owned()));
        put("lib64/libpam.so.0", NodeKind::Symlink("libpam.so.0.85.1".to_owned()));
        put("lib64/libpam.so.0.85.1", file());
        put("lib64/systemd/systemd", file());
        put("bin/a b", file());
        tree
    }

    fn read(json: &str) -> Result<PackageSet> {
        read_packages(compress(json).as_slice(), &tree())
    }

    #[test]
    fn owners_follow_merged_directories() {
        let set = read(
            r#"[{"project": "sys-libs/pam-1.6.1-r1::portage-stable", "licenses": ["GPL-2", "BSD"],
                 "description": "d", "homepage": "https://example.invalid/ https://x", "source": "s",
                 "files": "/lib64/libpam.so.0 -> libpam.so.0.85.1\n/lib64/libpam.so.0.85.1 d41d8cd98f00b204e9800998ecf8427e\n/usr/share/man/pam.8 d41d8cd98f00b204e9800998ecf8427e\n"},
                {"project": "nonsense"},
                {"project": "sys-apps/systemd-257.9", "licenses": [],
                 "files": "/usr/lib/systemd/systemd d41d8cd98f00b204e9800998ecf8427e\n/usr/bin/a b d41d8cd98f00b204e9800998ecf8427e\n/etc/x -> y\n"}]"#,
        )
        .unwrap();
        let owner =
            |path: &str| set.owner(&UsrPath::new(path).unwrap()).map(|package| short_name(&package.name));
        let paths =
            ["lib64/libpam.so.0", "lib64/libpam.so.0.85.1", "lib64/systemd/systemd", "bin/a b", "bin"];
        assert_eq!(paths.map(owner), [Some("pam"), Some("pam"), Some("systemd"), Some("systemd"), None]);
        assert_eq!(set.packages()[0].licenses, ["BSD", "GPL-2"]);
        assert_eq!(set.packages()[0].homepage.as_deref(), Some("https://example.invalid/"));
        assert_eq!(set.count_owned_paths(), 4);
    }

    #[test]
    fn md5_has_no_sign() {
        let digits = "0123456789abcdef".repeat(2);
        assert_eq!(parse_file_line(&format!("/usr/bin/a b {digits}")), Some("/usr/bin/a b"));
        assert_eq!(parse_file_line(&format!("/usr/bin/a +{}", &digits[1..])), None);
    }

    #[test]
    fn malformed_databases_are_errors() {
        let deep = "[".repeat(100_000);
        for (json, cause) in
            [("{}", "expected an array"), ("[{\"project\": ", "EOF"), (deep.as_str(), "recursion limit")]
        {
            let error = read(json).unwrap_err();
            assert!(error.to_string().contains(cause), "{error}");
        }
        assert!(read_packages(&b"not bzip2"[..], &tree()).is_err());
        let many = format!("[{}{{}}]", "{\"project\": \"a/b-1\"},".repeat(MAX_PACKAGES + 1));
        assert!(read(&many).unwrap_err().to_string().contains("more than 20000 packages"));
    }

    #[test]
    fn million_paths_are_skipped_or_owned() {
        // Each in a directory of its own: the worst case of the search for directories.
        let lines: String = (0..900_000).map(|number| format!("/{number}/x -> y\\n")).collect();
        let json = format!("[{{\"project\": \"a/b-1\", \"files\": \"{lines}/usr/bin/a b -> c\"}}]");
        let set = read(&json).unwrap();
        assert_eq!((set.packages().len(), set.count_owned_paths()), (1, 1));
    }

    #[test]
    fn bomb_stops_at_the_limit() {
        let blank = vec![b' '; 1 << 20];
        let mut encoder = BzEncoder::new(Vec::new(), Compression::fast());
        (0..(MAX_EXPANDED >> 20) + 1).for_each(|_| encoder.write_all(&blank).unwrap());
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 1 << 16);
        let error = read_packages(bomb.as_slice(), &tree()).unwrap_err();
        assert!(error.to_string().contains("expands to more than"), "{error}");
    }
}
