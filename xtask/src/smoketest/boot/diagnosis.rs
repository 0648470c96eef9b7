//! Why a boot stayed silent: what it complained about, and what it cannot do without.

use std::collections::BTreeSet;

use crate::smoketest::link_check::pid1;
use crate::smoketest::rootfs::Rootfs;
use coreos_types::release::{Board, SystemdVersion};
use usr::ldso::UnreachableLibrary;
use usr::path::UsrPath;

/// One thing that is not in the root filesystem, or was not found there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingItem {
    /// A path below `/usr`, or the name of a library.
    pub what: String,
    /// What it would be for, or who asked for it.
    pub why: String,
    /// The root filesystem has it, and who asked for it did not find it.
    pub found_at: Option<UnreachableLibrary>,
}

impl MissingItem {
    fn new(what: impl Into<String>, why: impl Into<String>) -> MissingItem {
        MissingItem { what: what.into(), why: why.into(), found_at: None }
    }
}

/// systemd starts each service through a program of its own from here on (NEWS of 255).
const EXECUTOR_SINCE: u32 = 255;

/// Without these nothing starts.
pub fn missing_essentials(rootfs: &Rootfs) -> Vec<MissingItem> {
    missing_files(rootfs, &[("systemd", "it is process 1")]).into_iter().chain(loader(rootfs)).collect()
}

/// What a boot that stayed silent lacks: from its words, and from what every boot needs.
pub fn diagnose(rootfs: &Rootfs, systemd: Option<SystemdVersion>, lines: &[String]) -> Vec<MissingItem> {
    let complaints =
        lines.iter().filter_map(|line| find_unreached(rootfs, line).or_else(|| parse_complaint(line)));
    let spelled = |lack: MissingItem| MissingItem { what: manifest_path(rootfs, &lack.what), ..lack };
    let mut lacks: BTreeSet<MissingItem> = complaints.map(spelled).collect();
    let mut needs = vec![
        ("systemd-journald", "all output goes through it"),
        ("system/systemd-journald.service", "it starts systemd-journald"),
        ("system/systemd-journald.socket", "output waits in it"),
        ("systemd-shutdown", "it ends the boot"),
    ];
    if systemd.is_none_or(|version| version.0 >= EXECUTOR_SINCE) {
        needs.push(("systemd-executor", "systemd 255 and later start every service through it"));
    }
    lacks.extend(missing_files(rootfs, &needs));
    if rootfs.first_of(&["bin/bash", "bin/sh"]).is_none() {
        lacks.insert(MissingItem::new("bin/bash", "the app is a shell"));
    }
    // One reason a thing is enough.
    let mut seen = BTreeSet::new();
    lacks.retain(|lack| seen.insert(lack.what.clone()));
    // A complaint may name by its file what the needs name by its path.
    let paths: Vec<String> =
        lacks.iter().map(|lack| lack.what.clone()).filter(|what| what.contains('/')).collect();
    lacks.retain(|lack| {
        lack.what.contains('/') || !paths.iter().any(|path| path.ends_with(&format!("/{}", lack.what)))
    });
    lacks.into_iter().collect()
}

/// The path as manifests write it: with the links on the way to its directory followed.
fn manifest_path(rootfs: &Rootfs, what: &str) -> String {
    let spelled = || {
        let path = UsrPath::new(what).ok()?;
        let directory = rootfs.tree.resolve(&path.parent()?).end.node()?.clone();
        Some(directory.join(path.name()).to_string())
    };
    spelled().unwrap_or_else(|| what.to_owned())
}

/// Those files of systemd's directory that are not there.
fn missing_files(rootfs: &Rootfs, needs: &[(&str, &str)]) -> Vec<MissingItem> {
    let home = match rootfs.board {
        Board::Amd64 => "lib64/systemd",
        Board::Arm64 => "lib/systemd",
    };
    let is_there = |file: &str| {
        rootfs.first_of(&[&format!("lib/systemd/{file}"), &format!("lib64/systemd/{file}")]).is_some()
    };
    let absent = needs.iter().filter(|(file, _)| !is_there(file));
    absent.map(|(file, why)| MissingItem::new(format!("{home}/{file}"), *why)).collect()
}

fn loader(rootfs: &Rootfs) -> Option<MissingItem> {
    let path = match rootfs.board {
        Board::Amd64 => "lib64/ld-linux-x86-64.so.2",
        Board::Arm64 => "lib/ld-linux-aarch64.so.1",
    };
    let there = rootfs.first_of(&[path]).is_some();
    (!there).then(|| MissingItem::new(path, "every program is started by it"))
}

/// A library that a line of the console says is missing, and that is there.
fn find_unreached(rootfs: &Rootfs, line: &str) -> Option<MissingItem> {
    let (who, name) = parse_loader_error(line)?;
    let there = pid1::find_unreached(rootfs, &UsrPath::from_rootfs_path(who).ok()?, name)?;
    Some(MissingItem { found_at: Some(there), ..parse_complaint(line)? })
}

/// The program, and the library that its loader did not find.
fn parse_loader_error(line: &str) -> Option<(&str, &str)> {
    let (who, rest) = line.split_once(": error while loading shared libraries: ")?;
    Some((who.rsplit(' ').next().unwrap_or(who), rest.split(':').next()?))
}

/// What one line of the console says is missing. The texts are glibc's, systemd's and the shell's.
fn parse_complaint(line: &str) -> Option<MissingItem> {
    let lack = |what: &str, why: &str| Some(MissingItem::new(what, why));
    if let Some((who, name)) = parse_loader_error(line) {
        return lack(name, &format!("{who} needs it"));
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
            return lack(&what, "it was to be started");
        }
    }
    if let Some((before, _)) = line.split_once(" not found")
        && let Some((_, unit)) = before.split_once("Unit ")
    {
        return lack(unit.trim_end_matches('.'), "the app's unit requires it");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_console_that_name_what_is_missing() {
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
            assert_eq!(parse_complaint(line).map(|lack| lack.what).as_deref(), what, "{line}");
        }
    }
}
