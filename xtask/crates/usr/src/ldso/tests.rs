#![allow(clippy::unwrap_used)]

mod glibc;
mod unrealistic_images;

use std::collections::BTreeSet;

use super::{DynamicLoader, LoadResult};
use crate::elf::{ElfInfo, Filtee, FilterKind, VersionNeed};
use crate::file_info::FileInfo;
use crate::path::UsrPath;
use crate::tree::{Node, NodeKind, UsrTree};
use coreos_types::Board;

/// An image a line a node: `PATH -> TARGET`, or `PATH elf KEY=VALUE…` with the keys `needed`, `soname`, `rpath`,
/// `runpath`, `filter`, `auxiliary`, `interp`, `dirs`, `needs` (`LIBRARY:VERSION`, `?` behind a weak one), `defs`,
/// `machine`, `bits`, `order`, `type`, `dynamic`, `hwcaps`, lists split at commas; or `PATH plain`. A mode may follow the
/// path: `bin/su:4755`.
fn image(text: &str) -> UsrTree {
    let mut nodes = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (path, rest) = line.split_once(' ').unwrap();
        let kind = match rest.split_once(' ').unwrap_or((rest, "")) {
            ("->", target) => NodeKind::Symlink(target.to_owned()),
            ("elf", keys) => NodeKind::file(1, FileInfo::Elf(Box::new(elf(keys)))),
            ("plain", _) => NodeKind::file(1, FileInfo::Other),
            ("broken", _) => NodeKind::file(1, FileInfo::MalformedElf("it is cut off".to_owned())),
            ("text", text) => NodeKind::file(1, FileInfo::Text(text.replace('|', "\n"))),
            _ => panic!("{line}"),
        };
        let (path, mode) = path.split_once(':').unwrap_or((path, "755"));
        let mode = u16::from_str_radix(mode, 8).unwrap();
        nodes.push((UsrPath::new(path).unwrap(), Node { mode, kind }));
    }
    UsrTree::from_nodes(nodes)
}

fn elf(keys: &str) -> ElfInfo {
    let mut info = ElfInfo { is_64: true, machine: 62, has_dynamic_section: true, ..ElfInfo::default() };
    for (key, value) in keys.split_whitespace().map(|word| word.split_once('=').unwrap()) {
        let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
        match key {
            "needed" => info.needed = list(),
            "soname" => info.soname = Some(value.to_owned()),
            "interp" => info.interp = Some(value.to_owned()),
            "rpath" => info.rpath = list(),
            "runpath" => info.runpath = Some(list().into_iter().filter(|dir| !dir.is_empty()).collect()),
            "filter" | "auxiliary" => {
                let kind = if key == "filter" { FilterKind::Filter } else { FilterKind::Auxiliary };
                let position = info.needed.len();
                info.filters.extend(list().into_iter().map(|name| Filtee { name, kind, position }));
            }
            "hwcaps" => info.searches_legacy_hwcaps = value == "legacy",
            "order" => info.big_endian = value == "big",
            "type" => info.unloadable_reason = Some(format!("its ELF type is {value}")),
            "dynamic" => info.has_dynamic_section = value == "yes",
            "dirs" => info.system_dirs = list(),
            "defs" => info.verdef = list(),
            "machine" => info.machine = value.parse().unwrap(),
            "bits" => info.is_64 = value == "64",
            "needs" => {
                let need = |text: String| {
                    let (library, version) = text.split_once(':').unwrap();
                    let weak = version.ends_with('?');
                    let version = version.trim_end_matches('?').to_owned();
                    VersionNeed { library: library.to_owned(), version, weak }
                };
                info.verneed = list().into_iter().map(need).collect();
            }
            _ => panic!("{key}"),
        }
    }
    info
}

fn load(tree: &UsrTree, root: &str) -> LoadResult {
    let library_path = DynamicLoader::rkt_library_path(tree);
    DynamicLoader::new(tree, Board::Amd64, library_path, None).load(&UsrPath::new(root).unwrap())
}

/// Every object as `NAME = PATH (HOW) [LINKS]`, then the errors.
fn render(load: &LoadResult) -> String {
    let mut out = String::new();
    for object in &load.objects {
        let links: Vec<&str> = object.links.iter().map(UsrPath::as_str).collect();
        out += &format!("{} = {} ({}) {links:?}\n", object.requested_name, object.path, object.found_via);
    }
    for missing in &load.missing {
        out +=
            &format!("{} missing for {}: {}\n", missing.name, missing.needed_by, missing.searched.join(" "));
    }
    for rejected in load.skipped.iter().chain(&load.fatal) {
        out += &format!("{} rejected for {}: {}\n", rejected.path, rejected.needed_by, rejected.why);
    }
    for error in &load.undefined_versions {
        out += &format!("{} does not define {} for {}\n", error.library, error.version, error.needed_by);
    }
    out
}

const LOADER: &str = "
    lib -> lib64
    lib64/ld-linux-x86-64.so.2 -> ld-2.21.so
    lib64/ld-2.21.so elf soname=ld-linux-x86-64.so.2 dirs=/lib64/,/usr/lib64/ defs=ld-linux-x86-64.so.2,GLIBC_2.3
    lib64/libc.so.6 -> libc-2.21.so
    lib64/libc-2.21.so elf soname=libc.so.6 needed=ld-linux-x86-64.so.2 defs=libc.so.6,GLIBC_2.2.5 needs=ld-linux-x86-64.so.2:GLIBC_2.3
";

#[test]
fn program_loads_libraries_through_symlinks() {
    let tree = image(&format!(
        "{LOADER}
        bin/a elf interp=/lib64/ld-linux-x86-64.so.2 needed=libz.so.1,libc.so.6
        lib64/libz.so.1 -> libz.so.1.2.8
        lib64/libz.so.1.2.8 elf soname=libz.so.1 needed=libc.so.6"
    ));
    let loaded = load(&tree, "bin/a");
    expect_test::expect![[r#"
        /lib64/ld-linux-x86-64.so.2 = lib64/ld-2.21.so (interpreter) ["lib64/ld-linux-x86-64.so.2"]
        libz.so.1 = lib64/libz.so.1.2.8 (default directory /lib64) ["lib64/libz.so.1"]
        libc.so.6 = lib64/libc-2.21.so (default directory /lib64) ["lib64/libc.so.6"]
    "#]]
    .assert_eq(&render(&loaded));
    let needs: Vec<_> =
        loaded.needs.iter().map(|n| (n.needed_by.as_str(), n.name.as_str(), n.object)).collect();
    assert_eq!(
        needs,
        [
            ("bin/a", "libz.so.1", Some(1)),
            ("bin/a", "libc.so.6", Some(2)),
            ("lib64/libz.so.1.2.8", "libc.so.6", Some(2)),
            ("lib64/libc-2.21.so", "ld-linux-x86-64.so.2", Some(0)),
        ]
    );
}

#[test]
fn library_without_runpath_finds_loaded_libraries() {
    let tree = image(&format!(
        "{LOADER}
        libexec/private/prog elf interp=/lib64/ld-linux-x86-64.so.2 needed=libcore.so,libshared.so runpath=/usr/lib/private
        lib64/private/libcore.so elf soname=libcore.so needed=libshared.so
        lib64/private/libshared.so elf soname=libshared.so needed=libc.so.6"
    ));
    expect_test::expect![[r#"
        /lib64/ld-linux-x86-64.so.2 = lib64/ld-2.21.so (interpreter) ["lib64/ld-linux-x86-64.so.2"]
        libcore.so = lib64/private/libcore.so (RUNPATH of libexec/private/prog) ["lib"]
        libshared.so = lib64/private/libshared.so (RUNPATH of libexec/private/prog) ["lib"]
        libc.so.6 = lib64/libc-2.21.so (default directory /lib64) ["lib64/libc.so.6"]
    "#]]
    .assert_eq(&render(&load(&tree, "libexec/private/prog")));
    expect_test::expect![[r#"
        libshared.so missing for lib64/private/libcore.so: /lib64 /usr/lib64 /usr/lib64/x86_64-linux-gnu /usr/lib /usr/lib/x86_64-linux-gnu
    "#]]
    .assert_eq(&render(&load(&tree, "lib64/private/libcore.so")));
}

#[test]
fn rpath_is_inherited_and_runpath_is_not() {
    let tree_with = |kind: &str, runpath: &str| {
        image(&format!(
            "{LOADER}
            opt/bin/p elf interp=/lib64/ld-linux-x86-64.so.2 needed=liba.so {kind}=$ORIGIN/../${{LIB}}
            opt/lib64/liba.so elf needed=libb.so{runpath}
            opt/lib64/libb.so elf soname=libb.so"
        ))
    };
    expect_test::expect![[r#"
        /lib64/ld-linux-x86-64.so.2 = lib64/ld-2.21.so (interpreter) ["lib64/ld-linux-x86-64.so.2"]
        liba.so = opt/lib64/liba.so (RPATH of opt/bin/p) []
        libb.so = opt/lib64/libb.so (RPATH of opt/bin/p) []
    "#]]
    .assert_eq(&render(&load(&tree_with("rpath", ""), "opt/bin/p")));
    assert_eq!(load(&tree_with("runpath", ""), "opt/bin/p").missing[0].name, "libb.so");
    // A library's own RUNPATH disables the RPATH of the objects that loaded it.
    let both = tree_with("rpath", " runpath=/usr/nowhere");
    assert_eq!(load(&both, "opt/bin/p").missing[0].name, "libb.so");
}

#[test]
fn library_path_is_between_rpath_and_runpath() {
    for (kind, from) in [("rpath", "opt/libx.so"), ("runpath", "lib64/systemd/libx.so")] {
        let tree = image(&format!(
            "{LOADER}
            bin/p elf interp=/lib64/ld-linux-x86-64.so.2 needed=libx.so {kind}=/usr/opt
            opt/libx.so elf
            lib64/systemd/libx.so elf
            lib64/libx.so elf"
        ));
        assert_eq!(load(&tree, "bin/p").objects[1].path.as_str(), from);
    }
}

#[test]
fn other_machines_are_skipped_and_malformed_files_stop() {
    let tree = image(&format!(
        "{LOADER}
        bin/p elf interp=/lib64/ld-linux-x86-64.so.2 needed=libx.so,liby.so,libz.so runpath=/usr/opt
        opt/libx.so elf machine=3
        lib64/libx.so elf
        opt/liby.so plain
        lib64/liby.so elf
        lib64/libz.so broken"
    ));
    expect_test::expect![[r#"
        /lib64/ld-linux-x86-64.so.2 = lib64/ld-2.21.so (interpreter) ["lib64/ld-linux-x86-64.so.2"]
        libx.so = lib64/libx.so (default directory /lib64) []
        liby.so = opt/liby.so (RUNPATH of bin/p) []
        libz.so = lib64/libz.so (default directory /lib64) []
        opt/libx.so rejected for bin/p: it is for machine 3, not 62
        opt/liby.so rejected for bin/p: it is not an ELF file
        lib64/libz.so rejected for bin/p: it is cut off
    "#]]
    .assert_eq(&render(&load(&tree, "bin/p")));
}

#[test]
fn undefined_version_stops_the_loader_unless_weak() {
    let tree = image(&format!(
        "{LOADER}
        bin/p elf interp=/lib64/ld-linux-x86-64.so.2 needed=libc.so.6,libn.so needs=libc.so.6:GLIBC_2.38,libc.so.6:GLIBC_2.99?,libc.so.6:GLIBC_2.2.5,libn.so:ANY
        lib64/libn.so elf"
    ));
    let loaded = load(&tree, "bin/p");
    assert!(
        render(&loaded).ends_with("\nlib64/libc-2.21.so does not define GLIBC_2.38 for bin/p\n"),
        "{}",
        render(&loaded)
    );
    assert_eq!(loaded.undefined_versions.len(), 1);
}

#[test]
fn only_visible_files_are_found() {
    let tree = image(&format!(
        "{LOADER}
        bin/a elf interp=/lib64/ld-linux-x86-64.so.2 needed=libz.so.1 runpath=/usr/lib/x
        lib64/x/libz.so.1 -> libz.so.1.2.8
        lib64/x/libz.so.1.2.8 elf"
    ));
    let all = [
        "lib64/ld-linux-x86-64.so.2",
        "lib64/ld-2.21.so",
        "lib",
        "lib64/x/libz.so.1",
        "lib64/x/libz.so.1.2.8",
    ];
    let missing = |without: &str| {
        let visible: BTreeSet<UsrPath> =
            all.iter().filter(|path| **path != without).map(|path| UsrPath::new(path).unwrap()).collect();
        let loader = DynamicLoader::new(&tree, Board::Amd64, Vec::new(), Some(&visible));
        let load = loader.load(&UsrPath::new("bin/a").unwrap());
        assert_eq!(load.has_skipped_invisible, without != "nothing", "{without}");
        load.missing.iter().map(|missing| missing.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(missing("nothing"), [""; 0]);
    assert_eq!(missing("lib64/ld-2.21.so"), ["/lib64/ld-linux-x86-64.so.2"]);
    for without in ["lib", "lib64/x/libz.so.1", "lib64/x/libz.so.1.2.8"] {
        assert_eq!(missing(without), ["libz.so.1"], "{without}");
    }
}

#[test]
fn multiarch_directory_resolves_through_symlinks() {
    let tree = image(
        "lib -> lib64
        lib64/x86_64-linux-gnu -> .
        lib64/ld-linux-x86-64.so.2 elf soname=ld-linux-x86-64.so.2 dirs=/lib/x86_64-linux-gnu/,/usr/lib/x86_64-linux-gnu/,/lib/,/usr/lib/
        bin/a elf interp=/lib64/ld-linux-x86-64.so.2 needed=libz.so.1,libhw.so
        lib64/libz.so.1 elf
        lib64/glibc-hwcaps/x86-64-v3/libhw.so elf
        lib64/libalone.so elf needed=ld-linux-x86-64.so.2",
    );
    expect_test::expect![[r#"
        /lib64/ld-linux-x86-64.so.2 = lib64/ld-linux-x86-64.so.2 (interpreter) []
        libz.so.1 = lib64/libz.so.1 (default directory /lib/x86_64-linux-gnu) ["lib", "lib64/x86_64-linux-gnu"]
        libhw.so missing for bin/a: /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /lib /usr/lib /usr/lib64 /usr/lib64/x86_64-linux-gnu
    "#]]
    .assert_eq(&render(&load(&tree, "bin/a")));
    expect_test::expect![[r#"
        ld-linux-x86-64.so.2 = lib64/ld-linux-x86-64.so.2 (interpreter) []
    "#]]
    .assert_eq(&render(&load(&tree, "lib64/libalone.so")));
}

#[test]
fn assumed_directories_come_last_and_ld_so_conf_is_not_read() {
    let tree = image(
        "lib64/ld-linux-x86-64.so.2 elf dirs=/lib64/
        etc/ld.so.conf text /usr/opt/lib
        bin/a elf interp=/lib64/ld-linux-x86-64.so.2 needed=libl.so,libo.so
        lib/libl.so elf
        opt/lib/libo.so elf",
    );
    expect_test::expect![[r#"
        /lib64/ld-linux-x86-64.so.2 = lib64/ld-linux-x86-64.so.2 (interpreter) []
        libl.so = lib/libl.so (the board's directory /usr/lib) []
        libo.so missing for bin/a: /lib64 /usr/lib64 /usr/lib64/x86_64-linux-gnu /usr/lib /usr/lib/x86_64-linux-gnu
    "#]]
    .assert_eq(&render(&load(&tree, "bin/a")));
}
