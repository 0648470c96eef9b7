//! The files that are put over a root filesystem for its boot: the unit of an app, and settings of the journal.

use coreos_types::SystemdVersion;

/// The arguments of systemd, which it also reads from a kernel's command line: the app's unit instead of the default
/// target.
pub(crate) const SYSTEMD_ARGUMENTS: &str = "systemd.unit=xtask-smoketest.service systemd.log_target=console \
    systemd.log_color=no systemd.show_status=no";

/// The marker that the app must print.
pub(crate) fn marker(nonce: &str) -> String {
    format!("smoketest-42-{nonce}")
}

/// The shell command that prints the marker. No file contains the marker: the shell of the app computes it.
pub(crate) fn app_command(nonce: &str) -> String {
    format!("echo smoketest-$((6 * 7))-{nonce}")
}

/// Path below the root, and content. A bash of the root filesystem prints the marker to the journal, which forwards
/// it to the console; then the machine powers off.
///
/// The marker passes through journald alone: a stage1 without a working journald prints nothing.
pub(crate) fn overlay_files(
    systemd: Option<SystemdVersion>,
    nonce: &str,
    shell: &str,
    has_journalctl: bool,
) -> Vec<(&'static str, String)> {
    let app = include_str!("xtask-smoketest.service");
    let mut app = app.replace("@SHELL@", shell).replace("@COMMAND@", &app_command(nonce).replace('$', "$$"));
    if has_journalctl {
        // The journal is flushed to the console before the machine powers off.
        app.push_str("ExecStart=-/usr/bin/journalctl --sync\n");
    }
    if systemd.is_some_and(|version| version.0 < SUCCESS_ACTION_SINCE) {
        app.push_str("ExecStopPost=-/usr/bin/systemctl --force --force poweroff\n");
    }
    vec![
        ("etc/systemd/system/xtask-smoketest.service", app),
        (
            "etc/systemd/journald.conf",
            "[Journal]\nStorage=volatile\nForwardToConsole=yes\nMaxLevelConsole=debug\n".to_owned(),
        ),
        // systemd-nspawn requires an os-release file.
        ("etc/os-release", "ID=stage1\nNAME=stage1\n".to_owned()),
        ("etc/machine-id", format!("{:0>32}\n", "5e40")),
        ("etc/passwd", "root:x:0:0:root:/:/usr/bin/bash\n".to_owned()),
        ("etc/group", "root:x:0:\n".to_owned()),
    ]
}

/// The first version of systemd with `SuccessAction=` (NEWS of 236).
const SUCCESS_ACTION_SINCE: u32 = 236;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_is_in_no_file() {
        for (path, text) in overlay_files(Some(SystemdVersion(252)), "abc", "bin/bash", true) {
            assert!(!text.contains(&marker("abc")), "{path}");
        }
    }

    #[test]
    fn old_systemd_powers_off_by_systemctl() {
        let unit =
            |version| overlay_files(Some(SystemdVersion(version)), "abc", "bin/bash", false).swap_remove(0).1;
        assert!(unit(229).contains("ExecStopPost=-/usr/bin/systemctl --force --force poweroff"));
        assert!(!unit(252).contains("ExecStopPost") && !unit(252).contains("journalctl"));
    }
}
