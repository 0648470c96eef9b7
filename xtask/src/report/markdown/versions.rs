//! Package changes and security fixes.

use super::escape::{cell_code, code, inline};
use super::{MAX_NAMES, folded, rows_of};
use crate::report::package_changes::{self, taken_packages};
use crate::report::{Report, advisories, count};
use packages::advisories::RelevantFix;
use packages::changes::PackageChange;

/// Packages and security fixes, one line each.
pub(super) fn versions_in_short(report: &Report) -> String {
    let changes = report.packages.as_deref().unwrap_or_default();
    let mut names = taken_packages(changes).0.into_iter().map(|change| {
        format!("{} {}", code(package(change)), inline(&package_changes::versions(change).replace("->", "→")))
    });
    let mut out = String::new();
    if let Some(headline) = package_changes::headline(changes) {
        let shown: Vec<String> = names.by_ref().take(MAX_NAMES).collect();
        let more = names.count();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let shown = if shown.is_empty() { String::new() } else { format!(": {}{more}", shown.join(", ")) };
        out.push_str(&format!("- {headline}{shown}\n"));
    }
    if let Some(advisories) = &report.advisories {
        out.push_str(&format!(
            "- {} (a hint: the release notes are not signed)\n",
            inline(&advisories.headline())
        ));
    }
    if out.is_empty() { out } else { format!("\n{out}") }
}

/// The name of a package without its category.
fn package(change: &PackageChange) -> &str {
    change.name.rsplit('/').next().unwrap_or(&change.name)
}

/// The fixes in packages of the stage1, with links to the upstream change logs.
pub(super) fn security_fixes(report: &Report) -> String {
    let Some(advisories) = &report.advisories else { return String::new() };
    let row = |fix: &RelevantFix| {
        let links: Vec<String> = advisories::links(fix).map(|link| format!("<{link}>")).collect();
        let cells = [advisories::ids(fix), advisories::flavors(fix)].map(|cell| inline(&cell));
        [vec![cell_code(&fix.package)], cells.to_vec(), vec![links.join(" ").replace('|', "%7C")]].concat()
    };
    let rows: Vec<Vec<String>> = advisories.relevant().iter().map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let body = rows_of(&["package", "fixes", "flavors", "change log"], rows);
    let remarks = inline(&advisories.remarks());
    format!("\n### Security fixes in packages of stage1\n\n{body}\n{remarks}\n")
}

/// Packages with a listed file, and the number of the others.
pub(super) fn packages(report: &Report) -> String {
    let Some(changes) = &report.packages else { return String::new() };
    let (taken, others) = taken_packages(changes);
    let rows = taken.into_iter().map(|change| {
        let side = |version: &Option<String>| version.as_deref().map(cell_code).unwrap_or_default();
        let flavors: Vec<&str> = change.flavors.iter().map(|flavor| flavor.as_str()).collect();
        vec![
            cell_code(&change.name),
            side(&change.from),
            side(&change.to),
            count(change.taken.len(), "file"),
            inline(&flavors.join(", ")),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let title = format!("Packages ({})", rows.len());
    let body = rows_of(&["package", "before", "after", "in stage1", "flavors"], rows);
    let more = if others > 0 {
        format!("\n{} changed of which stage1 takes no file.\n", count(others, "package"))
    } else {
        String::new()
    };
    folded(&title, &(body + &more))
}
