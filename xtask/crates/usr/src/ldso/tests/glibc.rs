//! Details of glibc's loader (`elf/dl-load.c`, `elf/dl-deps.c`), each compared with the real one manually.

use super::super::DynamicLoader;
use super::{LOADER, image, load, render};
use crate::path::UsrPath;
use coreos_types::Board;

/// The objects behind the interpreter, `NAME = PATH`, and what went wrong.
fn loads(text: &str, root: &str) -> Vec<String> {
    let tree = image(&format!("{LOADER}\n{text}"));
    let result = load(&tree, root);
    let objects = result.objects.iter().skip(1);
    let mut lines: Vec<String> =
        objects.map(|object| format!("{} = {}", object.requested_name, object.path)).collect();
    lines.extend(result.missing.iter().map(|missing| format!("{} missing", missing.name)));
    lines.extend(result.fatal.iter().map(|rejected| format!("{}: {}", rejected.path, rejected.why)));
    lines
}

const PROGRAM: &str = "elf interp=/lib64/ld-linux-x86-64.so.2";

#[test]
fn filter_is_required_and_auxiliary_is_not() {
    let with = |kind: &str, rest: &str| {
        loads(&format!("bin/p {PROGRAM} needed=liba.so\nlib64/liba.so elf {kind}=libf.so\n{rest}"), "bin/p")
    };
    let there = "lib64/libf.so elf needed=libdeep.so\nlib64/libdeep.so elf";
    let all = ["liba.so = lib64/liba.so", "libf.so = lib64/libf.so", "libdeep.so = lib64/libdeep.so"];
    assert_eq!(with("filter", there), all);
    assert_eq!(with("auxiliary", there), all);
    assert_eq!(with("filter", ""), ["liba.so = lib64/liba.so", "libf.so missing"]);
    assert_eq!(with("auxiliary", ""), ["liba.so = lib64/liba.so"]);
    assert_eq!(with("auxiliary", "lib64/libf.so plain"), ["liba.so = lib64/liba.so"]);
}

#[test]
fn filtee_dependencies_come_before_those_of_later_objects() {
    let text = format!(
        "bin/p {PROGRAM} needed=liba.so,libb.so
        lib64/liba.so elf filter=libf.so
        lib64/libb.so elf needed=libx.so runpath=/usr/b
        lib64/libf.so elf needed=libx.so runpath=/usr/f
        b/libx.so elf
        f/libx.so elf"
    );
    assert_eq!(loads(&text, "bin/p")[3], "libx.so = f/libx.so");
}

#[test]
fn empty_runpath_disables_rpath() {
    let with = |kind: &str| {
        loads(&format!("bin/p {PROGRAM} needed=libx.so rpath=/usr/opt {kind}\nopt/libx.so elf"), "bin/p")
    };
    assert_eq!(with(""), ["libx.so = opt/libx.so"]);
    assert_eq!(with("runpath="), ["libx.so missing"]);
}

#[test]
fn origin_is_expanded_before_names_are_compared() {
    let text = format!(
        "bin/p {PROGRAM} needed=liba.so,libb.so rpath=/usr/one,/usr/two
        one/liba.so elf needed=$ORIGIN/libq.so
        one/libq.so elf
        two/libb.so elf needed=$ORIGIN/libq.so
        two/libq.so elf"
    );
    let names = loads(&text, "bin/p");
    assert_eq!(names[2..], ["/usr/one/libq.so = one/libq.so", "/usr/two/libq.so = two/libq.so"]);
}

#[test]
fn other_byte_order_stops_and_other_class_is_skipped() {
    let with = |first: &str| {
        let text =
            format!("bin/p {PROGRAM} needed=libx.so rpath=/usr/opt\nopt/libx.so {first}\nlib64/libx.so elf");
        loads(&text, "bin/p")
    };
    for first in ["elf bits=32", "elf machine=183", "elf bits=32 order=big"] {
        assert_eq!(with(first), ["libx.so = lib64/libx.so"], "{first}");
    }
    for (first, why) in [
        ("elf order=big", "it is big-endian, not little-endian"),
        ("elf type=1", "its ELF type is 1"),
        ("elf dynamic=no", "it has no dynamic section"),
        ("plain", "it is not an ELF file"),
    ] {
        assert_eq!(with(first)[1], format!("opt/libx.so: {why}"), "{first}");
    }
}

#[test]
fn setuid_program_ignores_library_path() {
    let with = |mode: &str| {
        let text = format!(
            "bin/p{mode} {PROGRAM} needed=libs.so,libo.so,libt.so rpath=$ORIGIN/../opt,$ORIGIN/../lib64/own
            lib64/systemd/libs.so elf
            opt/libo.so elf
            lib64/own/libt.so elf"
        );
        loads(&text, "bin/p")
    };
    assert_eq!(with("").len(), 3);
    let missing = ["libt.so = lib64/own/libt.so", "libs.so missing", "libo.so missing"];
    assert_eq!(with(":4755"), missing);
    assert_eq!(with(":2755"), missing);
}

#[test]
fn only_legacy_hwcaps_of_every_processor_are_searched() {
    let with = |hwcaps: &str, at: &str| {
        let tree = image(&format!(
            "lib64/ld-linux-x86-64.so.2 elf soname=ld-linux-x86-64.so.2 dirs=/usr/lib64/ hwcaps={hwcaps}
            bin/p {PROGRAM} needed=libx.so rpath=/usr/opt
            {at}/libx.so elf
            lib64/libx.so elf"
        ));
        load(&tree, "bin/p").objects[1].path.to_string()
    };
    for at in ["opt/tls/x86_64", "opt/tls", "opt/x86_64", "lib64/x86_64", "lib64/systemd/x86_64"] {
        assert_eq!(with("legacy", at), format!("{at}/libx.so"));
        assert_eq!(with("none", at), "lib64/libx.so", "{at}");
    }
    for at in ["opt/glibc-hwcaps/x86-64-v2", "lib64/glibc-hwcaps/x86-64-v4", "opt/haswell"] {
        assert_eq!(with("legacy", at), "lib64/libx.so", "{at}");
        assert_eq!(with("none", at), "lib64/libx.so", "{at}");
    }
}

#[test]
fn deep_and_wide_link_maps_take_linear_time() {
    let start = std::time::Instant::now();
    let mut text = String::from("bin/p elf needed=lib0.so interp=/lib64/ld-linux-x86-64.so.2\n");
    for at in 0..1000 {
        let needed: Vec<String> = (0..100).map(|step| format!("lib{}.so", (at + step) % 1000)).collect();
        text += &format!("lib64/lib{at}.so elf needed={}\n", needed.join(","));
    }
    let tree = image(&text);
    let loader = DynamicLoader::new(&tree, Board::Amd64, Vec::new(), None);
    assert_eq!(loader.load(&UsrPath::new("bin/p").unwrap()).objects.len(), 1000);
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    assert_eq!(render(&load(&tree, "lib64/none.so")), "");
}
