//! Diagnoses a boot that printed no marker: by its messages, and by the files that every boot needs.

use std::collections::BTreeSet;

use crate::smoketest::loader_run::pid1_check;
use crate::smoketest::rootfs::Rootfs;
use coreos_types::{Board, SystemdVersion};
use usr::{UsrPath, ldso::UnreachableLibrary};

/// A file or unit that is missing in the root filesystem, or that was not found there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingItem {
    /// A path below `/usr`, or the name of a library.
    pub what: String,
    /// Its purpose, or the program that needs it.
    pub why: String,
    /// The path of the item, if the root filesystem has it and the program did not find it.
    pub found_at: Option<UnreachableLibrary>,
}

impl MissingItem {
    fn new(what: impl Into<String>, why: impl Into<String>) -> MissingItem {
        MissingItem { what: what.into(), why: why.into(), found_at: None }
    }
}

/// The first version of systemd that starts each service through systemd-executor (NEWS of 255).
const EXECUTOR_SINCE: u32 = 255;

/// Missing files that every boot requires.
pub fn missing_essentials(rootfs: &Rootfs) -> Vec<MissingItem> {
    let mut missing = missing_systemd_files(rootfs, &[("systemd", "it is process 1")]);
    if rootfs.first_existing(&[rootfs.loader()]).is_none() {
        missing.push(MissingItem::new(rootfs.loader(), "every program is started by it"));
    }
    missing
}

/// The missing items of a boot that printed no marker.
pub fn diagnose(rootfs: &Rootfs, systemd: Option<SystemdVersion>, lines: &[String]) -> Vec<MissingItem> {
    let complaints = lines
        .iter()
        .filter_map(|line| parse_unreachable_library(rootfs, line).or_else(|| parse_missing_item(line)));
    let with_path =
        |item: MissingItem| MissingItem { what: resolve_parent_links(rootfs, &item.what), ..item };
    let mut items: BTreeSet<MissingItem> = complaints.map(with_path).collect();
    let mut needs = vec![
        ("systemd-journald", "all output goes through it"),
        ("system/systemd-journald.service", "it starts systemd-journald"),
        ("system/systemd-journald.socket", "output waits in it"),
        ("systemd-shutdown", "it ends the boot"),
    ];
    if systemd.is_none_or(|version| version.0 >= EXECUTOR_SINCE) {
        needs.push(("systemd-executor", "systemd 255 and later start every service through it"));
    }
    items.extend(missing_systemd_files(rootfs, &needs));
    if rootfs.first_existing(&["bin/bash", "bin/sh"]).is_none() {
        items.insert(MissingItem::new("bin/bash", "the app is a shell"));
    }
    let mut items: Vec<MissingItem> = items.into_iter().collect();
    // One reason per item is enough.
    items.dedup_by(|item, first| item.what == first.what);
    // A message may have the file name of an item that the list above has with its path.
    let whats: Vec<String> = items.iter().map(|item| item.what.clone()).collect();
    let is_part = |name: &str| whats.iter().any(|what| what.ends_with(&format!("/{name}")));
    items.retain(|item| item.what.contains('/') || !is_part(&item.what));
    items
}

/// The path as in manifests: with the symlinks in its directory resolved.
fn resolve_parent_links(rootfs: &Rootfs, what: &str) -> String {
    let resolved = || {
        let path = UsrPath::new(what).ok()?;
        let directory = rootfs.tree.resolve(&path.parent()?).end.node()?.clone();
        Some(directory.join(path.name()).to_string())
    };
    resolved().unwrap_or_else(|| what.to_owned())
}

/// Missing files of systemd's directory.
fn missing_systemd_files(rootfs: &Rootfs, needs: &[(&str, &str)]) -> Vec<MissingItem> {
    let home = match rootfs.board {
        Board::Amd64 => "lib64/systemd",
        Board::Arm64 => "lib/systemd",
    };
    let is_there = |file: &str| {
        rootfs.first_existing(&[&format!("lib/systemd/{file}"), &format!("lib64/systemd/{file}")]).is_some()
    };
    let absent = needs.iter().filter(|(file, _)| !is_there(file));
    absent.map(|(file, why)| MissingItem::new(format!("{home}/{file}"), *why)).collect()
}

/// A library that a console line reports as missing, and that the root filesystem has.
fn parse_unreachable_library(rootfs: &Rootfs, line: &str) -> Option<MissingItem> {
    let (who, name) = parse_loader_error(line)?;
    let there = pid1_check::find_unreachable_library(rootfs, &UsrPath::from_rootfs_path(who).ok()?, name)?;
    Some(MissingItem { found_at: Some(there), ..parse_missing_item(line)? })
}

/// The program and the library of a loader error.
fn parse_loader_error(line: &str) -> Option<(&str, &str)> {
    let (who, rest) = line.split_once(": error while loading shared libraries: ")?;
    Some((who.rsplit(' ').next().unwrap_or(who), rest.split(':').next()?))
}

/// The missing item that a console line reports. The texts are those of glibc and systemd.
fn parse_missing_item(line: &str) -> Option<MissingItem> {
    let item = |what: &str, why: &str| Some(MissingItem::new(what, why));
    if let Some((who, name)) = parse_loader_error(line) {
        return item(name, &format!("{who} needs it"));
    }
    for marker in [
        "Unable to locate executable '",
        "Failed to locate executable ",
        "Failed to execute ",
        "Failed to open executor binary '",
    ] {
        if let Some((_, rest)) = line.split_once(marker)
            && line.contains("No such file or directory")
        {
            let path = rest.split([':', '\'', ',', ' ']).next()?;
            let what =
                UsrPath::from_rootfs_path(path).map_or_else(|_| path.to_owned(), |path| path.to_string());
            return item(&what, "a unit starts it");
        }
    }
    if let Some((before, _)) = line.split_once(" not found")
        && let Some((_, unit)) = before.split_once("Unit ")
    {
        return item(unit.trim_end_matches('.'), "the app's unit requires it");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn console_lines_report_missing_items() {
        for (line, what) in [
            (
                "[  2.1] app[3]: /usr/bin/bash: error while loading shared libraries: libtinfo.so.6: cannot open shared \
                 object file: No such file or directory",
                Some("libtinfo.so.6"),
            ),
            (
                "systemd-journald.service: Unable to locate executable '/usr/lib/systemd/systemd-journald': No such file \
                 or directory",
                Some("lib/systemd/systemd-journald"),
            ),
            (
                "x.service: Failed to locate executable /lib/systemd/systemd-journald: No such file or directory",
                Some("lib/systemd/systemd-journald"),
            ),
            (
                "Failed to start app: Unit systemd-journald.service not found.",
                Some("systemd-journald.service"),
            ),
            ("Startup finished in 59ms.", None),
        ] {
            assert_eq!(parse_missing_item(line).map(|item| item.what).as_deref(), what, "{line}");
        }
    }
}
