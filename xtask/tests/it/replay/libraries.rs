//! Buckets B and C of the history: what listed programs and libraries came to need.

use expect_test::expect;

use super::row::Row;
use coreos_types::release::Board;
use release_fixture::elf::ElfStub;

#[test]
fn a_new_need_comes_as_a_whole_chain() {
    Row::amd64()
        .lists(
            "coreos/systemd",
            &["lib64/libcap.so", "lib64/libcap.so.2", "lib64/libcap.so.2.24", "lib64/systemd/systemd-logind"],
        )
        .has(|image| {
            image
                .library_with_dev("lib64/libcap.so.2.24", "libcap.so.2", &["libc.so.6"])
                .library_with_dev("lib64/libpam.so.0.84.1", "libpam.so.0", &["libc.so.6"])
                .program("lib64/systemd/systemd-logind", &["libcap.so.2", "libpam.so.0", "libc.so.6"])
        })
        .gives(&expect![[r#"
            add    coreos/amd64/systemd lib64/libpam.so.0
            add    coreos/amd64/systemd lib64/libpam.so
            add    coreos/amd64/systemd lib64/libpam.so.0.84.1
        "#]]);
}

#[test]
fn a_dev_link_to_another_version_does_not_come_with_it() {
    Row::amd64()
        .lists("coreos/a", &["bin/x", "lib64/libcap.so", "lib64/libcap.so.2"])
        .has(|image| {
            image
                .library_with_dev("lib64/libcap.so.2", "libcap.so.2", &["libc.so.6"])
                .library("lib64/libpam.so.0", "libpam.so.0", &["libc.so.6"])
                .library_with_dev("lib64/libpam.so.1", "libpam.so.1", &["libc.so.6"])
                .program("bin/x", &["libcap.so.2", "libpam.so.0", "libc.so.6"])
        })
        .gives(&expect![[r#"
            add    coreos/amd64/a lib64/libpam.so.0
        "#]]);
}

#[test]
fn a_manifest_without_dev_links_gets_none() {
    Row::amd64()
        .lists("kvm/sshd", &["lib64/libz.so.1", "lib64/libz.so.1.2.8", "sbin/sshd"])
        .has(|image| {
            image
                .library_with_dev("lib64/libz.so.1.2.8", "libz.so.1", &["libc.so.6"])
                .library_with_dev(
                    "lib64/libgssapi_krb5.so.2.2",
                    "libgssapi_krb5.so.2",
                    &["libkrb5.so.3", "libc.so.6"],
                )
                .library_with_dev("lib64/libkrb5.so.3.3", "libkrb5.so.3", &["libcom_err.so.2", "libc.so.6"])
                .library_with_dev("lib64/libcom_err.so.2.1", "libcom_err.so.2", &["libc.so.6"])
                .program("sbin/sshd", &["libz.so.1", "libgssapi_krb5.so.2", "libc.so.6"])
        })
        .gives(&expect![[r#"
            add    kvm/amd64/sshd lib64/libcom_err.so.2
            add    kvm/amd64/sshd lib64/libcom_err.so.2.1
            add    kvm/amd64/sshd lib64/libgssapi_krb5.so.2
            add    kvm/amd64/sshd lib64/libgssapi_krb5.so.2.2
            add    kvm/amd64/sshd lib64/libkrb5.so.3
            add    kvm/amd64/sshd lib64/libkrb5.so.3.3
        "#]]);
}

#[test]
fn a_library_that_is_its_own_soname_is_one_line() {
    Row::amd64()
        .lists("coreos/a", &["bin/x"])
        .has(|image| {
            image
                .library("lib64/libselinux.so.1", "libselinux.so.1", &["libpcre.so.1", "libc.so.6"])
                .library("lib64/libpcre.so.1.2.6", "libpcre.so.1", &["libc.so.6"])
                .program("bin/x", &["libselinux.so.1", "libc.so.6"])
        })
        .gives(&expect![[r#"
            add    coreos/amd64/a lib64/libpcre.so.1
            add    coreos/amd64/a lib64/libpcre.so.1.2.6
            add    coreos/amd64/a lib64/libselinux.so.1
        "#]]);
}

#[test]
fn both_flavors_that_need_it_get_it_and_a_linked_manifest_serves_both() {
    Row::amd64()
        .lists("coreos/systemd", &["bin/systemctl"])
        .kvm_links("systemd")
        .lists("kvm/sshd", &["sbin/sshd"])
        .has(|image| {
            image
                .library("lib64/libpam.so.0.84.1", "libpam.so.0", &["libc.so.6"])
                .library("lib64/libcrypto.so.1.0.0", "libcrypto.so.1.0.0", &["libc.so.6"])
                .program("bin/systemctl", &["libpam.so.0", "libc.so.6"])
                .program("sbin/sshd", &["libpam.so.0", "libcrypto.so.1.0.0", "libc.so.6"])
        })
        .gives(&expect![[r#"
            add    coreos/amd64/systemd lib64/libpam.so.0
            add    coreos/amd64/systemd lib64/libpam.so.0.84.1
            add    kvm/amd64/sshd lib64/libcrypto.so.1.0.0
        "#]]);
}

#[test]
fn a_need_of_kvm_alone_goes_to_kvm() {
    Row::amd64()
        .lists("coreos/systemd", &["bin/systemctl"])
        .lists("kvm/ip", &["bin/ip"])
        .has(|image| {
            image
                .library("lib64/libmnl.so.0.2.0", "libmnl.so.0", &["libc.so.6"])
                .program("bin/systemctl", &["libc.so.6"])
                .program("bin/ip", &["libmnl.so.0", "libc.so.6"])
        })
        .gives(&expect![[r#"
            add    kvm/amd64/ip lib64/libmnl.so.0
            add    kvm/amd64/ip lib64/libmnl.so.0.2.0
        "#]]);
}

#[test]
fn a_private_library_is_found_through_the_programs_runpath() {
    Row::amd64()
        .lists("coreos/systemd", &["lib64/systemd/systemd"])
        .has(|image| {
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
        .gives(&expect![[r#"
            add    coreos/amd64/systemd lib64/systemd/libsystemd-core-252.so
            add    coreos/amd64/systemd lib64/systemd/libsystemd-shared-252.so
        "#]]);
}

#[test]
fn a_need_that_the_image_does_not_have_is_left() {
    Row::amd64()
        .lists("coreos/a", &["bin/x"])
        .has(|image| image.program("bin/x", &["libgone.so.1", "libc.so.6"]))
        .gives(&expect![[r#"
            LEFT   needs-nowhere coreos/amd64/a:1 libgone.so.1 needed by bin/x
        "#]]);
}

#[test]
fn a_32_bit_twin_is_passed_over() {
    Row::amd64()
        .lists("coreos/a", &["bin/x"])
        .has(|image| {
            image
                .program("bin/x", &["libz.so.1", "libc.so.6"])
                .elf("lib64/systemd/libz.so.1", ElfStub::library(Board::Amd64, "libz.so.1").for_32_bit(3))
                .library("lib64/libz.so.1.2.8", "libz.so.1", &["libc.so.6"])
        })
        .gives(&expect![[r#"
            add    coreos/amd64/a lib64/libz.so.1
            add    coreos/amd64/a lib64/libz.so.1.2.8
        "#]]);
}

#[test]
fn what_is_listed_and_needed_by_nobody_stays() {
    Row::amd64()
        .lists("coreos/a", &["lib64/libitm.so.1", "lib64/libitm.so.1.0.0"])
        .has(|image| image.library("lib64/libitm.so.1.0.0", "libitm.so.1", &["libc.so.6"]))
        .gives(&expect![[""]]);
}

#[test]
fn the_soname_link_of_a_listed_real_file_is_added_where_a_program_needs_it() {
    Row::amd64()
        .lists("coreos/a", &["bin/x", "lib64/libz.so.1.2.8"])
        .has(|image| {
            image.program("bin/x", &["libz.so.1", "libc.so.6"]).library(
                "lib64/libz.so.1.2.8",
                "libz.so.1",
                &["libc.so.6"],
            )
        })
        .gives(&expect![[r#"
            add    coreos/amd64/a lib64/libz.so.1
        "#]]);
}

#[test]
fn a_library_is_judged_in_the_programs_that_load_it() {
    Row::amd64()
        .lists("coreos/a", &["lib64/own/libcore.so.1", "lib64/own/libshared.so.1", "libexec/x"])
        .has(|image| {
            let x = ElfStub::program(Board::Amd64).needs(["libcore.so.1"]).runpath("/usr/lib64/own");
            image
                .elf("libexec/x", x.needs(["libshared.so.1"]))
                .library("lib64/own/libcore.so.1", "libcore.so.1", &["libshared.so.1"])
                .library("lib64/own/libshared.so.1", "libshared.so.1", &["libc.so.6"])
        })
        .gives(&expect![[""]]);
}

#[test]
fn a_need_that_is_met_in_another_directory_than_the_images_is_met() {
    Row::amd64()
        .lists("coreos/a", &["bin/x", "lib64/libz.so.1", "lib64/x86_64-linux-gnu/liby.so.1"])
        .has(|image| {
            image
                .program("bin/x", &["libz.so.1", "liby.so.1", "libc.so.6"])
                .library("lib64/libz.so.1", "libz.so.1", &["libc.so.6"])
                .library("lib64/systemd/libz.so.1", "libz.so.1", &["libc.so.6"])
                .library("lib64/x86_64-linux-gnu/liby.so.1", "liby.so.1", &["libc.so.6"])
        })
        .gives(&expect![[""]]);
    // Nor does it come in with a library that is added and needs it too.
    Row::amd64()
        .lists("coreos/a", &["bin/x", "lib64/libb.so.1", "lib64/libz.so.1"])
        .has(|image| {
            image
                .program("bin/x", &["liba.so.1", "libb.so.1", "libc.so.6"])
                .library("lib64/liba.so.1", "liba.so.1", &["libz.so.1"])
                .library("lib64/libb.so.1", "libb.so.1", &["libz.so.1"])
                .library("lib64/libz.so.1", "libz.so.1", &["libc.so.6"])
                .library("lib64/systemd/libz.so.1", "libz.so.1", &["libc.so.6"])
        })
        .gives(&expect![[r#"
            add    coreos/amd64/a lib64/liba.so.1
        "#]]);
}

#[test]
fn the_link_of_a_directory_that_the_loader_searches_is_added() {
    Row::amd64()
        .lists("coreos/a", &["bin/x", "lib64/libz.so.1"])
        .has(|image| {
            let loader = ElfStub::library(Board::Amd64, "ld-linux-x86-64.so.2");
            image
                .elf("lib64/ld-linux-x86-64.so.2", loader.system_dirs(["/lib/x86_64-linux-gnu/"]))
                .link("lib64/x86_64-linux-gnu", ".")
                .program("bin/x", &["libz.so.1", "libc.so.6"])
                .library("lib64/libz.so.1", "libz.so.1", &["libc.so.6"])
        })
        .gives(&expect![[r#"
            add    coreos/amd64/a lib64/x86_64-linux-gnu
        "#]]);
}

/// rkt gives LD_LIBRARY_PATH to its own stage1 alone: where PID 1 found a library by nothing else, it exited with 127.
#[test]
fn the_link_through_which_a_runpath_finds_what_else_only_ld_library_path_finds_is_added() {
    let debian = |lines: &[&str], runpath: &str| {
        let mut listed = vec!["lib64/systemd/libcore.so", "lib64/systemd/systemd"];
        listed.extend(lines);
        let systemd = ElfStub::program(Board::Amd64).needs(["libcore.so", "libc.so.6"]);
        let systemd = systemd.runpath(runpath).systemd_version("257");
        Row::amd64().lists("coreos/systemd", &listed).has(|image| {
            image.link("lib64/x86_64-linux-gnu", ".").elf("lib64/systemd/systemd", systemd).library(
                "lib64/systemd/libcore.so",
                "libcore.so",
                &["libc.so.6"],
            )
        })
    };
    let multiarch = "/usr/lib/x86_64-linux-gnu/systemd";
    debian(&[], multiarch).gives(&expect![[r#"
        add    coreos/amd64/systemd lib64/x86_64-linux-gnu
    "#]]);
    debian(&["lib64/x86_64-linux-gnu"], multiarch).gives(&expect![[""]]);
    // Where another directory of the RUNPATH leads there, or none does, nothing is missing.
    debian(&[], &format!("{multiarch}:/usr/lib/systemd")).gives(&expect![[""]]);
    debian(&[], "/usr/lib/systemd").gives(&expect![[""]]);
    debian(&[], "/usr/lib/elsewhere").gives(&expect![[""]]);
    // Without LD_LIBRARY_PATH it is another file, which the loader needs as much.
    debian(&[], "/usr/lib/other")
        .has(|image| image.library("lib64/other/libcore.so", "libcore.so", &["libc.so.6"]))
        .gives(&expect![[r#"
            add    coreos/amd64/systemd lib64/other/libcore.so
        "#]]);
}
