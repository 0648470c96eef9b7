//! Bucket D of the history and what is like it: paths that are gone, and lines that say nothing any more.

use coreos_types::release::Board;
use expect_test::expect;
use release_fixture::elf::ElfStub;
use usr::elf::DlopenPriority;

use super::row::Row;

#[test]
fn a_program_that_vanished_is_left_for_a_person() {
    Row::amd64()
        .lists("coreos/systemd", &["bin/systemctl", "lib64/systemd/systemd-bootchart"])
        .has(|image| image.program("bin/systemctl", &["libc.so.6"]))
        .gives(&expect![[r#"
            LEFT   missing coreos/amd64/systemd:2 lib64/systemd/systemd-bootchart
        "#]]);
}

#[test]
fn a_program_that_was_replaced_has_candidates() {
    Row::amd64()
        .lists("coreos/systemd", &["lib64/systemd/systemd-activate"])
        .has(|image| image.program("bin/systemd-socket-activate", &["libc.so.6"]))
        .gives(&expect![[r#"
            LEFT   missing coreos/amd64/systemd:1 lib64/systemd/systemd-activate candidates bin/systemd-socket-activate
        "#]]);
}

#[test]
fn drop_missing_drops_it() {
    Row::amd64()
        .lists("coreos/systemd", &["bin/systemctl", "lib64/libitm.so.1", "lib64/systemd/systemd-bootchart"])
        .has(|image| image.program("bin/systemctl", &["libc.so.6"]))
        .drop_missing()
        .gives(&expect![[r#"
            drop   coreos/amd64/systemd lib64/libitm.so.1
            drop   coreos/amd64/systemd lib64/systemd/systemd-bootchart
        "#]]);
}

#[test]
fn a_dev_link_that_is_no_longer_shipped_says_nothing() {
    Row::amd64()
        .lists("coreos/a", &["lib64/libz.so", "lib64/libz.so.1", "lib64/libz.so.1.2.8"])
        .has(|image| image.library("lib64/libz.so.1.2.8", "libz.so.1", &["libc.so.6"]))
        .gives(&expect![[r#"
            drop   coreos/amd64/a lib64/libz.so
        "#]]);
}

#[test]
fn from_glibc_2_34_on_the_soname_is_the_file() {
    Row::amd64()
        .lists(
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
        .has(|image| {
            image
                .program("bin/x", &["libc.so.6"])
                .library("lib64/libpthread.so.0", "libpthread.so.0", &["libc.so.6"])
                .library("lib64/libdl.so.2", "libdl.so.2", &["libc.so.6"])
        })
        .gives(&expect![[r#"
            drop   coreos/amd64/a lib64/libpthread.so
            drop   coreos/amd64/a lib64/libdl-2.33.so
            drop   coreos/amd64/a lib64/libpthread-2.33.so
        "#]]);
}

#[test]
fn a_library_that_bears_no_version_any_more_is_one_line() {
    Row::amd64()
        .lists("coreos/a", &["lib64/libown.so", "lib64/libown.so.1.2"])
        .has(|image| image.library("lib64/libown.so", "libown.so", &["libc.so.6"]))
        .gives(&expect![[r#"
            drop   coreos/amd64/a lib64/libown.so.1.2
        "#]]);
}

#[test]
fn a_library_without_consumers_that_vanished_is_left() {
    Row::amd64().lists("coreos/a", &["lib64/libitm.so.1", "lib64/libitm.so.1.0.0"]).gives(&expect![[r#"
        LEFT   missing coreos/amd64/a:1 lib64/libitm.so.1
        LEFT   missing coreos/amd64/a:2 lib64/libitm.so.1.0.0
    "#]]);
}

/// Once any addition let every removed library go: this one is gone from a manifest that nothing was added to, and
/// the next from one where something unrelated was.
#[test]
fn what_is_added_elsewhere_lets_no_library_go() {
    let libpam = |image: release_fixture::image::ImageSpec| {
        image.program("bin/login", &["libpam.so.0", "libc.so.6"]).library(
            "lib64/libpam.so.0.84.1",
            "libpam.so.0",
            &["libc.so.6"],
        )
    };
    Row::amd64()
        .lists("coreos/a", &["bin/login"])
        .lists("kvm/ip", &["lib64/libvanished.so.1"])
        .has(libpam)
        .gives(&expect![[r#"
            add    coreos/amd64/a lib64/libpam.so.0
            add    coreos/amd64/a lib64/libpam.so.0.84.1
            LEFT   missing kvm/amd64/ip:1 lib64/libvanished.so.1
        "#]]);
    Row::amd64().lists("coreos/a", &["bin/login", "lib64/libvanished.so.1"]).has(libpam).gives(&expect![[
        r#"
        add    coreos/amd64/a lib64/libpam.so.0
        add    coreos/amd64/a lib64/libpam.so.0.84.1
        LEFT   missing coreos/amd64/a:4 lib64/libvanished.so.1
    "#
    ]]);
}

#[test]
fn a_vanished_library_that_is_loaded_by_name_is_left() {
    Row::amd64()
        .lists(
            "coreos/a",
            &[
                "bin/x",
                "lib64/libidn.so.11",
                "lib64/libidn2.so.0",
                "lib64/libnss_files.so.2",
                "lib64/libpcre.so.1",
            ],
        )
        .has(|image| {
            let x = ElfStub::program(Board::Amd64).needs(["libnss_files2.so.0", "libpcre2-8.so.0"]);
            image
                .elf("bin/x", x.dlopens("libidn.so.11", "idn", DlopenPriority::Suggested))
                .library("lib64/libidn2.so.0.3", "libidn2.so.0", &["libc.so.6"])
                .library("lib64/libnss_files2.so.0", "libnss_files2.so.0", &["libc.so.6"])
                .library("lib64/libpcre2-8.so.0", "libpcre2-8.so.0", &["libc.so.6"])
        })
        .gives(&expect![[r#"
            add    coreos/amd64/a lib64/libnss_files2.so.0
            add    coreos/amd64/a lib64/libidn2.so.0.3
            rename coreos/amd64/a lib64/libpcre.so.1 -> lib64/libpcre2-8.so.0
            LEFT   missing coreos/amd64/a:2 lib64/libidn.so.11
            LEFT   missing coreos/amd64/a:5 lib64/libnss_files.so.2 candidates lib64/libnss_files2.so.0
        "#]]);
}

#[test]
fn names_alone_do_not_tell_that_nothing_needs_a_library() {
    let row = || {
        Row::amd64()
            .lists("coreos/a", &["lib64/libpcre.so.1", "lib64/libpcre2-8.so"])
            .has(|image| image.library_with_dev("lib64/libpcre2-8.so.0", "libpcre2-8.so.0", &["libc.so.6"]))
    };
    row().gives(&expect![[r#"
        rename coreos/amd64/a lib64/libpcre.so.1 -> lib64/libpcre2-8.so.0
    "#]]);
    row().by_names_only().gives(&expect![[r#"
        add    coreos/amd64/a lib64/libpcre2-8.so.0
        LEFT   missing coreos/amd64/a:1 lib64/libpcre.so.1 candidates lib64/libpcre2-8.so.0
    "#]]);
}

/// A soname's line once became that of the file behind another soname, which was listed already.
#[test]
fn a_soname_becomes_a_soname_and_a_file_a_file() {
    let image = |image: release_fixture::image::ImageSpec| {
        image.library("lib64/libpcre2-8.so.0.11.0", "libpcre2-8.so.0", &["libc.so.6"])
    };
    Row::amd64().lists("coreos/a", &["lib64/libpcre.so.1", "lib64/libpcre2-8.so.0"]).has(image).gives(
        &expect![[r#"
            add    coreos/amd64/a lib64/libpcre2-8.so.0.11.0
            LEFT   missing coreos/amd64/a:1 lib64/libpcre.so.1
        "#]],
    );
    Row::amd64()
        .lists("coreos/a", &["bin/x", "lib64/libpcre.so.1.2.4", "lib64/libpcre2-8.so.0.11.0"])
        .has(|of| image(of).program("bin/x", &["libpcre2-8.so.0", "libc.so.6"]))
        .gives(&expect![[r#"
            add    coreos/amd64/a lib64/libpcre2-8.so.0
            LEFT   missing coreos/amd64/a:2 lib64/libpcre.so.1.2.4
        "#]]);
    // Where the soname is the file, it is both.
    Row::amd64()
        .lists("coreos/a", &["bin/x", "lib64/libpcre.so.1.2.4"])
        .has(|image| {
            image.program("bin/x", &["libpcre2-8.so.0", "libc.so.6"]).library(
                "lib64/libpcre2-8.so.0",
                "libpcre2-8.so.0",
                &["libc.so.6"],
            )
        })
        .gives(&expect![[r#"
            rename coreos/amd64/a lib64/libpcre.so.1.2.4 -> lib64/libpcre2-8.so.0
        "#]]);
}

#[test]
fn another_stem_is_told_by_the_needs_where_it_is_the_old_one_with_a_version() {
    Row::amd64()
        .lists(
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
        .has(|image| {
            image
                .program("bin/bash", &["libtinfo.so.6", "libc.so.6"])
                .library("lib64/libtinfo.so.6.3", "libtinfo.so.6", &["libc.so.6"])
                .library("lib64/libselinux.so.1", "libselinux.so.1", &["libpcre2-8.so.0", "libc.so.6"])
                .library("lib64/libpcre2-8.so.0.11.0", "libpcre2-8.so.0", &["libc.so.6"])
        })
        .gives(&expect![[r#"
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
fn lines_out_of_form_are_put_in_form() {
    Row::amd64()
        .lists("kvm/ip", &["/bin/ip"])
        .lists("kvm/crypt", &["lib64/libcrypt-2.21.so", "lib64/libcrypt.so.1", "libcrypt-2.21.so"])
        .has(|image| {
            image.program("bin/ip", &["libc.so.6"]).library(
                "lib64/libcrypt-2.21.so",
                "libcrypt.so.1",
                &["libc.so.6"],
            )
        })
        .gives(&expect![[r#"
            drop   kvm/amd64/crypt libcrypt-2.21.so
            tidy   kvm/amd64/ip /bin/ip -> bin/ip
        "#]]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line() {
    let marked = |first: &str| {
        Row::amd64()
            .lists("coreos/a", &[first, "bin/b"])
            .has(|image| image.program("bin/a", &["libc.so.6"]).program("bin/b", &["libc.so.6"]))
    };
    marked("\u{feff}bin/a").gives_with(
        &expect![[r#"
        tidy   coreos/amd64/a (mark)bin/a -> bin/a
    "#]],
        "coreos/a",
        &["bin/a", "bin/b"],
    );
    marked("\u{feff}/usr/bin/a").gives_with(
        &expect![[r#"
        tidy   coreos/amd64/a (mark)/usr/bin/a -> bin/a
    "#]],
        "coreos/a",
        &["bin/a", "bin/b"],
    );
    marked("\u{feff}").gives_with(
        &expect![[r#"
        tidy   coreos/amd64/a (mark)
    "#]],
        "coreos/a",
        &["bin/b"],
    );
}

#[test]
fn a_dangling_link_is_left() {
    Row::amd64()
        .lists("coreos/a", &["lib64/libz.so.1"])
        .has(|image| image.link("lib64/libz.so.1", "libz.so.1.2.8"))
        .gives(&expect![[r#"
            LEFT   dangling coreos/amd64/a:1 lib64/libz.so.1
        "#]]);
}
