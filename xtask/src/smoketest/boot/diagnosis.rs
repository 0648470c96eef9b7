//! Diagnoses a boot that printed no marker: by its messages, and by the files that every boot needs.

use std::collections::BTreeSet;

use crate::smoketest::loader_run::pid1_check;
use crate::smoketest::rootfs::Rootfs;
use coreos_types::{Board, SystemdVersion};
use usr::{UsrPath, ldso::UnreachableLibrary};

/// A file or unit that is missing in the root filesystem, or that was not found there.
#[derive(Debug)]
pub(crate) struct MissingItem {
    /// A path below `/usr`, or the name of a library.
    pub what: String,
    /// Its purpose, or the program that needs it.
    pub why: String,
    /// That program, if known.
    pub needed_by: Option<UsrPath>,
    /// The path of the item, if the root filesystem has it and the program did not find it.
    pub found_at: Option<UnreachableLibrary>,
}

impl MissingItem {
    fn new(what: impl Into<String>, why: impl Into<String>) -> MissingItem {
        MissingItem { what: what.into(), why: why.into(), needed_by: None, found_at: None }
    }
}

/// The first version of systemd that starts each service through systemd-executor (NEWS of 255).
const EXECUTOR_SINCE: u32 = 255;
/// glibc's message for a library that cannot be loaded.
pub(super) const LOADER_ERROR: &str = ": error while loading shared libraries: ";
/// Most lines of a console whose missing item is looked for in the root filesystem; each takes milliseconds.
const MAX_REPORTED: usize = 100;

/// Missing files that every boot requires.
pub(crate) fn missing_essentials(rootfs: &Rootfs) -> Vec<MissingItem> {
    let mut missing = missing_systemd_files(rootfs, &[("systemd", "it is process 1")]);
    if rootfs.first_existing(&[rootfs.loader()]).is_none() {
        missing.push(MissingItem::new(rootfs.loader(), "every program is started by it"));
    }
    missing
}

/// The missing items of a boot that printed no marker, one for each path or name. What every boot requires comes first.
pub(crate) fn diagnose(
    rootfs: &Rootfs,
    systemd: Option<SystemdVersion>,
    lines: &[String],
) -> Vec<MissingItem> {
    let mut items = missing_essentials(rootfs);
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
        items.push(MissingItem::new("bin/bash", "the app is a shell"));
    }
    let reported = lines.iter().filter_map(|line| parse_missing_item(rootfs, line)).take(MAX_REPORTED);
    items.extend(reported.map(|item| MissingItem { what: resolve_parent_links(rootfs, &item.what), ..item }));
    let mut seen = BTreeSet::new();
    items.retain(|item| seen.insert(item.what.clone()));
    // A message may have the file name of an item that the list has with its path.
    let is_file_name = |name: &str| seen.iter().any(|path| path.ends_with(&format!("/{name}")));
    items.retain(|item| item.what.contains('/') || !is_file_name(&item.what));
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

fn missing_systemd_files(rootfs: &Rootfs, needs: &[(&str, &str)]) -> Vec<MissingItem> {
    let home = match rootfs.board {
        Board::Amd64 => "lib64/systemd",
        Board::Arm64 => "lib/systemd",
    };
    let absent = needs.iter().filter(|(file, _)| rootfs.systemd_file(file).is_none());
    absent.map(|(file, why)| MissingItem::new(format!("{home}/{file}"), *why)).collect()
}

/// The missing item that a console line reports. The texts are those of glibc and systemd.
fn parse_missing_item(rootfs: &Rootfs, line: &str) -> Option<MissingItem> {
    if let Some((before, rest)) = line.split_once(LOADER_ERROR) {
        let who = before.rsplit(' ').next().unwrap_or(before);
        let name = rest.split(':').next()?;
        let needed_by = UsrPath::from_rootfs_path(who).ok();
        let unreachable = |program| pid1_check::find_unreachable_library(rootfs, program, name);
        let (found_at, why) = (needed_by.as_ref().and_then(unreachable), format!("{who} needs it"));
        return Some(MissingItem { what: name.to_owned(), why, needed_by, found_at });
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
            return Some(MissingItem::new(what, "a unit starts it"));
        }
    }
    if let Some((before, _)) = line.split_once(" not found")
        && let Some((_, unit)) = before.split_once("Unit ")
    {
        return Some(MissingItem::new(unit.trim_end_matches('.'), "the app's unit requires it"));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::{Boot, BootOutcome};
    use super::*;

    fn empty_rootfs() -> Rootfs {
        let (tree, build_files) = Default::default();
        Rootfs { path: "/nowhere".into(), board: Board::Amd64, tree, build_files }
    }

    #[test]
    fn boot_that_cannot_start_misses_the_essential_files_alone() {
        let rootfs = empty_rootfs();
        let boot = Boot {
            rootfs: &rootfs,
            systemd: None,
            work_directory: Path::new("/nowhere"),
            limit: Duration::from_secs(1),
        };
        let Some(BootOutcome::Failed { missing, log: None, .. }) = boot.essentials_failure() else {
            panic!("a boot without systemd")
        };
        let names: Vec<&str> = missing.iter().map(|item| item.what.as_str()).collect();
        assert_eq!(names, ["lib64/systemd/systemd", "lib64/ld-linux-x86-64.so.2"]);
    }

    #[test]
    fn endless_reports_are_bounded() {
        let report = |number| format!("x: error while loading shared libraries: lib{number}.so: cannot open");
        let lines: Vec<String> = (0..50_000).map(report).collect();
        let items = diagnose(&empty_rootfs(), None, &lines);
        assert_eq!(
            items.iter().filter(|item| item.what.starts_with("lib") && item.what.ends_with(".so")).count(),
            MAX_REPORTED
        );
    }

    #[test]
    fn console_lines_report_missing_items() {
        let rootfs = empty_rootfs();
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
            assert_eq!(parse_missing_item(&rootfs, line).map(|item| item.what).as_deref(), what, "{line}");
        }
    }
}
