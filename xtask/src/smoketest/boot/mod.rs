//! Boots a built root filesystem: its own systemd as process 1, and an app that prints a marker through the journal.
//!
//! Three methods: [`nspawn`] is rkt's own, in namespaces of this machine; [`vm`] needs no root and keeps the
//! image's code in a virtual machine; [`rkt`] is rkt itself. The exit status alone is not sufficient: a stage1 without a
//! journal ends with 0 and prints nothing.

mod console;
pub mod diagnosis;
pub mod nspawn;
pub mod rkt;
pub mod units;
pub mod vm;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::console::ConsoleLog;
use self::units::GuestTools;
use super::no_follow;
use super::rootfs::Rootfs;
use coreos_types::error::{Result, ResultExt};
use coreos_types::release::SystemdVersion;

/// One boot of a root filesystem.
#[derive(Debug, Clone, Copy)]
pub struct Boot<'a> {
    /// The root filesystem.
    pub rootfs: &'a Rootfs,
    /// The version of its systemd, if known.
    pub systemd: Option<SystemdVersion>,
    /// A directory for the log and the files of the boot.
    pub work: &'a Path,
    /// Longest duration.
    pub limit: Duration,
}

/// The outcome of a boot.
#[derive(Debug, Clone)]
pub enum BootOutcome {
    /// The marker was printed.
    Passed {
        /// The method, and the isolation from this machine.
        method: String,
        /// From start to end.
        took: Duration,
    },
    /// The marker was not printed, or the boot did not end.
    Failed {
        /// The method.
        method: String,
        /// The reason.
        why: String,
        /// The missing items, if known.
        missing: Vec<diagnosis::MissingItem>,
        /// The last lines of the console.
        tail: Vec<String>,
        /// The file with the whole console.
        log: PathBuf,
    },
    /// This machine or user cannot boot the root filesystem; the reason.
    Unsupported(String),
}

impl Boot<'_> {
    /// The failure for a root filesystem without an essential file, which is not booted.
    fn cannot_start(&self) -> Option<BootOutcome> {
        let missing = diagnosis::missing_essentials(self.rootfs);
        (!missing.is_empty()).then(|| BootOutcome::Failed {
            method: "boot".into(),
            why: "the boot cannot start".into(),
            missing,
            tail: Vec::new(),
            log: self.log(),
        })
    }

    fn log(&self) -> PathBuf {
        self.work.join("boot.log")
    }

    /// Writes the files that overlay the root filesystem, and returns their directory.
    fn write_overlay(&self, nonce: &str) -> Result<PathBuf> {
        let home = self.work.join("files");
        no_follow::remove(&home)?;
        let shell = self.rootfs.first_of(&["bin/bash", "bin/sh"]).unwrap_or("bin/bash");
        let tools = GuestTools {
            shell: if shell == "bin/sh" { "/usr/bin/sh" } else { "/usr/bin/bash" },
            journalctl: self.rootfs.first_of(&["bin/journalctl"]).is_some(),
        };
        for (path, text) in units::overlay_files(self.systemd, nonce, tools) {
            let path = home.join(path);
            let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
            made.with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(home)
    }

    fn evaluate(&self, method: String, console: &ConsoleLog) -> BootOutcome {
        if console.marker_seen && console.status.is_some() {
            return BootOutcome::Passed { method, took: console.took };
        }
        let seconds = self.limit.as_secs();
        let why = match (console.marker_seen, console.status) {
            _ if console.overflow => "the console printed without end, and the boot was stopped".to_owned(),
            (true, _) => format!("the marker was printed, but the boot did not end within {seconds} s"),
            (false, None) => format!("no marker and no end within {seconds} s"),
            (false, Some(status)) => format!("the boot ended ({status}), and the marker was not printed"),
        };
        BootOutcome::Failed {
            method,
            why,
            missing: diagnosis::diagnose(self.rootfs, self.systemd, &console.lines),
            tail: console.last_lines(8).into_iter().map(str::to_owned).collect(),
            log: self.log(),
        }
    }
}

/// A nonce that no earlier run used.
fn nonce() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}{:x}", std::process::id(), since.as_micros())
}
