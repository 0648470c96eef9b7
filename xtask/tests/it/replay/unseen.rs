//! What `DT_NEEDED` does not show: symbol versions, notes, units, directories, machines.

use coreos_types::release::Board;
use expect_test::expect;
use release_fixture::elf::ElfStub;
use usr::elf::DlopenPriority;

use super::row::Row;

#[test]
fn a_symbol_version_that_the_library_does_not_define() {
    Row::amd64()
        .lists("coreos/a", &["bin/x", "lib64/libz.so.1"])
        .has(|image| {
            let x = ElfStub::program(Board::Amd64)
                .needs(["libz.so.1", "libc.so.6"])
                .needs_version("libz.so.1", "ZLIB_1.2.9");
            image.elf("bin/x", x).elf(
                "lib64/libz.so.1",
                ElfStub::library(Board::Amd64, "libz.so.1").needs(["libc.so.6"]).defines(["ZLIB_1.2.0"]),
            )
        })
        .gives(&expect![[r#"
            LEFT   version-unsatisfied coreos/amd64/a:1 lib64/libz.so.1 needed by bin/x
        "#]]);
}

#[test]
fn what_a_note_says_is_required_is_added_and_what_it_suggests_is_not() {
    Row::amd64()
        .lists("coreos/a", &["bin/x"])
        .has(|image| {
            let x = ElfStub::program(Board::Amd64)
                .needs(["libc.so.6"])
                .dlopens("libkmod.so.2", "kmod", DlopenPriority::Required)
                .dlopens("libidn2.so.0", "idn", DlopenPriority::Suggested);
            image.elf("bin/x", x).library("lib64/libkmod.so.2.3.0", "libkmod.so.2", &["libc.so.6"]).library(
                "lib64/libidn2.so.0.4.0",
                "libidn2.so.0",
                &["libc.so.6"],
            )
        })
        .gives(&expect![[r#"
            add    coreos/amd64/a lib64/libkmod.so.2
            add    coreos/amd64/a lib64/libkmod.so.2.3.0
        "#]]);
}

#[test]
fn what_a_note_says_is_required_and_the_image_lacks_is_left() {
    Row::amd64()
        .lists("coreos/a", &["bin/x"])
        .has(|image| {
            let x = ElfStub::program(Board::Amd64).needs(["libc.so.6"]);
            let x = x.dlopens("libgone.so.1", "gone", DlopenPriority::Required);
            image.elf("bin/x", x.dlopens("libidn2.so.0", "idn", DlopenPriority::Suggested))
        })
        .gives(&expect![[r#"
            LEFT   needs-nowhere coreos/amd64/a:1 libgone.so.1 needed by bin/x
        "#]]);
}

#[test]
fn the_program_through_which_systemd_starts_every_service_is_added() {
    Row::amd64()
        .lists("coreos/systemd", &["bin/systemd", "lib64/systemd/systemd", "lib64/systemd/systemd-udevd"])
        .has(|image| {
            image
                .program("bin/systemd", &["libc.so.6"])
                .program("bin/systemd-executor", &["libc.so.6"])
                .program("lib64/systemd/systemd-executor", &["libc.so.6"])
                .program("lib64/systemd/systemd-udevd", &["libc.so.6"])
        })
        .gives(&expect![[r#"
            add    coreos/amd64/systemd lib64/systemd/systemd-executor
        "#]]);
    Row::amd64()
        .lists("coreos/systemd", &["lib64/systemd/systemd-udevd"])
        .has(|image| {
            image
                .program("lib64/systemd/systemd-executor", &["libc.so.6"])
                .program("lib64/systemd/systemd-udevd", &["libc.so.6"])
        })
        .gives(&expect![[""]]);
}

#[test]
fn of_several_the_one_that_a_note_says_is_required_takes_the_place() {
    Row::amd64()
        .lists("coreos/a", &["bin/x", "lib64/libfoo.so.1"])
        .has(|image| {
            let x = ElfStub::program(Board::Amd64).needs(["libc.so.6"]);
            image
                .elf("bin/x", x.dlopens("libfoo.so.3", "foo", DlopenPriority::Required))
                .library("lib64/libfoo.so.2", "libfoo.so.2", &["libc.so.6"])
                .library("lib64/libfoo.so.3", "libfoo.so.3", &["libc.so.6"])
        })
        .gives(&expect![[r#"
            rename coreos/amd64/a lib64/libfoo.so.1 -> lib64/libfoo.so.3
        "#]]);
}

#[test]
fn a_line_goes_that_an_addition_makes_pointless() {
    Row::amd64()
        .lists("coreos/a", &["bin/x", "lib64/libfoo.so.1.0"])
        .has(|image| {
            let x = ElfStub::program(Board::Amd64).needs(["libc.so.6"]);
            image
                .elf("bin/x", x.dlopens("libfoo.so.1", "foo", DlopenPriority::Required))
                .library("lib64/libfoo.so.1.1", "libfoo.so.1", &["libc.so.6"])
                .library("lib64/libfoo.so.2.0", "libfoo.so.2", &["libc.so.6"])
        })
        .gives(&expect![[r#"
            add    coreos/amd64/a lib64/libfoo.so.1
            add    coreos/amd64/a lib64/libfoo.so.1.1
            drop   coreos/amd64/a lib64/libfoo.so.1.0
        "#]]);
}

#[test]
fn journald_and_its_unit_go_together() {
    let unit = "[Service]\nExecStart=/usr/lib/systemd/systemd-journald\n";
    Row::amd64()
        .lists("coreos/systemd", &["lib64/systemd/systemd-journald"])
        .has(|image| {
            image
                .program("lib64/systemd/systemd-journald", &["libc.so.6"])
                .text("lib64/systemd/system/systemd-journald.service", unit)
        })
        .gives(&expect![[r#"
            LEFT   needs-unlisted coreos/amd64/systemd:1 lib64/systemd/system/systemd-journald.service needed by lib64/systemd/systemd-journald
        "#]]);
    Row::amd64()
        .lists("coreos/journald", &["lib64/systemd/system/systemd-journald.service"])
        .has(|image| {
            image
                .program("lib64/systemd/systemd-journald", &["libc.so.6"])
                .text("lib64/systemd/system/systemd-journald.service", unit)
        })
        .gives(&expect![[r#"
            LEFT   needs-unlisted coreos/amd64/journald:1 lib64/systemd/systemd-journald needed by lib64/systemd/system/systemd-journald.service
        "#]]);
}

#[test]
fn a_listed_unit_whose_program_is_not_listed_unless_it_may_fail() {
    Row::amd64()
        .lists("coreos/a", &["lib64/systemd/system/x.service"])
        .has(|image| {
            let unit = "[Service]\nExecStart=/usr/bin/x --y\nExecStopPost=-/usr/bin/may-fail\n";
            image
                .program("bin/x", &["libc.so.6"])
                .program("bin/may-fail", &["libc.so.6"])
                .text("lib64/systemd/system/x.service", unit)
        })
        .gives(&expect![[r#"
            LEFT   needs-unlisted coreos/amd64/a:1 bin/x needed by lib64/systemd/system/x.service
        "#]]);
}

#[test]
fn a_file_for_another_machine() {
    Row::amd64()
        .lists("coreos/a", &["bin/x"])
        .has(|image| image.elf("bin/x", ElfStub::program(Board::Arm64).needs(["libc.so.6"])))
        .gives(&expect![[r#"
            LEFT   wrong-machine coreos/amd64/a:1 bin/x
        "#]]);
}

#[test]
fn a_directory_stands_for_what_is_in_it() {
    Row::amd64()
        .lists("coreos/a", &["lib64/tools"])
        .has(|image| {
            image.program("lib64/tools/x", &["libz.so.1", "libc.so.6"]).library(
                "lib64/libz.so.1.2.8",
                "libz.so.1",
                &["libc.so.6"],
            )
        })
        .gives(&expect![[r#"
            add    coreos/amd64/a lib64/libz.so.1
            add    coreos/amd64/a lib64/libz.so.1.2.8
        "#]]);
}

#[test]
fn a_static_program_needs_nothing() {
    Row::amd64()
        .lists("coreos/a", &["bin/x"])
        .has(|image| image.elf("bin/x", ElfStub::static_program(Board::Amd64)))
        .gives(&expect![[""]]);
}

#[test]
fn a_library_of_another_directory_is_found_by_the_rpath_of_its_program() {
    Row::amd64()
        .lists("coreos/a", &["bin/x"])
        .has(|image| {
            let x = ElfStub::program(Board::Amd64)
                .needs(["libown.so.1", "libc.so.6"])
                .rpath("$ORIGIN/../lib64/x");
            image.elf("bin/x", x).library("lib64/x/libown.so.1.0", "libown.so.1", &["libc.so.6"])
        })
        .gives(&expect![[r#"
            add    coreos/amd64/a lib64/x/libown.so.1
            add    coreos/amd64/a lib64/x/libown.so.1.0
        "#]]);
}
