//! Dependencies other than `DT_NEEDED`: symbol versions, dlopen notes, units, directories, machines.

use coreos_types::Board;
use expect_test::expect;
use release_fixture::elf::ElfStub;
use usr::DlopenPriority;

use super::row::Row;

#[test]
fn undefined_symbol_version_is_left() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libz.so.1"])
        .with_image(|image| {
            let x = ElfStub::program(Board::Amd64)
                .needs(["libz.so.1", "libc.so.6"])
                .needs_version("libz.so.1", "ZLIB_1.2.9");
            image.elf("bin/x", x).elf(
                "lib64/libz.so.1",
                ElfStub::library(Board::Amd64, "libz.so.1")
                    .needs(["libc.so.6"])
                    .defines_versions(["ZLIB_1.2.0"]),
            )
        })
        .assert_bump(&expect![[r#"
            LEFT   version-unsatisfied coreos/amd64/a:1 lib64/libz.so.1 needed by bin/x
        "#]]);
}

#[test]
fn required_dlopen_note_is_added_but_suggested_is_not() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x"])
        .with_image(|image| {
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
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libkmod.so.2
            add    coreos/amd64/a lib64/libkmod.so.2.3.0
        "#]]);
}

#[test]
fn required_dlopen_library_missing_in_image_is_left() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x"])
        .with_image(|image| {
            let x = ElfStub::program(Board::Amd64).needs(["libc.so.6"]);
            let x = x.dlopens("libgone.so.1", "gone", DlopenPriority::Required);
            image.elf("bin/x", x.dlopens("libidn2.so.0", "idn", DlopenPriority::Suggested))
        })
        .assert_bump(&expect![[r#"
            LEFT   needs-nowhere coreos/amd64/a:1 libgone.so.1 needed by bin/x
        "#]]);
}

#[test]
fn systemd_executor_is_added() {
    Row::amd64()
        .with_manifest(
            "coreos/systemd",
            &["bin/systemd", "lib64/systemd/systemd", "lib64/systemd/systemd-udevd"],
        )
        .with_image(|image| {
            image
                .program("bin/systemd", &["libc.so.6"])
                .program("bin/systemd-executor", &["libc.so.6"])
                .program("lib64/systemd/systemd-executor", &["libc.so.6"])
                .program("lib64/systemd/systemd-udevd", &["libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/systemd lib64/systemd/systemd-executor
        "#]]);
    Row::amd64()
        .with_manifest("coreos/systemd", &["lib64/systemd/systemd-udevd"])
        .with_image(|image| {
            image
                .program("lib64/systemd/systemd-executor", &["libc.so.6"])
                .program("lib64/systemd/systemd-udevd", &["libc.so.6"])
        })
        .assert_bump(&expect![[""]]);
}

#[test]
fn required_dlopen_note_decides_the_replacement() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libfoo.so.1"])
        .with_image(|image| {
            let x = ElfStub::program(Board::Amd64).needs(["libc.so.6"]);
            image
                .elf("bin/x", x.dlopens("libfoo.so.3", "foo", DlopenPriority::Required))
                .library("lib64/libfoo.so.2", "libfoo.so.2", &["libc.so.6"])
                .library("lib64/libfoo.so.3", "libfoo.so.3", &["libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            rename coreos/amd64/a lib64/libfoo.so.1 -> lib64/libfoo.so.3
        "#]]);
}

#[test]
fn line_made_redundant_by_an_addition_is_removed() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libfoo.so.1.0"])
        .with_image(|image| {
            let x = ElfStub::program(Board::Amd64).needs(["libc.so.6"]);
            image
                .elf("bin/x", x.dlopens("libfoo.so.1", "foo", DlopenPriority::Required))
                .library("lib64/libfoo.so.1.1", "libfoo.so.1", &["libc.so.6"])
                .library("lib64/libfoo.so.2.0", "libfoo.so.2", &["libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libfoo.so.1
            add    coreos/amd64/a lib64/libfoo.so.1.1
            drop   coreos/amd64/a lib64/libfoo.so.1.0
        "#]]);
}

#[test]
fn journald_and_its_unit_require_each_other() {
    let unit = "[Service]\nExecStart=/usr/lib/systemd/systemd-journald\n";
    Row::amd64()
        .with_manifest("coreos/systemd", &["lib64/systemd/systemd-journald"])
        .with_image(|image| {
            image
                .program("lib64/systemd/systemd-journald", &["libc.so.6"])
                .text("lib64/systemd/system/systemd-journald.service", unit)
        })
        .assert_bump(&expect![[r#"
            LEFT   needs-unlisted coreos/amd64/systemd:1 lib64/systemd/system/systemd-journald.service needed by lib64/systemd/systemd-journald
        "#]]);
    Row::amd64()
        .with_manifest("coreos/journald", &["lib64/systemd/system/systemd-journald.service"])
        .with_image(|image| {
            image
                .program("lib64/systemd/systemd-journald", &["libc.so.6"])
                .text("lib64/systemd/system/systemd-journald.service", unit)
        })
        .assert_bump(&expect![[r#"
            LEFT   needs-unlisted coreos/amd64/journald:1 lib64/systemd/systemd-journald needed by lib64/systemd/system/systemd-journald.service
        "#]]);
}

#[test]
fn unlisted_unit_program_is_reported_unless_optional() {
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/systemd/system/x.service"])
        .with_image(|image| {
            let unit = "[Service]\nExecStart=/usr/bin/x --y\nExecStopPost=-/usr/bin/may-fail\n";
            image
                .program("bin/x", &["libc.so.6"])
                .program("bin/may-fail", &["libc.so.6"])
                .text("lib64/systemd/system/x.service", unit)
        })
        .assert_bump(&expect![[r#"
            LEFT   needs-unlisted coreos/amd64/a:1 bin/x needed by lib64/systemd/system/x.service
        "#]]);
}

#[test]
fn file_for_another_machine_is_left() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x"])
        .with_image(|image| image.elf("bin/x", ElfStub::program(Board::Arm64).needs(["libc.so.6"])))
        .assert_bump(&expect![[r#"
            LEFT   wrong-machine coreos/amd64/a:1 bin/x
        "#]]);
}

#[test]
fn listed_directory_includes_its_files() {
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/tools"])
        .with_image(|image| {
            image.program("lib64/tools/x", &["libz.so.1", "libc.so.6"]).library(
                "lib64/libz.so.1.2.8",
                "libz.so.1",
                &["libc.so.6"],
            )
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libz.so.1
            add    coreos/amd64/a lib64/libz.so.1.2.8
        "#]]);
}

#[test]
fn static_program_has_no_dependencies() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x"])
        .with_image(|image| image.elf("bin/x", ElfStub::static_program(Board::Amd64)))
        .assert_bump(&expect![[""]]);
}

#[test]
fn library_is_found_by_the_rpath_of_its_program() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x"])
        .with_image(|image| {
            let x = ElfStub::program(Board::Amd64)
                .needs(["libown.so.1", "libc.so.6"])
                .rpath("$ORIGIN/../lib64/x");
            image.elf("bin/x", x).library("lib64/x/libown.so.1.0", "libown.so.1", &["libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/x/libown.so.1
            add    coreos/amd64/a lib64/x/libown.so.1.0
        "#]]);
}
