//! Tables of units, drop-ins and scripts, and the paths of their programs.
#![allow(clippy::unwrap_used)]

use super::*;
use usr::Node;

/// The programs of files, `path: text`, `path -> target` for a symlink; each as `referrer: candidates`.
fn references(files: &[&str]) -> Vec<String> {
    let mut tree = UsrTree::new();
    let mut paths = BTreeSet::new();
    for file in files {
        let (path, kind) = match (file.split_once(" -> "), file.split_once(": ")) {
            (Some((path, target)), _) => (path, NodeKind::Symlink(target.to_owned())),
            (None, Some((path, text))) => {
                let path_ = UsrPath::new(path).unwrap();
                (path, NodeKind::file(1, usr::file_info::inspect(&path_, text.as_bytes())))
            }
            (None, None) => (*file, NodeKind::file(1, FileInfo::Other)),
        };
        tree.insert(UsrPath::new(path).unwrap(), Node { mode: 0o755, kind });
        paths.insert(UsrPath::new(path).unwrap());
    }
    let show = |reference: ExecReference| {
        let paths: Vec<&str> = reference.candidates.iter().map(UsrPath::as_str).collect();
        format!("{}: {}", reference.referrer.name(), paths.join(" "))
    };
    find_exec_references(&tree, &paths).into_iter().map(show).collect()
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
