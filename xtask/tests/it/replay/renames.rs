//! Renamed files: a path is replaced by one of the same stem (category A of the history).

use expect_test::expect;

use super::row::Row;

#[test]
fn glibc_file_is_renamed_by_its_version() {
    Row::amd64()
        .with_manifest("coreos/bash", &["bin/bash", "lib64/libdl-2.21.so", "lib64/libdl.so.2"])
        .with_manifest(
            "kvm/sshd",
            &[
                "lib64/libnsl-2.21.so",
                "lib64/libnsl.so.1",
                "lib64/libnss_compat-2.21.so",
                "lib64/libnss_compat.so.2",
            ],
        )
        .with_image(|image| {
            image
                .program("bin/bash", &["libdl.so.2", "libc.so.6"])
                .library("lib64/libdl-2.23.so", "libdl.so.2", &["libc.so.6"])
                .library("lib64/libnsl-2.23.so", "libnsl.so.1", &["libc.so.6"])
                .library("lib64/libnss_compat-2.23.so", "libnss_compat.so.2", &["libnsl.so.1", "libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            rename coreos/amd64/bash lib64/libdl-2.21.so -> lib64/libdl-2.23.so
            rename kvm/amd64/sshd lib64/libnsl-2.21.so -> lib64/libnsl-2.23.so
            rename kvm/amd64/sshd lib64/libnss_compat-2.21.so -> lib64/libnss_compat-2.23.so
        "#]]);
}

#[test]
fn loader_is_renamed_by_its_version() {
    Row::amd64()
        .with_manifest("coreos/loader", &["lib64/ld-2.21.so"])
        .with_kvm_link("loader")
        .with_image(|image| {
            image.without("lib64/ld-linux-x86-64.so.2").library(
                "lib64/ld-2.23.so",
                "ld-linux-x86-64.so.2",
                &[],
            )
        })
        .assert_bump(&expect![[r#"
            rename coreos/amd64/loader lib64/ld-2.21.so -> lib64/ld-2.23.so
        "#]]);
}

#[test]
fn real_file_of_a_chain_is_renamed() {
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/libz.so", "lib64/libz.so.1", "lib64/libz.so.1.2.8"])
        .with_manifest("kvm/b", &["lib64/libz.so.1", "lib64/libz.so.1.2.8"])
        .with_image(|image| {
            image.library_with_linker_name("lib64/libz.so.1.2.11", "libz.so.1", &["libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            rename coreos/amd64/a lib64/libz.so.1.2.8 -> lib64/libz.so.1.2.11
            rename kvm/amd64/b lib64/libz.so.1.2.8 -> lib64/libz.so.1.2.11
        "#]]);
}

#[test]
fn soname_link_is_renamed_with_its_file() {
    Row::amd64()
        .with_manifest(
            "coreos/a",
            &["bin/x", "lib64/libgcrypt.so", "lib64/libgcrypt.so.11", "lib64/libgcrypt.so.11.8.2"],
        )
        .with_image(|image| {
            image.program("bin/x", &["libgcrypt.so.20", "libc.so.6"]).library_with_linker_name(
                "lib64/libgcrypt.so.20.0.3",
                "libgcrypt.so.20",
                &["libc.so.6"],
            )
        })
        .assert_bump(&expect![[r#"
            rename coreos/amd64/a lib64/libgcrypt.so.11 -> lib64/libgcrypt.so.20
            rename coreos/amd64/a lib64/libgcrypt.so.11.8.2 -> lib64/libgcrypt.so.20.0.3
        "#]]);
}

#[test]
fn soname_without_a_link_is_renamed() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libcrypto.so.1.0.0"])
        .with_image(|image| {
            image.program("bin/x", &["libcrypto.so.1.1", "libc.so.6"]).library(
                "lib64/libcrypto.so.1.1",
                "libcrypto.so.1.1",
                &["libc.so.6"],
            )
        })
        .assert_bump(&expect![[r#"
            rename coreos/amd64/a lib64/libcrypto.so.1.0.0 -> lib64/libcrypto.so.1.1
        "#]]);
}

#[test]
fn libsystemd_shared_is_renamed_by_its_version() {
    Row::amd64()
        .with_manifest("coreos/systemd", &["lib64/systemd/libsystemd-shared-231.so", "lib64/systemd/systemd"])
        .with_image(|image| {
            let shared = "lib64/systemd/libsystemd-shared-233.so";
            let image = image.library(shared, "libsystemd-shared-233.so", &["libc.so.6"]);
            super::row::with_systemd(image, "233", &["libsystemd-shared-233.so", "libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            rename coreos/amd64/systemd lib64/systemd/libsystemd-shared-231.so -> lib64/systemd/libsystemd-shared-233.so
        "#]]);
}

#[test]
fn version_with_another_length_is_a_rename() {
    Row::amd64()
        .with_manifest(
            "coreos/a",
            &[
                "lib64/libpcre.so.1",
                "lib64/libpcre.so.1.2.4",
                "lib64/libkmod.so.2",
                "lib64/libkmod.so.2.2.11",
            ],
        )
        .with_image(|image| {
            image.library("lib64/libpcre.so.1.2", "libpcre.so.1", &["libc.so.6"]).library(
                "lib64/libkmod.so.2.3.0.1",
                "libkmod.so.2",
                &["libc.so.6"],
            )
        })
        .assert_bump(&expect![[r#"
            rename coreos/amd64/a lib64/libkmod.so.2.2.11 -> lib64/libkmod.so.2.3.0.1
            rename coreos/amd64/a lib64/libpcre.so.1.2.4 -> lib64/libpcre.so.1.2
        "#]]);
}

#[test]
fn manifest_shared_with_kvm_is_fixed_once() {
    Row::amd64()
        .with_manifest("coreos/bash", &["lib64/libreadline.so.6", "lib64/libreadline.so.6.3"])
        .with_kvm_link("bash")
        .with_image(|image| image.library("lib64/libreadline.so.6.4", "libreadline.so.6", &["libc.so.6"]))
        .assert_bump(&expect![[r#"
            rename coreos/amd64/bash lib64/libreadline.so.6.3 -> lib64/libreadline.so.6.4
        "#]]);
}

#[test]
fn ambiguous_rename_is_not_applied() {
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/libfoo.so.1.0"])
        .with_image(|image| {
            image.library("lib64/libfoo.so.2.0", "libfoo.so.2", &["libc.so.6"]).library(
                "lib64/libfoo.so.3.0",
                "libfoo.so.3",
                &["libc.so.6"],
            )
        })
        .assert_bump(&expect![[r#"
            LEFT   missing coreos/amd64/a:1 lib64/libfoo.so.1.0 candidates lib64/libfoo.so.2.0 lib64/libfoo.so.3.0
        "#]]);
}

#[test]
fn listed_link_decides_among_several_candidates() {
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/libfoo.so.1", "lib64/libfoo.so.1.0"])
        .with_image(|image| {
            image.library("lib64/libfoo.so.1.1", "libfoo.so.1", &["libc.so.6"]).library(
                "lib64/libfoo.so.2.0",
                "libfoo.so.2",
                &["libc.so.6"],
            )
        })
        .assert_bump(&expect![[r#"
            rename coreos/amd64/a lib64/libfoo.so.1.0 -> lib64/libfoo.so.1.1
        "#]]);
}

#[test]
fn real_file_follows_the_soname_prefix_of_its_name() {
    Row::amd64()
        .with_manifest(
            "coreos/a",
            &["lib64/libfoo.so.1", "lib64/libfoo.so.1.0", "lib64/libfoo.so.2", "lib64/libfoo.so.2.0"],
        )
        .with_image(|image| {
            image.library("lib64/libfoo.so.1.1", "libfoo.so.1", &["libc.so.6"]).library(
                "lib64/libfoo.so.2.1",
                "libfoo.so.2",
                &["libc.so.6"],
            )
        })
        .assert_bump(&expect![[r#"
            rename coreos/amd64/a lib64/libfoo.so.1.0 -> lib64/libfoo.so.1.1
            rename coreos/amd64/a lib64/libfoo.so.2.0 -> lib64/libfoo.so.2.1
        "#]]);
}

#[test]
fn candidate_in_the_same_directory_is_preferred() {
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/libfoo.so.1.0"])
        .with_image(|image| {
            image.library("lib64/libfoo.so.1.1", "libfoo.so.1.1", &["libc.so.6"]).library(
                "lib64/systemd/libfoo.so.1.2",
                "libfoo.so.1.2",
                &["libc.so.6"],
            )
        })
        .assert_bump(&expect![[r#"
            rename coreos/amd64/a lib64/libfoo.so.1.0 -> lib64/libfoo.so.1.1
        "#]]);
}
