//! Packages and the paths that they own.

use std::collections::BTreeMap;
use std::fmt::Write;

use usr::{UsrPath, tree::MAX_NODES};

/// One package of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Package {
    /// Category and name, `sys-libs/pam`.
    pub name: String,
    /// Version with its revision, `1.6.1-r2`.
    pub version: String,
    /// Licences as the distribution names them, `GPL-2`.
    pub licenses: Vec<String>,
    /// Home page, if the image names one.
    pub homepage: Option<String>,
}

impl Package {
    /// Parses `category/name-version::repository`; the repository may be missing. `None` without category or version.
    ///
    /// The version starts at the last hyphen before a digit, after a revision `-rN` is set aside (Package Manager
    /// Specification, section 3.2).
    pub fn parse_atom(atom: &str) -> Option<Package> {
        let atom = atom.split_once("::").map_or(atom, |(atom, _repository)| atom);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let revision = atom.rfind("-r").filter(|&at| is_number(&atom[at + 2..])).unwrap_or(atom.len());
        let starts_version = |at: &usize| atom[at + 1..].starts_with(|c: char| c.is_ascii_digit());
        let at = atom[..revision].match_indices('-').map(|(at, _)| at).rfind(starts_version)?;
        let (name, version) = (&atom[..at], &atom[at + 1..]);
        let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
        (name.contains('/') && is_plain(name) && is_plain(version)).then(|| Package {
            name: name.to_owned(),
            version: version.to_owned(),
            ..Package::default()
        })
    }
}

/// Parses the list of packages that a release publishes: one atom per line. Lines of another form are skipped.
pub fn parse_packages(text: &str) -> Vec<Package> {
    text.lines().filter_map(|line| Package::parse_atom(line.trim())).take(MAX_PACKAGES).collect()
}

/// A package name without its category.
pub(crate) fn short_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The packages of an image, with the owner of each path that the image has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageSet {
    packages: Vec<Package>,
    owners: BTreeMap<UsrPath, usize>,
}

impl PackageSet {
    /// An empty set.
    pub fn new() -> PackageSet {
        PackageSet::default()
    }

    /// Adds a package and the paths that it owns; the first owner of a path is kept.
    pub fn insert(&mut self, package: Package, paths: impl IntoIterator<Item = UsrPath>) {
        let index = self.packages.len();
        self.packages.push(package);
        paths.into_iter().for_each(|path| {
            self.owners.entry(path).or_insert(index);
        });
    }

    /// The packages in the order in which they were added.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The package that owns `path`; `None` if the image names no owner.
    pub fn owner(&self, path: &UsrPath) -> Option<&Package> {
        self.owners.get(path).map(|&index| &self.packages[index])
    }

    /// Number of paths with an owner.
    pub fn count_owned_paths(&self) -> usize {
        self.owners.len()
    }

    /// Whether no package is known.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// Text form for a cache: one line per package with tab-separated fields, its paths below it behind a blank.
    pub fn to_text(&self) -> String {
        let mut paths: Vec<Vec<&UsrPath>> = vec![Vec::new(); self.packages.len()];
        self.owners.iter().for_each(|(path, &index)| paths[index].push(path));
        let mut text = format!("{HEADER}\n");
        for (package, paths) in self.packages.iter().zip(paths) {
            let homepage = package.homepage.as_deref().unwrap_or_default();
            let licenses = package.licenses.join(" ");
            let _ = writeln!(text, "{}\t{}\t{licenses}\t{homepage}", package.name, package.version);
            let is_one_line = |path: &&&UsrPath| !path.as_str().contains('\n');
            paths.iter().filter(is_one_line).for_each(|path| {
                let _ = writeln!(text, " {path}");
            });
        }
        text
    }

    /// Reads [`PackageSet::to_text`]; `None` for any other text.
    pub fn from_text(text: &str) -> Option<PackageSet> {
        let mut lines = text.lines();
        (lines.next()? == HEADER).then_some(())?;
        let mut set = PackageSet::new();
        for line in lines {
            (set.packages.len() <= MAX_PACKAGES && set.owners.len() <= MAX_NODES).then_some(())?;
            if let Some(path) = line.strip_prefix(' ') {
                let index = set.packages.len().checked_sub(1)?;
                set.owners.insert(UsrPath::new(path).ok()?, index);
                continue;
            }
            let mut fields = line.split('\t');
            let mut next = || fields.next();
            let (name, version, licenses, homepage) = (next()?, next()?, next()?, next()?);
            set.packages.push(Package {
                name: name.to_owned(),
                version: version.to_owned(),
                licenses: licenses.split_whitespace().map(str::to_owned).collect(),
                homepage: Some(homepage.to_owned()).filter(|page| !page.is_empty()),
            });
        }
        Some(set)
    }
}

/// Most packages of one image or list; Flatcar 4593 has about 400.
pub(crate) const MAX_PACKAGES: usize = 20_000;

/// First line of the text form; another version has another line.
const HEADER: &str = "packages 1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atom_splits_at_the_version() {
        let table = [
            ("sys-apps/systemd-257.9::coreos-overlay", Some(("sys-apps/systemd", "257.9"))),
            ("net-misc/openssh-10.4_p1-r2::portage-stable", Some(("net-misc/openssh", "10.4_p1-r2"))),
            ("dev-libs/glib-2.84.4", Some(("dev-libs/glib", "2.84.4"))),
            ("media-libs/font-adobe-100dpi-1.0.4::x", Some(("media-libs/font-adobe-100dpi", "1.0.4"))),
            (
                "sys-apps/zlib1g-1.3.dfsg+really1.3.1-r1::debian",
                Some(("sys-apps/zlib1g", "1.3.dfsg+really1.3.1-r1")),
            ),
            ("sys-libs/libpam-r2d2-1.0", Some(("sys-libs/libpam-r2d2", "1.0"))),
            ("systemd-257", None),
            ("sys-apps/systemd", None),
            ("", None),
            ("a/b-1\u{202e}", None),
        ];
        for (atom, expected) in table {
            let package = Package::parse_atom(atom);
            let found = package.as_ref().map(|package| (package.name.as_str(), package.version.as_str()));
            assert_eq!(found, expected, "{atom}");
        }
    }

    #[test]
    fn list_lines_are_packages() {
        let list =
            "acct-group/root-0::portage-stable\n\nnonsense\nsys-libs/glibc-2.41-r4::portage-stable\r\n";
        let found: Vec<String> = parse_packages(list)
            .iter()
            .map(|package| format!("{} {}", package.name, package.version))
            .collect();
        assert_eq!(found, ["acct-group/root 0", "sys-libs/glibc 2.41-r4"]);
    }

    #[test]
    fn text_form_keeps_packages_and_owners() {
        let mut set = PackageSet::new();
        let mut pam = Package::parse_atom("sys-libs/pam-1.6.1").unwrap();
        pam.licenses = vec!["BSD".to_owned(), "GPL-2".to_owned()];
        pam.homepage = Some("https://example.invalid/pam".to_owned());
        let path = |path| UsrPath::new(path).unwrap();
        set.insert(pam, [path("lib64/libpam.so.0"), path("lib64/with blank")]);
        set.insert(Package::parse_atom("a/b-1").unwrap(), [path("lib64/libpam.so.0"), path("bin/b")]);
        let many = format!("{HEADER}\n{}", "a/b\t1\t\t\n".repeat(MAX_PACKAGES + 2));
        assert_eq!(PackageSet::from_text(&many), None);
        let read = PackageSet::from_text(&set.to_text()).unwrap();
        assert_eq!(read, set);
        assert_eq!(short_name(&read.owner(&path("lib64/libpam.so.0")).unwrap().name), "pam");
        for other in ["", "packages 2\n", "packages 1\n bin/x\n", "packages 1\nname only\n"] {
            assert_eq!(PackageSet::from_text(other), None, "{other:?}");
        }
    }
}
