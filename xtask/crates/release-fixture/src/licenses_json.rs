//! `share/licenses/licenses.json.bz2`, in which a Flatcar image names its packages and the files that they own
//! (flatcar/scripts, `write_licenses`).

use std::collections::BTreeMap;
use std::io::Write;

use super::image_spec::{ImageSpec, NodeSpec};
use bzip2::Compression;
use bzip2::write::BzEncoder;
use serde_json::json;
use usr::{LibraryName, UsrPath};

/// Libraries that glibc installs, by stem.
const GLIBC: [&str; 11] = [
    "ld",
    "libc",
    "libcrypt",
    "libdl",
    "libnsl",
    "libnss_compat",
    "libnss_files",
    "libpthread",
    "libresolv",
    "librt",
    "libutil",
];

/// Programs other than those of systemd, and the package that has them with its version.
const PROGRAMS: [(&str, &str, &str); 7] = [
    ("bash", "app-shells/bash", "4.3_p42"),
    ("chmod", "sys-apps/coreutils", "8.24"),
    ("chown", "sys-apps/coreutils", "8.24"),
    ("ip", "sys-apps/iproute2", "4.4.0"),
    ("mount", "sys-apps/util-linux", "2.26.2"),
    ("ssh-keygen", "net-misc/openssh", "7.2_p2"),
    ("sshd", "net-misc/openssh", "7.2_p2"),
];

/// Version of a package by its category and name, and the paths that it owns.
type Packages<'a> = BTreeMap<(String, String), Vec<&'a UsrPath>>;

/// The packages of an image as (category and name, version), with the paths that they own, inferred from their names.
pub(super) fn infer_packages(image: &ImageSpec) -> Packages<'_> {
    let mut versions: BTreeMap<&str, &str> = BTreeMap::new();
    let regular = image.files.iter().filter(|(_, content)| !matches!(content, NodeSpec::Link(_)));
    for LibraryName { stem, version, .. } in regular.filter_map(|(path, _)| LibraryName::from_path(path)) {
        let known = versions.entry(stem).or_default();
        *known = (*known).max(version);
    }
    let mut packages = Packages::new();
    for path in image.files.keys() {
        let package = match LibraryName::from_path(path) {
            Some(LibraryName { stem, .. }) if GLIBC.contains(&stem) => {
                Some(("sys-libs/glibc".to_owned(), "2.21-r2".to_owned()))
            }
            Some(LibraryName { stem, .. }) => {
                let version = versions.get(stem).filter(|version| !version.is_empty()).unwrap_or(&"1");
                let name = stem.strip_prefix("lib").unwrap_or(stem);
                Some((format!("sys-libs/{name}"), (*version).to_owned()))
            }
            None => package_of_program(path, &image.systemd),
        };
        if let Some(package) = package {
            packages.entry(package).or_default().push(path);
        }
    }
    packages
}

fn package_of_program(path: &UsrPath, systemd: &str) -> Option<(String, String)> {
    if let Some((_, package, version)) = PROGRAMS.iter().find(|(name, ..)| *name == path.name()) {
        return Some(((*package).to_owned(), (*version).to_owned()));
    }
    let is_systemd = path.as_str().contains("systemd") || path.name().ends_with("ctl");
    is_systemd.then(|| ("sys-apps/systemd".to_owned(), systemd.to_owned()))
}

impl ImageSpec {
    /// Adds the database of the packages that own the image's programs, libraries and units, inferred from their
    /// names. The published list of packages has the same packages.
    pub fn with_package_database(self) -> ImageSpec {
        let line = |path: &UsrPath| match &self.files[path] {
            NodeSpec::Link(target) => format!("/usr/{path} -> {target}\n"),
            _ => format!("/usr/{path} d41d8cd98f00b204e9800998ecf8427e\n"),
        };
        let entry = |((name, version), paths): ((String, String), Vec<&UsrPath>)| {
            json!({
                "project": format!("{name}-{version}::coreos"),
                "licenses": ["LGPL-2.1+"],
                "description": "",
                "homepage": "",
                "source": "",
                "files": paths.into_iter().map(line).collect::<String>(),
            })
        };
        let database: serde_json::Value = infer_packages(&self).into_iter().map(entry).collect();
        let mut encoder = BzEncoder::new(Vec::new(), Compression::fast());
        // Writing to memory does not fail.
        let _ = encoder.write_all(database.to_string().as_bytes());
        self.put("share/licenses/licenses.json.bz2", NodeSpec::Bytes(encoder.finish().unwrap_or_default()))
    }
}
