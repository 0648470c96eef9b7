#![allow(clippy::unwrap_used)]

use expect_test::expect;

use super::{parse, print};
use crate::usr::elf::{DlopenNote, DlopenPriority, ElfInfo, VersionNeed};
use crate::usr::facts::Facts;
use crate::usr::path::UsrPath;
use crate::usr::tree::{Kind, Node, UsrTree};

fn tree() -> UsrTree {
    let elf = ElfInfo {
        is_64: true,
        machine: 62,
        interp: Some("/lib64/ld-linux-x86-64.so.2".into()),
        soname: Some("libodd\tname.so".into()),
        needed: vec!["libc.so.6".into(), "libpam.so.0".into()],
        rpath: vec!["$ORIGIN".into()],
        runpath: vec!["/usr/lib/systemd".into(), String::new()],
        version_needs: vec![VersionNeed {
            library: "libc.so.6".into(),
            version: "GLIBC_2.4".into(),
            weak: true,
        }],
        version_defs: vec!["SD_SHARED".into()],
        dlopen: vec![DlopenNote {
            sonames: vec!["libbpf.so.1".into(), "libbpf.so.0".into()],
            feature: "bpf".into(),
            description: "with a\nline end".into(),
            priority: DlopenPriority::Suggested,
        }],
        dynamic: true,
        no_default_dirs: true,
        system_dirs: vec!["/lib64/".into()],
        systemd_version: Some("229".into()),
        ..ElfInfo::default()
    };
    let mut tree = UsrTree::new();
    for (path, mode, kind) in [
        ("bin/sh", 0o4755, Kind::File { size: 7, facts: Facts::Elf(Box::new(elf)) }),
        ("bin/run", 0o755, Kind::File { size: 9, facts: Facts::Script("/bin/sh".into()) }),
        (
            "lib/os-release",
            0o644,
            Kind::File { size: 10, facts: Facts::Text("ID=coreos\nX=\\\t\r\n".into()) },
        ),
        ("lib/bad", 0o644, Kind::File { size: 4, facts: Facts::Broken("cut".into()) }),
        ("lib/data", 0o644, Kind::File { size: 4, facts: Facts::Plain }),
        ("lib/unread", 0o644, Kind::File { size: u64::MAX, facts: Facts::Unread }),
        ("lib-x", 0o777, Kind::Symlink("lib\\x".into())),
        ("dev/null", 0o666, Kind::Special),
    ] {
        tree.insert(UsrPath::new(path).unwrap(), Node { mode, kind });
    }
    tree
}

#[test]
fn a_tree_survives_its_text_form() {
    let text = print(&tree());
    expect![[r#"
        dir	755	bin
        file	755	9	bin/run
        	script	/bin/sh
        file	4755	7	bin/sh
        	elf	64	little	62	dynamic	nodeflib
        	interp	/lib64/ld-linux-x86-64.so.2
        	soname	libodd\tname.so
        	systemd	229
        	needed	libc.so.6
        	needed	libpam.so.0
        	rpath	$ORIGIN
        	runpath	/usr/lib/systemd
        	runpath	
        	version	SD_SHARED
        	system-dir	/lib64/
        	needs	weak	libc.so.6	GLIBC_2.4
        	dlopen	suggested	bpf	with a\nline end	libbpf.so.1	libbpf.so.0
        dir	755	dev
        special	666	dev/null
        dir	755	lib
        link	777	lib-x	lib\\x
        file	644	4	lib/bad
        	broken	cut
        file	644	4	lib/data
        	plain
        file	644	10	lib/os-release
        	text	ID=coreos\nX=\\\t\r\n
        file	644	18446744073709551615	lib/unread
    "#]].assert_eq(&text);
    assert_eq!(parse(&text), Ok(tree()));
    assert_eq!(parse(""), Ok(UsrTree::new()));
}

#[test]
fn texts_that_are_no_tree() {
    for text in [
        "dir\t755",
        "dir\t99999\tx",
        "dir\t755\t../x",
        "dir\t755\tx/",
        "dir\t755\tx\textra",
        "file\t755\tx",
        "file\t755\t-1\tx",
        "link\t777\tx",
        "\tplain",
        "dir\t755\tx\n\tplain",
        "file\t755\t1\tx\n\telf\t64\tlittle\tmany",
        "file\t755\t1\tx\n\tplain\n\tplain",
        "file\t755\t1\tx\n\tscript\t\\x",
        "dir\t755\tx\ndir\t755\tx",
        "file\t755\t1\tx/y",
        "file\t755\t1\tx\nfile\t755\t1\tx/y",
    ] {
        assert!(parse(text).is_err(), "{text:?}");
    }
}

/// Cuts and bends a text in many places: whatever comes out, it is an answer and no panic.
#[test]
fn broken_texts_never_panic() {
    let text = print(&tree());
    for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
        let _ = parse(&text[..at]);
        let bent = format!("{}\t{}", &text[..at], &text[at..]);
        assert!(parse(&bent).is_err() || parse(&bent) != Ok(tree()), "{at}");
    }
}
