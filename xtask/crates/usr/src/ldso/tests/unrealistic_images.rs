//! Cases that do not occur in real images.

use std::sync::Arc;

use super::super::{DynamicLoader, MissingSymlink, UnreachableLibrary};
use super::{LOADER, image, load, render};
use crate::path::UsrPath;
use coreos_types::Board;

#[test]
fn malformed_loader_stops_programs_but_not_libraries() {
    let tree = image(
        "lib64/ld-linux-x86-64.so.2 broken
        bin/p elf interp=/lib64/ld-linux-x86-64.so.2
        lib64/libx.so elf",
    );
    assert_eq!(
        render(&load(&tree, "bin/p")),
        "lib64/ld-linux-x86-64.so.2 rejected for bin/p: it is cut off\n"
    );
    assert_eq!(render(&load(&tree, "lib64/libx.so")), "");
}

#[test]
fn script_is_found_and_has_no_dependencies() {
    let tree = image("bin/s -> script\nbin/script text #!/bin/sh");
    let root = |path: &str| {
        let found = load(&tree, path);
        assert!(found.objects.is_empty() && found.missing.is_empty());
        found.root.map(|(links, file)| (links.len(), file.to_string()))
    };
    assert_eq!(root("bin/s"), Some((1, "bin/script".to_owned())));
    assert_eq!(root("bin/none"), None);
}

#[test]
fn file_of_two_names_has_both_symlinks() {
    let tree = image(
        "bin/p elf needed=libz.so,libz.so.1
        lib64/libz.so -> libz.so.1
        lib64/libz.so.1 -> libz.so.1.2
        lib64/libz.so.1.2 elf
        bin/q elf needed=libz.so.1,libz.so",
    );
    let links = |root| load(&tree, root).objects[0].links.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(links("bin/p"), ["lib64/libz.so", "lib64/libz.so.1"]);
    assert_eq!(links("bin/q"), ["lib64/libz.so.1", "lib64/libz.so"]);
}

#[test]
fn missing_name_reports_searched_directories() {
    let tree = image(
        "lib64/systemd/x plain
        bin/p elf needed=liba.so,libr.so rpath=/usr/one,/usr/two
        one/liba.so elf needed=libb.so,libgone.so rpath=/usr/two
        one/libb.so elf needed=libgone.so,,..,. runpath=/usr/three
        libr.so elf
        bin/r elf needed=libr.so,libgone.so runpath=/usr",
    );
    let searched = |root: &str| {
        render(&load(&tree, root))
            .replace("/usr/lib64 /usr/lib64/x86_64-linux-gnu /usr/lib /usr/lib/x86_64-linux-gnu", "DEFAULT")
    };
    expect_test::expect![[r#"
        liba.so = one/liba.so (RPATH of bin/p) []
        libb.so = one/libb.so (RPATH of bin/p) []
        libr.so missing for bin/p: /usr/one (RPATH of bin/p) /usr/two (RPATH of bin/p) /usr/lib64/systemd (LD_LIBRARY_PATH) DEFAULT
        libgone.so missing for one/liba.so: /usr/two (RPATH of one/liba.so) /usr/one (RPATH of bin/p) /usr/lib64/systemd (LD_LIBRARY_PATH) DEFAULT
         missing for one/libb.so: /usr/lib64/systemd (LD_LIBRARY_PATH) /usr/three (RUNPATH of one/libb.so) DEFAULT
        .. missing for one/libb.so: /usr/lib64/systemd (LD_LIBRARY_PATH) /usr/three (RUNPATH of one/libb.so) DEFAULT
        . missing for one/libb.so: /usr/lib64/systemd (LD_LIBRARY_PATH) /usr/three (RUNPATH of one/libb.so) DEFAULT
    "#]].assert_eq(&searched("bin/p"));
    expect_test::expect![[r#"
        libr.so = libr.so (RUNPATH of bin/r) []
        libgone.so missing for bin/r: /usr/lib64/systemd (LD_LIBRARY_PATH) /usr (RUNPATH of bin/r) DEFAULT
    "#]]
    .assert_eq(&searched("bin/r"));
}

#[test]
fn standalone_library_uses_the_loader_of_its_machine() {
    let (amd64, arm64) = (Board::Amd64, Board::Arm64);
    for (machine, bits, board, platform, loader) in [
        (62, 64, arm64, "x86_64", "lib64/ld-linux-x86-64.so.2"),
        (62, 64, amd64, "x86_64", "lib/ld-linux-x86-64.so.2"),
        (183, 64, amd64, "aarch64", "lib/ld-linux-aarch64.so.1"),
        (183, 64, arm64, "aarch64", "lib64/ld-linux-aarch64.so.1"),
        (3, 32, amd64, "i386", "lib/ld-linux.so.2"),
        (40, 32, arm64, "aarch64", "lib/ld-linux-armhf.so.3"),
        (40, 32, arm64, "aarch64", "lib/ld-linux.so.3"),
    ] {
        let header = format!("machine={machine} bits={bits}");
        let tree = image(&format!(
            "{loader} elf {header} dirs=/usr/own/
            lib64/liba.so elf {header} needed=libb.so,libc.so rpath=/usr/opt/$PLATFORM
            own/libb.so elf {header}
            opt/{platform}/libc.so elf {header}"
        ));
        let loaded =
            DynamicLoader::new(&tree, board, Vec::new(), None).load(&UsrPath::new("lib64/liba.so").unwrap());
        let found = format!(
            "libb.so = own/libb.so (default directory /usr/own) []\n\
             libc.so = opt/{platform}/libc.so (RPATH of lib64/liba.so) []\n"
        );
        assert_eq!(render(&loaded), found, "{header} {loader}");
    }
}

#[test]
fn endless_chain_stops_at_the_limit() {
    let chain = |length: usize| {
        let mut text = String::from("bin/a elf rpath=/usr/d0 needed=lib1.so\n");
        for at in 1..=length {
            text +=
                &format!("lib64/lib{at}.so elf rpath=/usr/d{at} needed=lib{}.so\nd{at}/x plain\n", at + 1);
        }
        load(&image(&text), "bin/a").fatal
    };
    assert_eq!(chain(1023), []);
    for length in [1024, 4000] {
        assert_eq!(chain(length)[0].why, "more than 1024 objects are loaded for it");
    }
}

#[test]
fn lookups_of_all_programs_are_bounded() {
    let directories = (0..64).map(|at| format!("/usr/d{at}")).collect::<Vec<_>>().join(",");
    let names = (0..1000).map(|at| format!("lib{at}.so")).collect::<Vec<_>>().join(",");
    let existing = (0..64).map(|at| format!("d{at}/x plain\n")).collect::<String>();
    let programs =
        (0..9).map(|at| format!("bin/p{at} elf needed={names} runpath={directories}\n")).collect::<String>();
    let tree = image(&format!("{existing}{programs}bin/q elf needed=liba.so\nlib64/liba.so elf"));
    let loader = DynamicLoader::new(&tree, Board::Amd64, Vec::new(), None);
    let load = |path: &str| loader.load(&UsrPath::new(path).unwrap());
    assert!(load("bin/q").is_sound());
    let first = load("bin/p0");
    assert_eq!((first.missing.len(), first.fatal.len()), (1000, 0));
    assert!(Arc::ptr_eq(&first.missing[0].searched, &first.missing[999].searched));
    (1..9).for_each(|at| _ = load(&format!("bin/p{at}")));
    let last = load("bin/q");
    assert!(last.missing.is_empty() && last.objects.is_empty(), "{last:?}");
    assert!(last.fatal[0].why.starts_with("its libraries were not checked: "), "{last:?}");
    assert_eq!(loader.resolve_dlopen(&UsrPath::new("bin/q").unwrap(), "liba.so"), None);
}

#[test]
fn comparisons_of_symbol_versions_are_bounded() {
    let definitions = (0..4000).map(|at| format!("V{at}")).collect::<Vec<_>>().join(",");
    let needs = "liba.so:V1,libb.so:V1,".repeat(400);
    let tree = image(&format!(
        "bin/p elf needed=liba.so,libb.so needs={needs}liba.so:NONE\n\
         bin/q elf needed=liba.so\n\
         lib64/liba.so elf defs={definitions}\nlib64/libb.so elf defs={definitions}"
    ));
    let loader = DynamicLoader::new(&tree, Board::Amd64, Vec::new(), None);
    let load = |path: &str| loader.load(&UsrPath::new(path).unwrap());
    assert!(load("bin/q").is_sound());
    assert_eq!(load("bin/p").undefined_versions, []);
    assert!(load("bin/q").fatal[0].why.starts_with("its libraries were not checked: "));
}

#[test]
fn long_tokens_and_many_links_are_bounded() {
    let origin = format!("{}/p", ["d".repeat(250).as_str(); 12].join("/"));
    let element = ["$ORIGIN"; 500].join("/");
    let elements = (0..10).map(|at| format!("{element}{at}")).collect::<Vec<_>>().join(",");
    let links = (0..3000).map(|at| format!("lib64/l{at}.so -> libz.so\n")).collect::<String>();
    let names = (0..3000).map(|at| format!("l{at}.so")).collect::<Vec<_>>().join(",");
    let tree = image(&format!(
        "{origin} elf needed=$ORIGIN{element},{element} runpath={elements}\n\
         {links}lib64/libz.so elf\nbin/q elf needed={names}"
    ));
    for root in [origin.as_str(), "bin/q"] {
        let load = load(&tree, root);
        assert!(load.fatal[0].why.starts_with("its libraries were not checked: "), "{:?}", load.fatal);
    }
}

/// Debian's systemd: its RUNPATH has a directory `x86_64-linux-gnu`, which is a symlink to its own directory in the image.
#[test]
fn unreachable_library_names_the_missing_symlink() {
    let systemd = format!(
        "{LOADER}
        lib64/systemd/systemd elf interp=/lib64/ld-linux-x86-64.so.2 needed=libcore.so,libz.so.1 \
         runpath=/usr/lib/none,/usr/lib/x86_64-linux-gnu/systemd"
    );
    for (rest, expected) in [
        ("lib64/x86_64-linux-gnu -> .\nlib64/systemd/libcore.so elf soname=libcore.so", ""),
        (
            "lib64/systemd/libcore.so elf soname=libcore.so",
            "libcore.so: lib64/systemd/libcore.so, /usr/lib/x86_64-linux-gnu/systemd (RUNPATH of \
             lib64/systemd/systemd) needs lib64/x86_64-linux-gnu\n",
        ),
        // No searched directory would be that one through a symlink.
        ("lib64/private/libcore.so elf soname=libcore.so", "libcore.so: lib64/private/libcore.so\n"),
        ("", "libcore.so: nowhere\n"),
        ("lib64/systemd/libcore.so -> libcore.so.1", "libcore.so: nowhere\n"),
    ] {
        let tree = image(&format!("{systemd}\nlib64/libz.so.1 elf soname=libz.so.1\n{rest}"));
        let loader = DynamicLoader::new(&tree, Board::Amd64, Vec::new(), None);
        let missing = loader.load(&UsrPath::new("lib64/systemd/systemd").unwrap()).missing;
        let lines = missing.iter().map(|missing| match loader.find_unreachable(missing) {
            None => format!("{}: nowhere\n", missing.name),
            Some(UnreachableLibrary { file, missing_symlink: None }) => format!("{}: {file}\n", missing.name),
            Some(UnreachableLibrary { file, missing_symlink: Some(MissingSymlink { directory, link }) }) => {
                format!("{}: {file}, {directory} needs {link}\n", missing.name)
            }
        });
        assert_eq!(lines.collect::<String>(), expected, "{rest}");
    }
}
