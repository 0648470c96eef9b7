//! New dependencies of listed programs and libraries (categories B and C of the history).

use expect_test::expect;

use super::row::Row;
use coreos_types::Board;
use release_fixture::elf::ElfStub;

#[test]
fn new_dependency_is_added_with_its_links() {
    Row::amd64()
        .with_manifest(
            "coreos/systemd",
            &["lib64/libcap.so", "lib64/libcap.so.2", "lib64/libcap.so.2.24", "lib64/systemd/systemd-logind"],
        )
        .with_image(|image| {
            image
                .library_with_linker_name("lib64/libcap.so.2.24", "libcap.so.2", &["libc.so.6"])
                .library_with_linker_name("lib64/libpam.so.0.84.1", "libpam.so.0", &["libc.so.6"])
                .program("lib64/systemd/systemd-logind", &["libcap.so.2", "libpam.so.0", "libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/systemd lib64/libpam.so.0
            add    coreos/amd64/systemd lib64/libpam.so
            add    coreos/amd64/systemd lib64/libpam.so.0.84.1
        "#]]);
}

#[test]
fn dev_link_to_another_version_is_not_added() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libcap.so", "lib64/libcap.so.2"])
        .with_image(|image| {
            image
                .library_with_linker_name("lib64/libcap.so.2", "libcap.so.2", &["libc.so.6"])
                .library("lib64/libpam.so.0", "libpam.so.0", &["libc.so.6"])
                .library_with_linker_name("lib64/libpam.so.1", "libpam.so.1", &["libc.so.6"])
                .program("bin/x", &["libcap.so.2", "libpam.so.0", "libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libpam.so.0
        "#]]);
}

#[test]
fn manifest_without_dev_links_gets_no_dev_link() {
    Row::amd64()
        .with_manifest("kvm/sshd", &["lib64/libz.so.1", "lib64/libz.so.1.2.8", "sbin/sshd"])
        .with_image(|image| {
            image
                .library_with_linker_name("lib64/libz.so.1.2.8", "libz.so.1", &["libc.so.6"])
                .library_with_linker_name(
                    "lib64/libgssapi_krb5.so.2.2",
                    "libgssapi_krb5.so.2",
                    &["libkrb5.so.3", "libc.so.6"],
                )
                .library_with_linker_name(
                    "lib64/libkrb5.so.3.3",
                    "libkrb5.so.3",
                    &["libcom_err.so.2", "libc.so.6"],
                )
                .library_with_linker_name("lib64/libcom_err.so.2.1", "libcom_err.so.2", &["libc.so.6"])
                .program("sbin/sshd", &["libz.so.1", "libgssapi_krb5.so.2", "libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    kvm/amd64/sshd lib64/libcom_err.so.2
            add    kvm/amd64/sshd lib64/libcom_err.so.2.1
            add    kvm/amd64/sshd lib64/libgssapi_krb5.so.2
            add    kvm/amd64/sshd lib64/libgssapi_krb5.so.2.2
            add    kvm/amd64/sshd lib64/libkrb5.so.3
            add    kvm/amd64/sshd lib64/libkrb5.so.3.3
        "#]]);
}

#[test]
fn library_named_by_its_soname_is_one_line() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x"])
        .with_image(|image| {
            image
                .library("lib64/libselinux.so.1", "libselinux.so.1", &["libpcre.so.1", "libc.so.6"])
                .library("lib64/libpcre.so.1.2.6", "libpcre.so.1", &["libc.so.6"])
                .program("bin/x", &["libselinux.so.1", "libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libpcre.so.1
            add    coreos/amd64/a lib64/libpcre.so.1.2.6
            add    coreos/amd64/a lib64/libselinux.so.1
        "#]]);
}

#[test]
fn dependency_of_a_shared_manifest_is_added_once() {
    Row::amd64()
        .with_manifest("coreos/systemd", &["bin/systemctl"])
        .with_kvm_link("systemd")
        .with_manifest("kvm/sshd", &["sbin/sshd"])
        .with_image(|image| {
            image
                .library("lib64/libpam.so.0.84.1", "libpam.so.0", &["libc.so.6"])
                .library("lib64/libcrypto.so.1.0.0", "libcrypto.so.1.0.0", &["libc.so.6"])
                .program("bin/systemctl", &["libpam.so.0", "libc.so.6"])
                .program("sbin/sshd", &["libpam.so.0", "libcrypto.so.1.0.0", "libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/systemd lib64/libpam.so.0
            add    coreos/amd64/systemd lib64/libpam.so.0.84.1
            add    kvm/amd64/sshd lib64/libcrypto.so.1.0.0
        "#]]);
}

#[test]
fn dependency_of_kvm_is_added_to_kvm() {
    Row::amd64()
        .with_manifest("coreos/systemd", &["bin/systemctl"])
        .with_manifest("kvm/ip", &["bin/ip"])
        .with_image(|image| {
            image
                .library("lib64/libmnl.so.0.2.0", "libmnl.so.0", &["libc.so.6"])
                .program("bin/systemctl", &["libc.so.6"])
                .program("bin/ip", &["libmnl.so.0", "libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    kvm/amd64/ip lib64/libmnl.so.0
            add    kvm/amd64/ip lib64/libmnl.so.0.2.0
        "#]]);
}

#[test]
fn private_library_is_found_by_runpath() {
    Row::amd64()
        .with_manifest("coreos/systemd", &["lib64/systemd/systemd"])
        .with_image(|image| {
            let systemd = ElfStub::program(Board::Amd64)
                .needs(["libsystemd-core-252.so", "libsystemd-shared-252.so", "libc.so.6"])
                .runpath("/usr/lib64/systemd")
                .systemd_version("252");
            image
                .elf("lib64/systemd/systemd", systemd)
                .library(
                    "lib64/systemd/libsystemd-core-252.so",
                    "libsystemd-core-252.so",
                    &["libsystemd-shared-252.so", "libc.so.6"],
                )
                .library("lib64/systemd/libsystemd-shared-252.so", "libsystemd-shared-252.so", &["libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/systemd lib64/systemd/libsystemd-core-252.so
            add    coreos/amd64/systemd lib64/systemd/libsystemd-shared-252.so
        "#]]);
}

#[test]
fn dependency_missing_in_the_image_is_reported() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x"])
        .with_image(|image| image.program("bin/x", &["libgone.so.1", "libc.so.6"]))
        .assert_bump(&expect![[r#"
            LEFT   needs-nowhere coreos/amd64/a:1 libgone.so.1 needed by bin/x
        "#]]);
}

#[test]
fn library_for_32_bit_is_ignored() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x"])
        .with_image(|image| {
            image
                .program("bin/x", &["libz.so.1", "libc.so.6"])
                .elf("lib64/systemd/libz.so.1", ElfStub::library(Board::Amd64, "libz.so.1").for_32_bit(3))
                .library("lib64/libz.so.1.2.8", "libz.so.1", &["libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libz.so.1
            add    coreos/amd64/a lib64/libz.so.1.2.8
        "#]]);
}

#[test]
fn line_without_dependents_is_preserved() {
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/libitm.so.1", "lib64/libitm.so.1.0.0"])
        .with_image(|image| image.library("lib64/libitm.so.1.0.0", "libitm.so.1", &["libc.so.6"]))
        .assert_bump(&expect![[""]]);
}

#[test]
fn missing_soname_link_of_a_listed_file_is_added() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libz.so.1.2.8"])
        .with_image(|image| {
            image.program("bin/x", &["libz.so.1", "libc.so.6"]).library(
                "lib64/libz.so.1.2.8",
                "libz.so.1",
                &["libc.so.6"],
            )
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libz.so.1
        "#]]);
}

#[test]
fn library_is_resolved_in_its_programs() {
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/own/libcore.so.1", "lib64/own/libshared.so.1", "libexec/x"])
        .with_image(|image| {
            let x = ElfStub::program(Board::Amd64).needs(["libcore.so.1"]).runpath("/usr/lib64/own");
            image
                .elf("libexec/x", x.needs(["libshared.so.1"]))
                .library("lib64/own/libcore.so.1", "libcore.so.1", &["libshared.so.1"])
                .library("lib64/own/libshared.so.1", "libshared.so.1", &["libc.so.6"])
        })
        .assert_bump(&expect![[""]]);
}

#[test]
fn dependency_in_another_directory_is_satisfied() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libz.so.1", "lib64/x86_64-linux-gnu/liby.so.1"])
        .with_image(|image| {
            image
                .program("bin/x", &["libz.so.1", "liby.so.1", "libc.so.6"])
                .library("lib64/libz.so.1", "libz.so.1", &["libc.so.6"])
                .library("lib64/systemd/libz.so.1", "libz.so.1", &["libc.so.6"])
                .library("lib64/x86_64-linux-gnu/liby.so.1", "liby.so.1", &["libc.so.6"])
        })
        .assert_bump(&expect![[""]]);
    // An added library that needs it does not add it either.
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libb.so.1", "lib64/libz.so.1"])
        .with_image(|image| {
            image
                .program("bin/x", &["liba.so.1", "libb.so.1", "libc.so.6"])
                .library("lib64/liba.so.1", "liba.so.1", &["libz.so.1"])
                .library("lib64/libb.so.1", "libb.so.1", &["libz.so.1"])
                .library("lib64/libz.so.1", "libz.so.1", &["libc.so.6"])
                .library("lib64/systemd/libz.so.1", "libz.so.1", &["libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/liba.so.1
        "#]]);
}

#[test]
fn missing_link_of_a_searched_directory_is_added() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libz.so.1"])
        .with_image(|image| {
            let loader = ElfStub::library(Board::Amd64, "ld-linux-x86-64.so.2");
            image
                .elf("lib64/ld-linux-x86-64.so.2", loader.as_loader(["/lib/x86_64-linux-gnu/"]))
                .link("lib64/x86_64-linux-gnu", ".")
                .program("bin/x", &["libz.so.1", "libc.so.6"])
                .library("lib64/libz.so.1", "libz.so.1", &["libc.so.6"])
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/x86_64-linux-gnu
        "#]]);
}

/// rkt sets LD_LIBRARY_PATH for its stage1 only: a PID 1 that finds a library by nothing else exits with status 127.
#[test]
fn runpath_link_without_ld_library_path_is_added() {
    let debian = |lines: &[&str], runpath: &str| {
        let mut listed = vec!["lib64/systemd/libcore.so", "lib64/systemd/systemd"];
        listed.extend(lines);
        let systemd = ElfStub::program(Board::Amd64).needs(["libcore.so", "libc.so.6"]);
        let systemd = systemd.runpath(runpath).systemd_version("257");
        Row::amd64().with_manifest("coreos/systemd", &listed).with_image(|image| {
            image.link("lib64/x86_64-linux-gnu", ".").elf("lib64/systemd/systemd", systemd).library(
                "lib64/systemd/libcore.so",
                "libcore.so",
                &["libc.so.6"],
            )
        })
    };
    let multiarch = "/usr/lib/x86_64-linux-gnu/systemd";
    debian(&[], multiarch).assert_bump(&expect![[r#"
        add    coreos/amd64/systemd lib64/x86_64-linux-gnu
    "#]]);
    debian(&["lib64/x86_64-linux-gnu"], multiarch).assert_bump(&expect![[""]]);
    // If another directory of the RUNPATH has the library, or none has, nothing is missing.
    debian(&[], &format!("{multiarch}:/usr/lib/systemd")).assert_bump(&expect![[""]]);
    debian(&[], "/usr/lib/systemd").assert_bump(&expect![[""]]);
    debian(&[], "/usr/lib/elsewhere").assert_bump(&expect![[""]]);
    // Without LD_LIBRARY_PATH another file is found, which the loader also needs.
    debian(&[], "/usr/lib/other")
        .with_image(|image| image.library("lib64/other/libcore.so", "libcore.so", &["libc.so.6"]))
        .assert_bump(&expect![[r#"
            add    coreos/amd64/systemd lib64/other/libcore.so
        "#]]);
}
