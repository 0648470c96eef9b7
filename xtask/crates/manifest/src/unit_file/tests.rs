//! Tables of unit texts and the programs that they start.
#![allow(clippy::unwrap_used)]

use super::*;

fn programs(unit: &str, fragments: &[&str], systemd: Option<u32>) -> String {
    let path = UsrPath::new("lib/systemd/system/x").unwrap();
    let fragments = fragments.iter().map(|text| (&path, *text));
    let found = parse_commands(unit, fragments, systemd.map(SystemdVersion));
    let show = |command: UnitCommand<'_>| {
        let mark = if command.may_fail { "-" } else { "" };
        let path = command.search_path.join(":");
        format!("{mark}{}{}{path}", command.program, if path.is_empty() { "" } else { "@" })
    };
    found.into_iter().map(show).collect::<Vec<_>>().join(" ")
}

#[test]
fn command_keys_by_unit_type_and_section() {
    let all = [
        "Condition",
        "StartPre",
        "Start",
        "StartPost",
        "Reload",
        "ReloadPost",
        "Stop",
        "StopPre",
        "StopPost",
    ]
    .map(|key| format!("Exec{key}=/{key}\n"))
    .concat();
    for (unit, section, systemd, expected) in [
        ("a.service", "Service", 252, "/Condition /Reload /Start /StartPost /StartPre /Stop /StopPost"),
        (
            "a@b.service",
            "Service",
            259,
            "/Condition /Reload /ReloadPost /Start /StartPost /StartPre /Stop /StopPost",
        ),
        ("a.socket", "Socket", 252, "/StartPost /StartPre /StopPost /StopPre"),
        ("a.service", "X-Service", 252, ""),
        ("a.service", "Unit", 252, ""),
        ("a.socket", "Service", 252, ""),
        ("a.mount", "Mount", 252, ""),
    ] {
        assert_eq!(
            programs(unit, &[&format!("[{section}]\n{all}")], Some(systemd)),
            expected,
            "{unit} {section}"
        );
    }
    assert_eq!(
        programs("a.service", &["[Service]\nExecPaths=/a\nNoExecPaths=/\nExecSearchPath=/b\n"], None),
        ""
    );
}

#[test]
fn lines_are_joined_as_systemd_syntax_says() {
    for (text, expected) in [
        ("ExecStart=\\\n /a \\\n -x\n", "/a"),
        ("Environment=a \\\nExecStart=/no\nExecStart=/b\n", "/b"),
        ("# comment \\\nExecStart=/a\n", "/a"),
        ("; comment \\\nExecStart=/a\n", "/a"),
        ("ExecStart=/a \\\n# in between\n; too \\\n  ; /b\n", "/a"),
        ("ExecStart=/a \\\n# in between\n b ; /b\n", "/a /b"),
        ("ExecStart=/a \\\\\nExecStop=/b\n", "/a /b"),
        ("ExecStart=/a \\\r\n ; /b\r\n", "/a"),
        ("ExecStart=/a \\\r\n x ; /b\r\n", "/a /b"),
        ("  ExecStart = /a  \n", "/a"),
        ("ExecStart=/a\\", "/a"),
        ("[Install]\nExecStart=/a\n[Service]\nExecStop=/b\n", "/b"),
        ("execstart=/a\n", ""),
    ] {
        assert_eq!(programs("a.service", &[&format!("[Service]\n{text}")], None), expected, "{text:?}");
    }
    assert_eq!(programs("a.service", &["\u{feff}[Service]\nExecStart=/a\n"], None), "/a");
    assert_eq!(programs("a.service", &["ExecStart=/outside\n"], None), "");
}

#[test]
fn command_line_is_split_as_by_systemd() {
    for (value, expected) in [
        ("/a ; /b", "/a /b"),
        ("/a x ; -/b y", "/a -/b"),
        ("/a ';' /b", "/a"),
        ("/a \\; /b", "/a"),
        ("/a;/b", "/a;/b"),
        ("/a x;y ; /b", "/a /b"),
        ("; /a", "/a"),
        ("'/a b' c", "/a b"),
        ("\"/a b\" c", "/a b"),
        ("\"-/a\" c", "-/a"),
        ("/a\\x20b c", "/a b"),
        ("/a\\x+fb", "/a\\x+fb"),
        ("/a\\sb", "/a b"),
        ("/a\\040b", "/a b"),
        ("'/a", ""),
        ("-@/a argv0 ; +!/b", "-/a /b"),
        (":/a $X", "/a"),
        ("!!/a", "/a"),
        ("|/a b", "/a"),
        ("|cd /", ""),
        ("/usr/%p ; /b", "/b"),
        ("/usr/%%p", "/usr/%p"),
        ("$PROGRAM x", ""),
        ("/a/", ""),
        ("name x", "name"),
        ("bin/a x", ""),
        ("~/a", ""),
        ("/usr/bin/env a -x", "/usr/bin/env a"),
        ("-env -u X -C / B=1 /a ; /b", "-env -/a /b"),
        ("/usr/bin/env", "/usr/bin/env"),
        ("/usr/bin/env A=1", "/usr/bin/env"),
        ("/usr/bin/env $X", "/usr/bin/env"),
        ("/usr/bin/env %i", "/usr/bin/env"),
        ("/usr/bin/env PATH=/x a", "/usr/bin/env"),
        ("@/usr/bin/env a b", "/usr/bin/env"),
        ("/usr/bin/env -S 'a b'", "/usr/bin/env"),
        ("/usr/bin/env -S'a b'", "/usr/bin/env"),
    ] {
        let text = format!("[Service]\nExecStart={value}\n");
        assert_eq!(programs("a.service", &[&text], None), expected, "{value}");
    }
}

#[test]
fn empty_assignment_resets_across_fragments() {
    let unit = "[Service]\nExecStartPre=/pre\nExecStart=/old\n";
    for (fragments, expected) in [
        (&[unit, "[Service]\nExecStart=\nExecStart=/new\n"][..], "/new /pre"),
        (&[unit, "[Service]\nExecStart=/new\n"], "/old /new /pre"),
        (&[unit, "[Service]\nExecStart=\n", "[Service]\nExecStart=/b\n"], "/b /pre"),
        (&[unit, "[X-Other]\nExecStart=\n"], "/old /pre"),
        (&[unit, "[Service]\nExecSearchPath=/x:/y\n"], "/old@/x:/y /pre@/x:/y"),
        (&[unit, "[Service]\nExecSearchPath=/x\nExecSearchPath=\nExecSearchPath=/z\n"], "/old@/z /pre@/z"),
        (&[unit, "[Service]\nRootDirectory=/srv\n"], ""),
        (&[unit, "[Service]\nRootDirectory=/srv\nRootDirectory=\n"], "/old /pre"),
    ] {
        assert_eq!(programs("a.service", fragments, None), expected, "{fragments:?}");
    }
}
