//! A small image with a program, its libraries, a unit, and a name that is nowhere.
#![allow(clippy::unwrap_used)]

use expect_test::{Expect, expect};

use super::*;
use coreos_types::Flavor;
use manifest::stage1_sources::ManifestRef;
use usr::{DlopenPriority, ElfInfo, FileInfo, Node, elf::DlopenNote};

const FILE: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest";

fn image() -> UsrTree {
    let mut tree = UsrTree::new();
    let mut put = |path: &str, kind| tree.insert(UsrPath::new(path).unwrap(), Node { mode: 0o755, kind });
    let elf = |soname: Option<&str>, needed: &[&str]| {
        NodeKind::file(
            1,
            FileInfo::Elf(Box::new(ElfInfo {
                is_64: true,
                machine: 62,
                has_dynamic_section: true,
                soname: soname.map(str::to_owned),
                needed: needed.iter().map(|name| (*name).to_owned()).collect(),
                ..ElfInfo::default()
            })),
        )
    };
    put("bin/login", elf(None, &["libmisc.so.1", "libpam.so.0"]));
    put("bin/lost", NodeKind::Symlink("../sbin/lost".into()));
    put("bin/odd", elf(None, &["libnowhere.so.1"]));
    put("lib64/libmisc.so.1", elf(Some("libmisc.so.1"), &["libpam.so.0"]));
    put("lib64/libpam.so", NodeKind::Symlink("libpam.so.0".into()));
    put("lib64/libpam.so.0", NodeKind::Symlink("libpam.so.0.84.1".into()));
    put("lib64/libpam.so.0.84.1", elf(Some("libpam.so.0"), &[]));
    put(
        "lib64/systemd/system/login.service",
        NodeKind::file(1, FileInfo::Text("[Service]\nExecStart=/usr/bin/login -p\n".into())),
    );
    tree
}

fn sources() -> Stage1Sources {
    let lines = "bin/gone\nbin/login\nbin/odd\nlib64/libmisc.so.1\nlib64/libpam.so.0\nlib64/libpam.so.0.84.1\n\
                 lib64/systemd/system/login.service\n";
    Stage1Sources {
        manifests: [(FILE.to_owned(), lines.as_bytes().to_vec())].into(),
        manifest_refs: vec![ManifestRef {
            board: Board::Amd64,
            flavor: Flavor::from_dir_name("usr_from_coreos").unwrap(),
            directory_entry: FILE.into(),
            file: FILE.into(),
        }],
        ..Stage1Sources::default()
    }
}

fn answer(subject: &str) -> WhyAnswer {
    let image = image();
    answer_why(subject, &sources(), &ImageTrees::from([(Board::Amd64, &image)]))
}

fn check(text: impl ToString, expected: Expect) {
    expected.assert_eq(&text.to_string().replace(FILE, "M"));
}

#[test]
fn soname_lists_transitive_dependents() {
    check(
        render_tree(&answer("libpam.so.0")),
        expect![[r#"
            lib64/libpam.so.0.84.1 (amd64-usr)
            ├── listed
            │   ├── lib64/libpam.so.0 (M:5)
            │   └── lib64/libpam.so.0.84.1 (M:6)
            ├── not listed
            │   └── lib64/libpam.so
            └── needed by
                ├── bin/login: libpam.so.0, the board's directory /usr/lib64
                │   └── lib64/systemd/system/login.service: ExecStart=/usr/bin/login -p
                └── lib64/libmisc.so.1: libpam.so.0, the board's directory /usr/lib64
                    └── bin/login: libmisc.so.1, the board's directory /usr/lib64 (*)
        "#]],
    );
    assert_eq!(render_tree(&answer("libpam.so.0")), render_tree(&answer("/lib64/libpam.so")));
}

#[test]
fn dlopened_libraries_and_started_programs_have_dependents() {
    let mut image = image();
    let note = DlopenNote {
        sonames: vec!["libmount.so.1".into()],
        feature: "mount".into(),
        description: String::new(),
        priority: DlopenPriority::Required,
    };
    let mut put = |path: &str, dlopen: Vec<DlopenNote>| {
        let elf = ElfInfo {
            is_64: true,
            machine: 62,
            has_dynamic_section: true,
            interp: Some("/lib64/ld-linux-x86-64.so.2".into()),
            dlopen_notes: dlopen,
            ..ElfInfo::default()
        };
        let kind = NodeKind::file(1, FileInfo::Elf(Box::new(elf)));
        image.insert(UsrPath::new(path).unwrap(), Node { mode: 0o755, kind });
    };
    put("lib64/systemd/systemd", vec![note]);
    put("lib64/systemd/systemd-executor", Vec::new());
    put("lib64/libmount.so.1", Vec::new());
    let mut sources = sources();
    sources.manifests.get_mut(FILE).unwrap().extend(b"lib64/systemd/systemd\n");
    for subject in ["lib64/libmount.so.1", "systemd-executor"] {
        let answer = answer_why(subject, &sources, &ImageTrees::from([(Board::Amd64, &image)]));
        let text = render_tree(&answer).to_string();
        assert!(text.contains("needed by\n    └── lib64/systemd/systemd: "), "{subject}: {text}");
    }
}

#[test]
fn missing_soname_shows_where_it_was_searched() {
    check(
        render_tree(&answer("libnowhere.so.1")),
        expect![[r#"
            libnowhere.so.1 is not in the amd64-usr image
            ├── searched
            │   ├── /usr/lib64/systemd (LD_LIBRARY_PATH)
            │   ├── /usr/lib64
            │   ├── /usr/lib64/x86_64-linux-gnu
            │   ├── /usr/lib
            │   └── /usr/lib/x86_64-linux-gnu
            └── needed by
                └── bin/odd
        "#]],
    );
}

#[test]
fn unknown_name_is_reported() {
    check(
        render_tree(&answer("libother.so.1")),
        expect![[r#"
            libother.so.1 is not in the amd64-usr image, and no listed file needs it
        "#]],
    );
}

#[test]
fn missing_path_shows_its_line() {
    check(
        render_tree(&answer("/usr/bin/gone")),
        expect![[r#"
            bin/gone (amd64-usr): not in the image
            └── listed
                └── bin/gone (M:1)
        "#]],
    );
    check(
        render_tree(&answer("lost")),
        expect![[r#"
            bin/lost (amd64-usr): points to sbin/lost, which is not in the image
            └── not listed
        "#]],
    );
    assert_eq!(render_tree(&answer("gone")), render_tree(&answer("bin/gone")));
}

#[test]
fn graphs() {
    check(
        dot(&answer("libmisc.so.1")),
        expect![[r#"
            digraph why {
              rankdir=LR;
              node [shape=box, fontname=monospace];
              "amd64-usr: lib64/libmisc.so.1" [label="lib64/libmisc.so.1", style=bold];
              "amd64-usr: lib64/systemd/system/login.service" [label="lib64/systemd/system/login.service"];
              "amd64-usr: lib64/systemd/system/login.service" -> "amd64-usr: bin/login" [label="ExecStart=/usr/bin/login -p"];
              "amd64-usr: bin/login" [label="bin/login"];
              "amd64-usr: bin/login" -> "amd64-usr: lib64/libmisc.so.1" [label="libmisc.so.1\nthe board's directory /usr/lib64"];
            }
        "#]],
    );
    check(
        mermaid(&answer("libmisc.so.1")),
        expect![[r#"
        flowchart LR
          b0n0["lib64/libmisc.so.1"]
          b0n1["lib64/systemd/system/login.service"] -->|"ExecStart=/usr/bin/login -p"| b0n2["bin/login"]
          b0n2["bin/login"] -->|"libmisc.so.1"| b0n0["lib64/libmisc.so.1"]
    "#]],
    );
}

#[test]
fn markup_in_a_name_is_escaped_for_mermaid() {
    let path = UsrPath::new("bin/<b>#\"`").unwrap();
    let absent = AbsentPath { how: String::new(), listed: Vec::new() };
    let mut answer = answer("bin/login");
    answer.boards[0].absent.insert(path, absent);
    assert!(mermaid(&answer).contains("[\"bin/#60;b#62;#35;#34;#96;\"]"), "{}", mermaid(&answer));
}

#[test]
fn json_document_has_every_key() {
    check(
        format!("{:#}", to_json(&answer("bin/login"))),
        expect![[r#"
            {
              "boards": [
                {
                  "absent": [],
                  "board": "amd64-usr",
                  "missing": null,
                  "names": [
                    {
                      "listed": [
                        {
                          "file": "M",
                          "line": 2
                        }
                      ],
                      "path": "bin/login"
                    }
                  ],
                  "needs": [
                    {
                      "from": "lib64/systemd/system/login.service",
                      "how": "",
                      "listed": [
                        {
                          "file": "M",
                          "line": 7
                        }
                      ],
                      "name": "ExecStart=/usr/bin/login -p",
                      "to": "bin/login"
                    }
                  ],
                  "paths": [
                    "bin/login"
                  ]
                }
              ],
              "subject": "bin/login"
            }"#]],
    );
}
