//! Removed paths and redundant lines (category D of the history).

use coreos_types::Board;
use expect_test::expect;
use release_fixture::elf::ElfStub;
use usr::DlopenPriority;

use super::row::Row;

#[test]
fn removed_program_is_reported() {
    Row::amd64()
        .with_manifest("coreos/systemd", &["bin/systemctl", "lib64/systemd/systemd-bootchart"])
        .with_image(|image| image.program("bin/systemctl", &["libc.so.6"]))
        .assert_bump(&expect![[r#"
            LEFT   missing coreos/amd64/systemd:2 lib64/systemd/systemd-bootchart
        "#]]);
}

#[test]
fn replaced_program_has_candidates() {
    Row::amd64()
        .with_manifest("coreos/systemd", &["lib64/systemd/systemd-activate"])
        .with_image(|image| image.program("bin/systemd-socket-activate", &["libc.so.6"]))
        .assert_bump(&expect![[r#"
            LEFT   missing coreos/amd64/systemd:1 lib64/systemd/systemd-activate candidates bin/systemd-socket-activate
        "#]]);
}

#[test]
fn drop_missing_removes_the_line() {
    Row::amd64()
        .with_manifest(
            "coreos/systemd",
            &["bin/systemctl", "lib64/libitm.so.1", "lib64/systemd/systemd-bootchart"],
        )
        .with_image(|image| image.program("bin/systemctl", &["libc.so.6"]))
        .drop_missing()
        .assert_bump(&expect![[r#"
            drop   coreos/amd64/systemd lib64/libitm.so.1
            drop   coreos/amd64/systemd lib64/systemd/systemd-bootchart
        "#]]);
}

#[test]
fn line_of_a_removed_dev_link_is_removed() {
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/libz.so", "lib64/libz.so.1", "lib64/libz.so.1.2.8"])
        .with_image(|image| image.library("lib64/libz.so.1.2.8", "libz.so.1", &["libc.so.6"]))
        .assert_bump(&expect![[r#"
            drop   coreos/amd64/a lib64/libz.so
        "#]]);
}

#[test]
fn glibc_2_34_file_is_renamed_to_its_soname() {
    Row::amd64()
        .with_manifest(
            "coreos/a",
            &[
                "bin/x",
                "lib64/libpthread-2.33.so",
                "lib64/libpthread.so",
                "lib64/libpthread.so.0",
                "lib64/libdl-2.33.so",
                "lib64/libdl.so.2",
            ],
        )
        .with_image(|image| {
            image
                .program("bin/x", &["libc.so.6"])
                .library("lib64/libpthread.so.0", "libpthread.so.0", &["libc.so.6"])
                .library("lib64/libdl.so.2", "libdl.so.2", &["libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            drop   coreos/amd64/a lib64/libpthread.so
            drop   coreos/amd64/a lib64/libdl-2.33.so
            drop   coreos/amd64/a lib64/libpthread-2.33.so
        "#]]);
}

#[test]
fn library_without_a_version_becomes_one_line() {
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/libown.so", "lib64/libown.so.1.2"])
        .with_image(|image| image.library("lib64/libown.so", "libown.so", &["libc.so.6"]))
        .assert_bump(&expect![[r#"
            drop   coreos/amd64/a lib64/libown.so.1.2
        "#]]);
}

#[test]
fn removed_library_without_dependents_is_reported() {
    Row::amd64().with_manifest("coreos/a", &["lib64/libitm.so.1", "lib64/libitm.so.1.0.0"]).assert_bump(
        &expect![[r#"
        LEFT   missing coreos/amd64/a:1 lib64/libitm.so.1
        LEFT   missing coreos/amd64/a:2 lib64/libitm.so.1.0.0
    "#]],
    );
}

/// Regression: any addition removed the lines of all missing libraries. Here the manifest has no addition; in the next
/// test it has an unrelated one.
#[test]
fn unrelated_addition_removes_no_library() {
    let libpam = |image: release_fixture::image_spec::ImageSpec| {
        image.program("bin/login", &["libpam.so.0", "libc.so.6"]).library(
            "lib64/libpam.so.0.84.1",
            "libpam.so.0",
            &["libc.so.6"],
        )
    };
    Row::amd64()
        .with_manifest("coreos/a", &["bin/login"])
        .with_manifest("kvm/ip", &["lib64/libvanished.so.1"])
        .with_image(libpam)
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libpam.so.0
            add    coreos/amd64/a lib64/libpam.so.0.84.1
            LEFT   missing kvm/amd64/ip:1 lib64/libvanished.so.1
        "#]]);
    Row::amd64()
        .with_manifest("coreos/a", &["bin/login", "lib64/libvanished.so.1"])
        .with_image(libpam)
        .assert_bump(&expect![[r#"
        add    coreos/amd64/a lib64/libpam.so.0
        add    coreos/amd64/a lib64/libpam.so.0.84.1
        LEFT   missing coreos/amd64/a:4 lib64/libvanished.so.1
    "#]]);
}

#[test]
fn removed_dlopen_library_is_reported() {
    Row::amd64()
        .with_manifest(
            "coreos/a",
            &[
                "bin/x",
                "lib64/libidn.so.11",
                "lib64/libidn2.so.0",
                "lib64/libnss_files.so.2",
                "lib64/libpcre.so.1",
            ],
        )
        .with_image(|image| {
            let x = ElfStub::program(Board::Amd64).needs(["libnss_files2.so.0", "libpcre2-8.so.0"]);
            image
                .elf("bin/x", x.dlopens("libidn.so.11", "idn", DlopenPriority::Suggested))
                .library("lib64/libidn2.so.0.3", "libidn2.so.0", &["libc.so.6"])
                .library("lib64/libnss_files2.so.0", "libnss_files2.so.0", &["libc.so.6"])
                .library("lib64/libpcre2-8.so.0", "libpcre2-8.so.0", &["libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libnss_files2.so.0
            add    coreos/amd64/a lib64/libidn2.so.0.3
            rename coreos/amd64/a lib64/libpcre.so.1 -> lib64/libpcre2-8.so.0
            LEFT   missing coreos/amd64/a:2 lib64/libidn.so.11
            LEFT   missing coreos/amd64/a:5 lib64/libnss_files.so.2 candidates lib64/libnss_files2.so.0
        "#]]);
}

#[test]
fn names_only_bump_renames_no_library_stem() {
    let row = || {
        Row::amd64().with_manifest("coreos/a", &["lib64/libpcre.so.1", "lib64/libpcre2-8.so"]).with_image(
            |image| {
                image.library_with_linker_name("lib64/libpcre2-8.so.0", "libpcre2-8.so.0", &["libc.so.6"])
            },
        )
    };
    row().assert_bump(&expect![[r#"
        rename coreos/amd64/a lib64/libpcre.so.1 -> lib64/libpcre2-8.so.0
    "#]]);
    row().by_names_only().assert_bump(&expect![[r#"
        add    coreos/amd64/a lib64/libpcre2-8.so.0
        LEFT   missing coreos/amd64/a:1 lib64/libpcre.so.1 candidates lib64/libpcre2-8.so.0
    "#]]);
}

/// Regression: the line of a soname was renamed to the file of another soname, which was listed already.
#[test]
fn soname_and_file_are_renamed_in_kind() {
    let image = |image: release_fixture::image_spec::ImageSpec| {
        image.library("lib64/libpcre2-8.so.0.11.0", "libpcre2-8.so.0", &["libc.so.6"])
    };
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/libpcre.so.1", "lib64/libpcre2-8.so.0"])
        .with_image(image)
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libpcre2-8.so.0.11.0
            LEFT   missing coreos/amd64/a:1 lib64/libpcre.so.1
        "#]]);
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libpcre.so.1.2.4", "lib64/libpcre2-8.so.0.11.0"])
        .with_image(|of| image(of).program("bin/x", &["libpcre2-8.so.0", "libc.so.6"]))
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libpcre2-8.so.0
            LEFT   missing coreos/amd64/a:2 lib64/libpcre.so.1.2.4
        "#]]);
    // A soname that is also the file name replaces both lines.
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libpcre.so.1.2.4"])
        .with_image(|image| {
            image.program("bin/x", &["libpcre2-8.so.0", "libc.so.6"]).library(
                "lib64/libpcre2-8.so.0",
                "libpcre2-8.so.0",
                &["libc.so.6"],
            )
        })
        .assert_bump(&expect![[r#"
            rename coreos/amd64/a lib64/libpcre.so.1.2.4 -> lib64/libpcre2-8.so.0
        "#]]);
}

#[test]
fn new_stem_with_a_version_is_matched_by_dependents() {
    Row::amd64()
        .with_manifest(
            "coreos/a",
            &[
                "bin/bash",
                "lib64/libncurses.so.5",
                "lib64/libncurses.so.5.9",
                "lib64/libpcre.so",
                "lib64/libpcre.so.1",
                "lib64/libpcre.so.1.2.4",
                "lib64/libselinux.so.1",
            ],
        )
        .with_image(|image| {
            image
                .program("bin/bash", &["libtinfo.so.6", "libc.so.6"])
                .library("lib64/libtinfo.so.6.3", "libtinfo.so.6", &["libc.so.6"])
                .library("lib64/libselinux.so.1", "libselinux.so.1", &["libpcre2-8.so.0", "libc.so.6"])
                .library("lib64/libpcre2-8.so.0.11.0", "libpcre2-8.so.0", &["libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libtinfo.so.6
            add    coreos/amd64/a lib64/libtinfo.so.6.3
            rename coreos/amd64/a lib64/libpcre.so.1 -> lib64/libpcre2-8.so.0
            drop   coreos/amd64/a lib64/libpcre.so
            rename coreos/amd64/a lib64/libpcre.so.1.2.4 -> lib64/libpcre2-8.so.0.11.0
            LEFT   missing coreos/amd64/a:2 lib64/libncurses.so.5
            LEFT   missing coreos/amd64/a:3 lib64/libncurses.so.5.9
        "#]]);
}

#[test]
fn wide_character_library_is_a_candidate() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/bash", "lib64/libncurses.so.5", "lib64/libncurses.so.5.9"])
        .with_image(|image| {
            image.program("bin/bash", &["libncursesw.so.6", "libc.so.6"]).library(
                "lib64/libncursesw.so.6.4",
                "libncursesw.so.6",
                &["libc.so.6"],
            )
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libncursesw.so.6
            add    coreos/amd64/a lib64/libncursesw.so.6.4
            LEFT   missing coreos/amd64/a:2 lib64/libncurses.so.5 candidates lib64/libncursesw.so.6
            LEFT   missing coreos/amd64/a:3 lib64/libncurses.so.5.9 candidates lib64/libncursesw.so.6.4
        "#]]);
}

#[test]
fn malformed_lines_are_normalized() {
    Row::amd64()
        .with_manifest("kvm/ip", &["/bin/ip"])
        .with_manifest("kvm/crypt", &["lib64/libcrypt-2.21.so", "lib64/libcrypt.so.1", "libcrypt-2.21.so"])
        .with_image(|image| {
            image.program("bin/ip", &["libc.so.6"]).library(
                "lib64/libcrypt-2.21.so",
                "libcrypt.so.1",
                &["libc.so.6"],
            )
        })
        .assert_bump(&expect![[r#"
            drop   kvm/amd64/crypt libcrypt-2.21.so
            tidy   kvm/amd64/ip /bin/ip -> bin/ip
        "#]]);
}

#[test]
fn byte_order_mark_is_not_part_of_the_first_line() {
    let marked = |first: &str| {
        Row::amd64()
            .with_manifest("coreos/a", &[first, "bin/b"])
            .with_image(|image| image.program("bin/a", &["libc.so.6"]).program("bin/b", &["libc.so.6"]))
    };
    marked("\u{feff}bin/a").assert_bump_and_manifest(
        &expect![[r#"
        tidy   coreos/amd64/a (mark)bin/a -> bin/a
    "#]],
        "coreos/a",
        &["bin/a", "bin/b"],
    );
    marked("\u{feff}/usr/bin/a").assert_bump_and_manifest(
        &expect![[r#"
        tidy   coreos/amd64/a (mark)/usr/bin/a -> bin/a
    "#]],
        "coreos/a",
        &["bin/a", "bin/b"],
    );
    marked("\u{feff}").assert_bump_and_manifest(
        &expect![[r#"
        tidy   coreos/amd64/a (mark)
    "#]],
        "coreos/a",
        &["bin/b"],
    );
}

#[test]
fn dangling_link_is_reported() {
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/libz.so.1"])
        .with_image(|image| image.link("lib64/libz.so.1", "libz.so.1.2.8"))
        .assert_bump(&expect![[r#"
            LEFT   dangling coreos/amd64/a:1 lib64/libz.so.1
        "#]]);
}
