//! The packages that differ between two releases.

use std::collections::{BTreeMap, BTreeSet};

use coreos_types::Flavor;
use usr::UsrPath;

use crate::{Package, PackageSet};

/// The paths of an image that the stage1 takes, each with the flavors that take it.
pub type TakenPaths = BTreeMap<UsrPath, BTreeSet<Flavor>>;

/// A package that was updated, added or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageChange {
    /// Category and name.
    pub name: String,
    /// Old version; `None` for a new package. Several installed versions are joined by a comma.
    pub from: Option<String>,
    /// New version; `None` for a removed package.
    pub to: Option<String>,
    /// Paths that the stage1 takes from the package, sorted.
    pub taken: Vec<UsrPath>,
    /// Flavors that take one of them.
    pub flavors: BTreeSet<Flavor>,
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct ComparisonSide<'a> {
    /// The installed packages.
    pub installed: &'a [Package],
    /// The packages with the paths that they own; empty if no owners are known.
    pub owners: &'a PackageSet,
    /// The paths that the stage1 takes.
    pub taken: &'a TakenPaths,
}

/// Compares two sets of packages; changes of which the stage1 takes a path come first, then by name.
pub fn package_changes(old: ComparisonSide<'_>, new: ComparisonSide<'_>) -> Vec<PackageChange> {
    let (before, after) = (versions(old.installed), versions(new.installed));
    let (old_use, new_use) =
        (group_taken_by_package(old.owners, old.taken), group_taken_by_package(new.owners, new.taken));
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let mut changes: Vec<PackageChange> = names
        .into_iter()
        .filter(|name| before.get(name) != after.get(name))
        .map(|name| {
            let (taken, flavors) = new_use.get(name).or(old_use.get(name)).cloned().unwrap_or_default();
            let (from, to) = (before.get(name).cloned(), after.get(name).cloned());
            PackageChange { name: name.to_owned(), from, to, taken, flavors }
        })
        .collect();
    changes.sort_by_key(|change| change.taken.is_empty());
    changes
}

/// Installed versions by package name; slots of one package are joined.
fn versions(packages: &[Package]) -> BTreeMap<&str, String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    versions.into_iter().map(|(name, all)| (name, all.into_iter().collect::<Vec<_>>().join(", "))).collect()
}

/// Paths taken and flavors that take them, by the name of the package.
pub type PackageUsage<'a> = BTreeMap<&'a str, (Vec<UsrPath>, BTreeSet<Flavor>)>;

/// Groups the taken paths by the package that owns them.
pub fn group_taken_by_package<'a>(packages: &'a PackageSet, taken: &TakenPaths) -> PackageUsage<'a> {
    let mut usage = PackageUsage::new();
    for (path, flavors) in taken {
        if let Some(package) = packages.owner(path) {
            let entry = usage.entry(package.name.as_str()).or_default();
            entry.0.push(path.clone());
            entry.1.extend(flavors.iter().cloned());
        }
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(rows: &[(&str, &[&str])]) -> PackageSet {
        let mut set = PackageSet::new();
        for (atom, paths) in rows {
            let paths = paths.iter().map(|path| UsrPath::new(path).unwrap());
            set.insert(Package::parse_atom(atom).unwrap(), paths);
        }
        set
    }

    fn taken(paths: &[&str]) -> TakenPaths {
        let coreos = Flavor::from_dir_name("usr_from_coreos").unwrap();
        paths.iter().map(|path| (UsrPath::new(path).unwrap(), BTreeSet::from([coreos.clone()]))).collect()
    }

    #[test]
    fn changes_of_taken_packages_come_first() {
        let old =
            set(&[("a/kernel-6.1", &["boot/x"]), ("s/pam-1.5", &["lib64/libpam.so.0"]), ("z/gone-1", &[])]);
        let new = set(&[
            ("a/kernel-6.12", &["boot/x"]),
            ("a/kernel-6.6", &[]),
            ("n/new-3", &["bin/n"]),
            ("s/pam-1.6", &["lib64/libpam.so.0"]),
            ("u/same-1", &["bin/s"]),
        ]);
        let before = taken(&["lib64/libpam.so.0"]);
        let after = taken(&["bin/s", "lib64/libpam.so.0"]);
        fn side<'a>(owners: &'a PackageSet, taken: &'a TakenPaths) -> ComparisonSide<'a> {
            ComparisonSide { installed: owners.packages(), owners, taken }
        }
        let rows: Vec<String> = package_changes(side(&old, &before), side(&new, &after))
            .iter()
            .map(|change| {
                let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".to_owned());
                format!(
                    "{} {} {} {}",
                    change.name,
                    version(&change.from),
                    version(&change.to),
                    change.taken.len()
                )
            })
            .collect();
        assert_eq!(
            rows,
            ["s/pam 1.5 1.6 1", "u/same - 1 1", "a/kernel 6.1 6.12, 6.6 0", "n/new - 3 0", "z/gone 1 - 0"]
        );
    }
}
