//! Tables of units, drop-ins and scripts, and the paths of their programs.
#![allow(clippy::unwrap_used)]

use super::*;
use usr::Node;

/// The programs of files, `path: text`, `path -> target` for a symlink; each as `referrer: candidates`.
fn references(files: &[&str]) -> Vec<String> {
    let mut nodes = Vec::new();
    let mut paths = BTreeSet::new();
    for file in files {
        let (path, kind) = match (file.split_once(" -> "), file.split_once(": ")) {
            (Some((path, target)), _) => (path, NodeKind::Symlink(target.to_owned())),
            (None, Some((path, text))) => {
                let info = usr::file_info::inspect(&UsrPath::new(path).unwrap(), text.as_bytes());
                (path, NodeKind::file(text.len() as u64, info))
            }
            (None, None) => (*file, NodeKind::file(1, FileInfo::Other)),
        };
        nodes.push((UsrPath::new(path).unwrap(), Node { mode: 0o755, kind }));
        paths.insert(UsrPath::new(path).unwrap());
    }
    let show = |reference: ExecReference| {
        let paths: Vec<&str> = reference.candidates.iter().map(UsrPath::as_str).collect();
        format!("{}: {}", reference.referrer.name(), paths.join(" "))
    };
    find_exec_references(&UsrTree::from_nodes(nodes), &paths).into_iter().map(show).collect()
}

const UNIT: &str = "lib/systemd/system/a@.service: [Service]\nExecStart=/usr/bin/old\n";

#[test]
fn drop_ins_apply_in_their_order() {
    let reset = "[Service]\nExecStart=\nExecStart=/usr/bin/new\n";
    for (files, expected) in [
        (&[][..], &["a@.service: bin/old"][..]),
        (&[format!("a@.service.d/1.conf: {reset}")], &["1.conf: bin/new"]),
        (&[format!("service.d/1.conf: {reset}")], &["1.conf: bin/new"]),
        (
            &[
                format!("a@.service.d/1.conf: {reset}"),
                "a@.service.d/2.conf: [Service]\nExecStart=/bin/b\n".into(),
            ],
            &["1.conf: bin/new", "2.conf: bin/b"],
        ),
        // A more specific directory hides a drop-in of the same name.
        (
            &[
                format!("service.d/1.conf: {reset}"),
                "a@.service.d/1.conf: [Service]\nExecStart=/bin/b\n".into(),
            ],
            &["1.conf: bin/b", "a@.service: bin/old"],
        ),
        (
            &[format!("service.d/1.conf: {reset}"), "a@.service.d/1.conf -> /dev/null".into()],
            &["a@.service: bin/old"],
        ),
        // One instance has it, others do not.
        (&[format!("a@x.service.d/1.conf: {reset}")], &["a@.service: bin/old", "1.conf: bin/new"]),
        (
            &[format!("alias@.service.d/1.conf: {reset}"), "alias@.service -> a@.service".into()],
            &["1.conf: bin/new"],
        ),
        // It resets what a drop-in of the alias adds.
        (
            &[
                "alias@.service.d/1.conf: [Service]\nExecStart=/bin/b\n".into(),
                "alias@.service -> a@.service".into(),
                format!("a@.service.d/2.conf: {reset}"),
            ],
            &["2.conf: bin/new"],
        ),
        // An enabled instance is not an alias.
        (
            &[format!("a@x.service.d/1.conf: {reset}"), "a@x.service -> a@.service".into()],
            &["a@.service: bin/old", "1.conf: bin/new"],
        ),
        // The unit of this drop-in is not listed.
        (&[format!("b.service.d/1.conf: {reset}")], &["a@.service: bin/old", "1.conf: bin/new"]),
        (&[format!("a@.service.d/readme: {reset}")], &["a@.service: bin/old"]),
    ] {
        let files: Vec<String> = files.iter().map(|file| format!("lib/systemd/system/{file}")).collect();
        let mut all = vec![UNIT];
        all.extend(files.iter().map(String::as_str));
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        let mut found = references(&all);
        found.sort();
        assert_eq!(found, expected, "{files:?}");
    }
    let prefixed = [
        "lib/systemd/system/a-b-c.service: [Service]\nExecStart=/bin/old\n",
        "lib/systemd/system/a-.service.d/1.conf: [Service]\nExecStart=\n",
    ];
    assert_eq!(references(&prefixed), [""; 0]);
    let user = [UNIT, "lib/systemd/user/a@.service.d/1.conf: [Service]\nExecStart=\n"];
    assert_eq!(references(&user), ["a@.service: bin/old"]);
}

#[test]
fn masked_unit_starts_nothing() {
    let drop_in = "[Service]\nExecStart=/bin/b\n";
    for (files, expected) in [
        (&["a.service -> /dev/null", "a.service.d/1.conf: DROP_IN"][..], &[""; 0][..]),
        (&["a.service -> ../../../../dev/null", "a.service.d/1.conf: DROP_IN"], &[]),
        (&["a.service: ", "a.service.d/1.conf: DROP_IN"], &[]),
        (&["a@.service -> /dev/null", "a@x.service.d/1.conf: DROP_IN"], &[]),
        (&["a@.service -> /dev/null", "a@x.service: DROP_IN"], &["a@x.service: bin/b"]),
        (&["a.service -> /etc/a.service", "a.service.d/1.conf: DROP_IN"], &["1.conf: bin/b"]),
    ] {
        let files: Vec<String> = files
            .iter()
            .map(|file| format!("lib/systemd/system/{}", file.replace("DROP_IN", drop_in)))
            .collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        assert_eq!(references(&files), expected, "{files:?}");
    }
}

#[test]
fn unit_can_be_a_symlink_to_another_directory() {
    let files = [
        "lib/systemd/system/a.service -> ../../acme/acme.service",
        "lib/acme/acme.service: [Service]\nExecStart=/bin/a\n",
        "lib/systemd/system/a.service.d/1.conf: [Service]\nExecStartPre=/bin/b\n",
    ];
    assert_eq!(references(&files), ["acme.service: bin/a", "1.conf: bin/b"]);
    assert_eq!(references(&files[1..2]), [""; 0]);
}

#[test]
fn copy_outside_of_the_unit_directories_is_not_a_unit() {
    for (directory, is_read) in [
        ("local/lib/systemd/system", true),
        ("local/share/systemd/user", true),
        ("share/systemd/user", true),
        ("share/systemd/system", false),
        ("share/doc/systemd/examples/systemd/system", false),
    ] {
        let found = references(&[&UNIT.replace("lib/systemd/system", directory)]);
        assert_eq!(found.len(), usize::from(is_read), "{directory}");
    }
}

#[test]
fn names_are_searched_in_their_directories() {
    let unit = |text: &str| format!("lib/systemd/system/a.service: [Service]\n{text}\n");
    for (file, expected) in [
        (unit("ExecStart=x"), "a.service: bin/x sbin/x local/bin/x local/sbin/x"),
        (unit("ExecSearchPath=/usr/libexec/acme:/usr/bin\nExecStart=x"), "a.service: libexec/acme/x bin/x"),
        (unit("ExecStart=/opt/x"), "a.service: "),
        ("bin/s: #!/usr/bin/env -S PATH=/usr/libexec x\n".to_owned(), "s: bin/env s: libexec/x"),
        ("bin/s: #!bin/sh\n".to_owned(), "s: bin/sh"),
    ] {
        assert_eq!(references(&[&file]).join(" "), expected, "{file}");
    }
}

/// Each of the units has each of the drop-ins.
#[test]
fn many_units_and_drop_ins_are_bounded() {
    let names = |number: u32| [format!("u{number}.service"), format!("service.d/{number}.conf -> /dev/null")];
    let names: Vec<String> = (0..20_000).flat_map(names).collect();
    let files: Vec<String> = names.iter().map(|name| format!("lib/systemd/system/{name}")).collect();
    assert_eq!(references(&files.iter().map(String::as_str).collect::<Vec<_>>()), [""; 0]);
}
