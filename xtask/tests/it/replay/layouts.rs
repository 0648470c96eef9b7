//! Boards, moved directories, and the older manifest directory.

use expect_test::expect;

use super::row::Row;
use coreos_types::Board;

#[test]
fn arm64_libraries_and_systemd_differ_in_directory() {
    Row::both_boards()
        .with_manifest(
            "coreos/systemd",
            &["lib64/libgcrypt.so.20", "lib64/libgcrypt.so.20.0.5", "lib64/systemd/systemd"],
        )
        .with_manifest_for(
            Board::Arm64,
            "coreos/systemd",
            &["lib/systemd/systemd", "lib64/libgcrypt.so.20", "lib64/libgcrypt.so.20.1.3"],
        )
        .with_image_for(Board::Amd64, |image| {
            let image = image
                .library("lib64/libgcrypt.so.20.1.6", "libgcrypt.so.20", &["libc.so.6"])
                .library_with_linker_name("lib64/libpam.so.0.84.1", "libpam.so.0", &["libc.so.6"]);
            super::row::with_systemd(image, "229", &["libgcrypt.so.20", "libpam.so.0", "libc.so.6"])
        })
        .with_image_for(Board::Arm64, |image| {
            let image = image
                .library("lib64/libgcrypt.so.20.1.6", "libgcrypt.so.20", &["libc.so.6"])
                .library_with_linker_name("lib64/libpam.so.0.84.1", "libpam.so.0", &["libc.so.6"]);
            super::row::with_systemd(image, "229", &["libgcrypt.so.20", "libpam.so.0", "libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            rename coreos/amd64/systemd lib64/libgcrypt.so.20.0.5 -> lib64/libgcrypt.so.20.1.6
            add    coreos/amd64/systemd lib64/libpam.so.0
            add    coreos/amd64/systemd lib64/libpam.so.0.84.1
            rename coreos/arm64/systemd lib64/libgcrypt.so.20.1.3 -> lib64/libgcrypt.so.20.1.6
            add    coreos/arm64/systemd lib64/libpam.so.0
            add    coreos/arm64/systemd lib64/libpam.so.0.84.1
        "#]]);
}

#[test]
fn systemd_moves_out_of_lib64_with_its_files() {
    let moved = |name: &str| format!("lib64/systemd/{name}");
    let lines = [
        moved("system-sleep"),
        moved("system/systemd-journald.service"),
        moved("systemd"),
        moved("systemd-journald"),
        moved("systemd-logind"),
    ];
    Row::flatcar()
        .with_manifest("coreos/systemd", &lines.iter().map(String::as_str).collect::<Vec<_>>())
        .with_image(|image| {
            image
                .directory("lib/systemd/system-sleep")
                .text(
                    "lib/systemd/system/systemd-journald.service",
                    "[Service]\nExecStart=/usr/lib/systemd/systemd-journald\n",
                )
                .program("lib/systemd/systemd-journald", &["libc.so.6"])
                .program("lib/systemd/systemd-logind", &["libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            drop   coreos/amd64/base lib
            move   coreos/amd64/systemd lib64/systemd/system-sleep -> lib/systemd/system-sleep
            move   coreos/amd64/systemd lib64/systemd/system/systemd-journald.service -> lib/systemd/system/systemd-journald.service
            move   coreos/amd64/systemd lib64/systemd/systemd -> lib/systemd/systemd
            move   coreos/amd64/systemd lib64/systemd/systemd-journald -> lib/systemd/systemd-journald
            move   coreos/amd64/systemd lib64/systemd/systemd-logind -> lib/systemd/systemd-logind
        "#]]);
}

#[test]
fn sbin_as_a_link_to_bin_moves_programs() {
    Row::flatcar()
        .with_manifest("kvm/sshd", &["bin/chown", "sbin/sshd"])
        .with_image(|image| image.program("bin/chown", &["libc.so.6"]).program("bin/sshd", &["libc.so.6"]))
        .assert_bump(&expect![[r#"
            drop   coreos/amd64/base lib
            move   kvm/amd64/sshd sbin/sshd -> bin/sshd
        "#]]);
}

#[test]
fn data_file_moves_only_with_its_directory() {
    Row::amd64()
        .with_manifest("coreos/a", &["share/old/a", "share/gone/a"])
        .with_image(|image| image.text("share/new/a", "a").link("share/old", "new"))
        .assert_bump(&expect![[r#"
            move   coreos/amd64/a share/old/a -> share/new/a
            LEFT   missing coreos/amd64/a:2 share/gone/a
        "#]]);
}

#[test]
fn program_or_library_moves_by_name_but_unit_does_not() {
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/old/tool", "lib64/systemd/system/x.service", "share/bash"])
        .with_image(|image| {
            image
                .program("bin/bash", &["libc.so.6"])
                .text("lib64/new/tool", "a")
                .text("lib64/systemd/user/x.service", "[Service]\n")
        })
        .assert_bump(&expect![[r#"
            LEFT   missing coreos/amd64/a:1 lib64/old/tool candidates lib64/new/tool
            LEFT   missing coreos/amd64/a:2 lib64/systemd/system/x.service candidates lib64/systemd/user/x.service
            LEFT   missing coreos/amd64/a:3 share/bash candidates bin/bash
        "#]]);
}

#[test]
fn old_manifest_d_directory_is_amd64() {
    Row::amd64()
        .with_manifest("coreos/systemd", &["bin/nspawn", "lib64/libz.so.1", "lib64/libz.so.1.2.7"])
        .in_manifest_d()
        .with_image(|image| {
            image
                .library("lib64/libz.so.1.2.8", "libz.so.1", &["libc.so.6"])
                .library("lib64/libip4tc.so.0.1.0", "libip4tc.so.0", &["libc.so.6"])
                .program("bin/nspawn", &["libip4tc.so.0", "libz.so.1", "libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            rename coreos/manifest.d/systemd lib64/libz.so.1.2.7 -> lib64/libz.so.1.2.8
            add    coreos/manifest.d/systemd lib64/libip4tc.so.0
            add    coreos/manifest.d/systemd lib64/libip4tc.so.0.1.0
        "#]]);
}

#[test]
fn locale_order_of_lines_is_preserved() {
    // en_US.UTF-8 ignores dots and slashes on the first level: libcap.so before libc.so.6.
    Row::amd64()
        .with_manifest(
            "coreos/a",
            &["bin/x", "lib64/libcap.so.2", "lib64/libcap.so.2.24", "lib64/libc.so.6", "lib64/libz.so.1"],
        )
        .with_image(|image| {
            image
                .library("lib64/libcap.so.2.25", "libcap.so.2", &["libc.so.6"])
                .library("lib64/libz.so.1", "libz.so.1", &["libc.so.6"])
                .library("lib64/libcryptsetup.so.4", "libcryptsetup.so.4", &["libc.so.6"])
                .program("bin/x", &["libcap.so.2", "libcryptsetup.so.4", "libc.so.6"])
        })
        .assert_bump_and_manifest(
            &expect![[r#"
            rename coreos/amd64/a lib64/libcap.so.2.24 -> lib64/libcap.so.2.25
            add    coreos/amd64/a lib64/libcryptsetup.so.4
        "#]],
            "coreos/a",
            &[
                "bin/x",
                "lib64/libcap.so.2",
                "lib64/libcap.so.2.25",
                "lib64/libcryptsetup.so.4",
                "lib64/libc.so.6",
                "lib64/libz.so.1",
            ],
        );
}
