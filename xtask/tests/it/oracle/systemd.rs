//! Comparison with systemd-analyze(1) for units and drop-ins, and with env(1) for interpreter lines of scripts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use coreos_types::SystemdVersion;
use manifest::{shebang, unit_file};
use usr::UsrPath;

use crate::chance::Chance;

const SERVICE_KEYS: [&str; 7] =
    ["ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost"];
const SOCKET_KEYS: [&str; 4] = ["ExecStartPre", "ExecStartPost", "ExecStopPre", "ExecStopPost"];
/// The version of the installed systemd, which does not support `ExecReloadPost=` yet.
const SYSTEMD: SystemdVersion = SystemdVersion(252);

/// Missing programs of the first command of each setting; systemd-analyze checks no other command.
fn list_with_systemd(directory: &Path, unit: &str) -> Vec<String> {
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(directory.join(unit))
        .env("SYSTEMD_UNIT_PATH", format!("{}:", directory.display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let program =
        |line: &str| Some(line.split_once(": Command ")?.1.split_once(" is not executable")?.0.to_owned());
    let mut found: Vec<String> = text.lines().filter_map(program).collect();
    assert!(
        !text.contains("fatal error") && !text.contains("Failed to load") && !text.contains("bad unit file"),
        "{text}"
    );
    found.sort();
    found
}

fn list_missing(unit: &str, fragments: &[String]) -> Vec<String> {
    let path = UsrPath::new("x").unwrap();
    let texts = fragments.iter().map(|text| (&path, text.as_str()));
    let mut first: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for command in unit_file::parse_commands(unit, texts, Some(SYSTEMD)) {
        let key = command.directive.split('=').next().unwrap_or_default().trim().to_owned();
        first.entry(key).or_insert((command.program, command.may_fail));
    }
    let mut found: Vec<String> =
        first.into_values().filter(|(_, may_fail)| !may_fail).map(|(program, _)| program).collect();
    found.sort();
    found
}

/// Random lines of a unit; each program has a unique name.
fn fragment(chance: &mut Chance, keys: &[&str], section: &str, number: usize) -> String {
    let mut text = format!("{}[{section}]\n", chance.one_of(&["", "", "\u{feff}", "# x \\\n"]));
    for line in 0..3 + chance.below(5) {
        let key = chance.one_of(keys);
        let program = |suffix: &str| format!("/no/{number}-{line}{suffix}");
        let command = match chance.below(14) {
            0 => String::new(),
            1 => format!("{} ; {}", program("a"), program("b")),
            2 => format!("'{}' 'x;' ; {}", program(" a"), program("b")),
            3 => format!("\"{}\" \\; ; {}", program(" a"), program("b")),
            4 => format!("\\\n  {} \\\n  -x", program("")),
            5 => format!("\\\r\n# comment \\\n  ; another\n {}", program("")),
            6 => format!("-{}", program("")),
            7 => format!("@{} argv0", program("")),
            8 => format!("+:{} \\\\", program("")),
            9 => format!("{}\\x20y\\sz", program("")),
            10 => format!("no-{number}-{line} x"),
            11 => format!("; {}", program("")),
            12 => format!("{}%%", program("")),
            _ => program(""),
        };
        let blank = chance.one_of(&["", "", " ", "\t"]);
        text += &format!("{blank}{key}{blank}={blank}{command}{blank}\n");
        text += chance.one_of(&[
            "",
            "",
            "# ExecStart=/no/comment \\\n",
            "; ExecStart=/no/comment\n",
            "Environment=A=\\\nExecStart=/no/continued\n",
            "ExecPaths=/no/paths\nNoExecPaths=/no/paths\n",
            "[X-Extra]\nExecStart=/no/extra\n[Unit]\nExecStart=/no/unit\n",
            "ExecReloadPost=/no/later\n",
            "execstart=/no/lower\n",
        ]);
        if text.ends_with("/no/unit\n") {
            text += &format!("[{section}]\n");
        }
    }
    text
}

#[test]
#[ignore = "needs systemd-analyze of systemd 252"]
fn unit_commands_match_systemd_analyze() {
    let mut chance = Chance::new(6);
    for number in 0..150 {
        let home = tempfile::tempdir().unwrap();
        let (unit, keys, section, needed) = match chance.below(4) {
            0 => ("case.socket", &SOCKET_KEYS[..], "Socket", "ListenStream=/x\n"),
            _ => (
                "case.service",
                &SERVICE_KEYS[..],
                "Service",
                "Type=oneshot\nRemainAfterExit=yes\nExecStop=/no/end\n",
            ),
        };
        let mut fragments = vec![fragment(&mut chance, keys, section, 0)];
        for at in 1..=chance.below(3) {
            fragments.push(fragment(&mut chance, keys, section, at));
        }
        fragments.push(format!("[{section}]\n{needed}"));
        fs::create_dir(home.path().join(format!("{unit}.d"))).unwrap();
        fs::write(home.path().join("case.service"), "[Service]\nExecStart=/bin/true\n").unwrap();
        fs::write(home.path().join(unit), &fragments[0]).unwrap();
        for (at, text) in fragments.iter().enumerate().skip(1) {
            fs::write(home.path().join(format!("{unit}.d/{at}.conf")), text).unwrap();
        }
        assert_eq!(
            list_missing(unit, &fragments),
            list_with_systemd(home.path(), unit),
            "{number} {unit}:\n{}",
            fragments.join("---\n")
        );
    }
}

/// Each program is a script that prints its name, so the output shows which one the kernel and env start.
#[test]
#[ignore = "needs env of coreutils"]
fn script_interpreter_matches_kernel_and_env() {
    let home = tempfile::tempdir().unwrap();
    let script = |name: &str, line: &str| {
        let path = home.path().join(name);
        fs::write(&path, format!("#!{line}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    for name in ["fred", "fred -u", "my tool", "fred\r", "ab"] {
        fs::write(home.path().join(name), format!("#!/bin/sh\necho '{name}'\n")).unwrap();
        fs::set_permissions(home.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for arguments in [
        "fred",
        "fred -u",
        "fred\r",
        "-S fred -u",
        "-S fred -u\r",
        "-Sfred",
        "-vS fred",
        "--split-string=fred -u",
        "-S A=1 B=2 fred C=3",
        "-S -u NAME -C / --unset=X --chdir / -- fred",
        "-S -uNAME fred",
        "-S \"my tool\" x",
        "-S my\\_tool",
        "-S 'a'b # c",
        "-S \"my\\_tool\"",
        "-S -i PATH=PLACE fred",
        "-S fred\\c ab",
    ] {
        let arguments = arguments.replace("PLACE", &home.path().display().to_string());
        let started = Command::new(script("script", &format!("/usr/bin/env {arguments}")))
            .env("PATH", format!("{}:/usr/bin:/bin", home.path().display()))
            .output()
            .unwrap();
        let actual = shebang::interpreters(&format!("/usr/bin/env {arguments}"));
        let actual = actual.get(1).map_or(String::new(), |found| found.program.clone());
        let printed = String::from_utf8_lossy(&started.stdout).trim_end_matches('\n').to_owned();
        let missing = String::from_utf8_lossy(&started.stderr).contains("No such file");
        assert!(
            printed == actual || missing && !home.path().join(&actual).exists(),
            "{arguments:?}: {actual:?} {started:?}"
        );
    }
}
