//! Bucket A of the history: one path goes, one of the same stem comes.

use expect_test::expect;

use super::row::Row;

#[test]
fn glibc_puts_its_own_version_into_the_name() {
    Row::amd64()
        .lists("coreos/bash", &["bin/bash", "lib64/libdl-2.21.so", "lib64/libdl.so.2"])
        .lists(
            "kvm/sshd",
            &[
                "lib64/libnsl-2.21.so",
                "lib64/libnsl.so.1",
                "lib64/libnss_compat-2.21.so",
                "lib64/libnss_compat.so.2",
            ],
        )
        .has(|image| {
            image
                .program("bin/bash", &["libdl.so.2", "libc.so.6"])
                .library("lib64/libdl-2.23.so", "libdl.so.2", &["libc.so.6"])
                .library("lib64/libnsl-2.23.so", "libnsl.so.1", &["libc.so.6"])
                .library("lib64/libnss_compat-2.23.so", "libnss_compat.so.2", &["libnsl.so.1", "libc.so.6"])
        })
        .gives(&expect![[r#"
            rename coreos/amd64/bash lib64/libdl-2.21.so -> lib64/libdl-2.23.so
            rename kvm/amd64/sshd lib64/libnsl-2.21.so -> lib64/libnsl-2.23.so
            rename kvm/amd64/sshd lib64/libnss_compat-2.21.so -> lib64/libnss_compat-2.23.so
        "#]]);
}

#[test]
fn the_loader_has_a_version_in_its_name_too() {
    Row::amd64()
        .lists("coreos/loader", &["lib64/ld-2.21.so"])
        .kvm_links("loader")
        .has(|image| {
            image.without("lib64/ld-linux-x86-64.so.2").library(
                "lib64/ld-2.23.so",
                "ld-linux-x86-64.so.2",
                &[],
            )
        })
        .gives(&expect![[r#"
            rename coreos/amd64/loader lib64/ld-2.21.so -> lib64/ld-2.23.so
        "#]]);
}

#[test]
fn the_real_file_of_a_chain_gets_a_higher_version() {
    Row::amd64()
        .lists("coreos/a", &["lib64/libz.so", "lib64/libz.so.1", "lib64/libz.so.1.2.8"])
        .lists("kvm/b", &["lib64/libz.so.1", "lib64/libz.so.1.2.8"])
        .has(|image| image.library_with_dev("lib64/libz.so.1.2.11", "libz.so.1", &["libc.so.6"]))
        .gives(&expect![[r#"
            rename coreos/amd64/a lib64/libz.so.1.2.8 -> lib64/libz.so.1.2.11
            rename kvm/amd64/b lib64/libz.so.1.2.8 -> lib64/libz.so.1.2.11
        "#]]);
}

#[test]
fn a_soname_moves_on_with_its_real_file() {
    Row::amd64()
        .lists(
            "coreos/a",
            &["bin/x", "lib64/libgcrypt.so", "lib64/libgcrypt.so.11", "lib64/libgcrypt.so.11.8.2"],
        )
        .has(|image| {
            image.program("bin/x", &["libgcrypt.so.20", "libc.so.6"]).library_with_dev(
                "lib64/libgcrypt.so.20.0.3",
                "libgcrypt.so.20",
                &["libc.so.6"],
            )
        })
        .gives(&expect![[r#"
            rename coreos/amd64/a lib64/libgcrypt.so.11 -> lib64/libgcrypt.so.20
            rename coreos/amd64/a lib64/libgcrypt.so.11.8.2 -> lib64/libgcrypt.so.20.0.3
        "#]]);
}

#[test]
fn a_soname_moves_on_that_is_the_file_itself() {
    Row::amd64()
        .lists("coreos/a", &["bin/x", "lib64/libcrypto.so.1.0.0"])
        .has(|image| {
            image.program("bin/x", &["libcrypto.so.1.1", "libc.so.6"]).library(
                "lib64/libcrypto.so.1.1",
                "libcrypto.so.1.1",
                &["libc.so.6"],
            )
        })
        .gives(&expect![[r#"
            rename coreos/amd64/a lib64/libcrypto.so.1.0.0 -> lib64/libcrypto.so.1.1
        "#]]);
}

#[test]
fn systemds_shared_library_has_the_version_in_its_soname() {
    Row::amd64()
        .lists("coreos/systemd", &["lib64/systemd/libsystemd-shared-231.so", "lib64/systemd/systemd"])
        .has(|image| {
            let shared = "lib64/systemd/libsystemd-shared-233.so";
            let image = image.library(shared, "libsystemd-shared-233.so", &["libc.so.6"]);
            super::row::systemd_of(image, "233", &["libsystemd-shared-233.so", "libc.so.6"])
        })
        .gives(&expect![[r#"
            rename coreos/amd64/systemd lib64/systemd/libsystemd-shared-231.so -> lib64/systemd/libsystemd-shared-233.so
        "#]]);
}

#[test]
fn a_new_version_may_have_more_or_fewer_numbers() {
    Row::amd64()
        .lists(
            "coreos/a",
            &[
                "lib64/libpcre.so.1",
                "lib64/libpcre.so.1.2.4",
                "lib64/libkmod.so.2",
                "lib64/libkmod.so.2.2.11",
            ],
        )
        .has(|image| {
            image.library("lib64/libpcre.so.1.2", "libpcre.so.1", &["libc.so.6"]).library(
                "lib64/libkmod.so.2.3.0.1",
                "libkmod.so.2",
                &["libc.so.6"],
            )
        })
        .gives(&expect![[r#"
            rename coreos/amd64/a lib64/libkmod.so.2.2.11 -> lib64/libkmod.so.2.3.0.1
            rename coreos/amd64/a lib64/libpcre.so.1.2.4 -> lib64/libpcre.so.1.2
        "#]]);
}

#[test]
fn a_manifest_that_kvm_links_to_is_mended_once() {
    Row::amd64()
        .lists("coreos/bash", &["lib64/libreadline.so.6", "lib64/libreadline.so.6.3"])
        .kvm_links("bash")
        .has(|image| image.library("lib64/libreadline.so.6.4", "libreadline.so.6", &["libc.so.6"]))
        .gives(&expect![[r#"
            rename coreos/amd64/bash lib64/libreadline.so.6.3 -> lib64/libreadline.so.6.4
        "#]]);
}

#[test]
fn of_several_that_could_have_come_of_it_none_is_taken() {
    Row::amd64()
        .lists("coreos/a", &["lib64/libfoo.so.1.0"])
        .has(|image| {
            image.library("lib64/libfoo.so.2.0", "libfoo.so.2", &["libc.so.6"]).library(
                "lib64/libfoo.so.3.0",
                "libfoo.so.3",
                &["libc.so.6"],
            )
        })
        .gives(&expect![[r#"
            LEFT   missing coreos/amd64/a:1 lib64/libfoo.so.1.0 candidates lib64/libfoo.so.2.0 lib64/libfoo.so.3.0
        "#]]);
}

#[test]
fn of_several_the_link_that_is_listed_tells_the_right_one() {
    Row::amd64()
        .lists("coreos/a", &["lib64/libfoo.so.1", "lib64/libfoo.so.1.0"])
        .has(|image| {
            image.library("lib64/libfoo.so.1.1", "libfoo.so.1", &["libc.so.6"]).library(
                "lib64/libfoo.so.2.0",
                "libfoo.so.2",
                &["libc.so.6"],
            )
        })
        .gives(&expect![[r#"
            rename coreos/amd64/a lib64/libfoo.so.1.0 -> lib64/libfoo.so.1.1
        "#]]);
}

#[test]
fn a_real_file_follows_the_soname_that_its_name_begins_with() {
    Row::amd64()
        .lists(
            "coreos/a",
            &["lib64/libfoo.so.1", "lib64/libfoo.so.1.0", "lib64/libfoo.so.2", "lib64/libfoo.so.2.0"],
        )
        .has(|image| {
            image.library("lib64/libfoo.so.1.1", "libfoo.so.1", &["libc.so.6"]).library(
                "lib64/libfoo.so.2.1",
                "libfoo.so.2",
                &["libc.so.6"],
            )
        })
        .gives(&expect![[r#"
            rename coreos/amd64/a lib64/libfoo.so.1.0 -> lib64/libfoo.so.1.1
            rename coreos/amd64/a lib64/libfoo.so.2.0 -> lib64/libfoo.so.2.1
        "#]]);
}

#[test]
fn of_several_the_one_in_the_same_directory_is_taken() {
    Row::amd64()
        .lists("coreos/a", &["lib64/libfoo.so.1.0"])
        .has(|image| {
            image.library("lib64/libfoo.so.1.1", "libfoo.so.1.1", &["libc.so.6"]).library(
                "lib64/systemd/libfoo.so.1.2",
                "libfoo.so.1.2",
                &["libc.so.6"],
            )
        })
        .gives(&expect![[r#"
            rename coreos/amd64/a lib64/libfoo.so.1.0 -> lib64/libfoo.so.1.1
        "#]]);
}
