//! Boots a built root filesystem: its own systemd as process 1, and an app whose one word must come back.
//!
//! Three roads: [`nspawn`] is how rkt does it, in namespaces of this machine; [`vm`] needs no root; [`rkt`] is rkt
//! itself. An exit status proves nothing on any of them: stage1s without a journal end with 0 and stay silent.

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
use super::rootfs::Rootfs;
use coreos_types::error::{Result, ResultExt};
use coreos_types::release::SystemdVersion;

/// One root filesystem and the circumstances of its boot.
#[derive(Debug, Clone, Copy)]
pub struct Boot<'a> {
    /// What boots.
    pub rootfs: &'a Rootfs,
    /// Its systemd, where that is known.
    pub systemd: Option<SystemdVersion>,
    /// A directory for the log and for what the boot writes.
    pub work: &'a Path,
    /// How long it may take.
    pub limit: Duration,
}

/// How it went.
#[derive(Debug, Clone)]
pub enum BootOutcome {
    /// The token came back.
    Passed {
        /// On which method.
        method: String,
        /// From start to end.
        took: Duration,
    },
    /// It did not.
    Failed {
        /// On which method.
        method: String,
        /// What happened in its place.
        why: String,
        /// What is missing, as far as that can be told.
        missing: Vec<diagnosis::MissingItem>,
        /// The last lines of the console.
        tail: Vec<String>,
        /// The whole console.
        log: PathBuf,
    },
    /// This machine or user cannot; why.
    Unsupported(String),
}

impl Boot<'_> {
    /// What of the essentials is not there at all: a boot cannot even be tried.
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

    /// Writes the files that are laid over the root filesystem.
    fn write_overlay(&self, nonce: &str) -> Result<PathBuf> {
        let home = self.work.join("files");
        if home.exists() {
            fs::remove_dir_all(&home).with_context(|| format!("cannot remove {}", home.display()))?;
        }
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

    fn judge(&self, method: String, heard: &ConsoleLog) -> BootOutcome {
        let ended = heard.status.is_some();
        if heard.marker_seen && ended {
            return BootOutcome::Passed { method, took: heard.took };
        }
        let why = match (heard.marker_seen, heard.status) {
            (true, _) => {
                format!("the token came back, but there was no end within {} s", self.limit.as_secs())
            }
            (false, None) => format!("no token and no end within {} s", self.limit.as_secs()),
            (false, Some(status)) => format!("it ended ({status}), and the token did not come back"),
        };
        BootOutcome::Failed {
            method,
            why,
            missing: diagnosis::diagnose(self.rootfs, self.systemd, &heard.lines),
            tail: heard.last_lines(8).into_iter().map(str::to_owned).collect(),
            log: self.log(),
        }
    }
}

/// A word that no earlier run used.
fn nonce() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}{:x}", std::process::id(), since.as_micros())
}

/// Runs its arguments with a life line: at the end of standard input they are killed.
const KILL_ON_STDIN_EOF: &str = r#"exec 3<&0
"$@" < /dev/null 3<&- 2>&1 &
command=$!
{ while read -r _; do :; done; kill -KILL $command; } <&3 > /dev/null 2>&1 &
line=$!
status=0
wait $command || status=$?
kill -KILL $line 2> /dev/null
exit $status"#;
