//! Programs that other programs start: a table, because no ELF header, unit or script of an image declares them.

use super::path::UsrPath;

/// One program that starts another.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownExec {
    /// The end of the path of the program that starts the other.
    pub starter: &'static str,
    /// The file name of the program that is started.
    pub program: &'static str,
    /// Whether the starter requires the program; otherwise it starts the program only on request.
    pub is_required: bool,
    /// The source that documents it.
    pub source: &'static str,
}

const fn required(starter: &'static str, program: &'static str, source: &'static str) -> KnownExec {
    KnownExec { starter, program, is_required: true, source }
}

const fn on_request(starter: &'static str, program: &'static str, source: &'static str) -> KnownExec {
    KnownExec { starter, program, is_required: false, source }
}

/// The known programs. A row applies only to images that have the program: older releases work without it.
const KNOWN_EXECS: &[KnownExec] = &[
    required(
        "systemd/systemd",
        "systemd-executor",
        "systemd src/core/executor, from v255 on every service is started through it",
    ),
    required("sshd", "sshd-session", "OpenSSH 9.8 release notes: sshd starts it for each connection"),
    required("sshd", "sshd-auth", "OpenSSH 10.0 release notes: it authenticates each connection"),
    required("sshd-session", "sshd-auth", "OpenSSH 10.0 release notes: it authenticates each connection"),
    required("systemd-userdbd", "systemd-userwork", "systemd src/userdb/userdbd-manager.c"),
    required(
        "systemd-nsresourced",
        "systemd-nsresourcework",
        "systemd src/nsresourced/nsresourced-manager.c",
    ),
    required("systemd-mountfsd", "systemd-mountwork", "systemd src/mountfsd/mountfsd-manager.c"),
    on_request("systemd-homed", "systemd-homework", "systemd src/home/homed-home.c"),
    on_request("systemd-importd", "systemd-pull", "systemd src/import/importd.c"),
    on_request("dbus-daemon", "dbus-daemon-launch-helper", "dbus bus/activation.c"),
    on_request("agetty", "login", "util-linux term-utils/agetty.c"),
];

/// The programs that the one at this path starts.
pub fn known_execs(path: &UsrPath) -> impl Iterator<Item = &'static KnownExec> {
    KNOWN_EXECS.iter().filter(|row| {
        let directory = path.as_str().strip_suffix(row.starter);
        directory.is_some_and(|directory| directory.is_empty() || directory.ends_with('/'))
    })
}
