//! The list of packages that a release publishes: `category/name-version::repository`, one per line.

use crate::Package;
use crate::package::MAX_PACKAGES;

/// Parses the list; lines of another form are skipped.
pub fn parse_packages(text: &str) -> Vec<Package> {
    text.lines().filter_map(|line| Package::parse_atom(line.trim())).take(MAX_PACKAGES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
