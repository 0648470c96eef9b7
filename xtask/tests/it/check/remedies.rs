//! Commands in hints that fix a finding.

use coreos_types::Board;
use expect_test::{Expect, expect};
use release_fixture::elf::ElfStub;
use release_fixture::image_spec::ImageSpec;
use usr::DlopenPriority;
use xtask::report::invocation::Invocation;

use super::findings;

/// Compares the fix commands of the findings in the guide's tree, against its image after `change`.
fn assert_hints(left_out: &[&str], change: impl FnOnce(ImageSpec) -> ImageSpec, expected: &Expect) {
    let findings = findings(Some(DlopenPriority::Required), left_out, change);
    let short = |hint: String| {
        hint.replace("stage1/usr_from_", "").replace("manifest-amd64-usr.d/", "").replace("cargo xtask ", "")
    };
    let actual: String = findings
        .iter()
        .map(|finding| {
            format!("{}: {}\n", finding.path, short(Invocation::default().hint(&finding.suggestion)))
        })
        .collect();
    expected.assert_eq(&actual);
}

#[test]
fn missing_library_removes_its_dependents() {
    // A program that needs the library, its unit, an intermediate library with its link, and a program that needs that.
    let change = |image: ImageSpec| {
        image
            .program("bin/mount", &["libmount.so.1", "libc.so.6"])
            .library("lib64/libmount.so.1.1.0", "libmount.so.1", &["libgone.so.1", "libc.so.6"])
            .program("lib64/systemd/systemd-sleep", &["libgone.so.1", "libc.so.6"])
            .text(
                "lib64/systemd/system/syslog.socket",
                "[Socket]\nExecStartPre=/usr/lib64/systemd/systemd-sleep\n",
            )
    };
    assert_hints(
        &[],
        change,
        &expect![[r#"
        libgone.so.1: edit-manifest coreos/journald.manifest --remove lib64/systemd/system/syslog.socket && edit-manifest coreos/systemd.manifest --remove bin/mount lib64/libmount.so lib64/libmount.so.1 lib64/libmount.so.1.1.0 lib64/systemd/systemd-sleep
    "#]],
    );
}

#[test]
fn broken_process_1_suggests_another_release() {
    let change = |image: ImageSpec| image.program("lib64/systemd/systemd", &["libgone.so.1", "libc.so.6"]);
    assert_hints(
        &[],
        change,
        &expect![[r#"
        libgone.so.1: bump-coreos latest
    "#]],
    );
}

#[test]
fn dangling_link_is_removed_and_file_target_is_added() {
    let sleep = "lib64/systemd/systemd-sleep";
    assert_hints(
        &[],
        |image| image.link(sleep, "../../bin/nowhere"),
        &expect![[r#"
        lib64/systemd/systemd-sleep: edit-manifest coreos/systemd.manifest --remove lib64/systemd/systemd-sleep
    "#]],
    );
    assert_hints(
        &[],
        |image| image.link(sleep, "systemd-sleep"),
        &expect![[r#"
        lib64/systemd/systemd-sleep: edit-manifest coreos/systemd.manifest --remove lib64/systemd/systemd-sleep
    "#]],
    );
    let to_file =
        |image: ImageSpec| image.link(sleep, "../../bin/udevadm").program("bin/udevadm", &["libc.so.6"]);
    assert_hints(
        &[],
        to_file,
        &expect![[r#"
        lib64/systemd/systemd-sleep: verify-manifests --fix
    "#]],
    );
    let to_directory =
        |image: ImageSpec| image.link(sleep, "../../share/zoneinfo").text("share/zoneinfo/UTC", "x");
    assert_hints(
        &[],
        to_directory,
        &expect![[r#"
        lib64/systemd/systemd-sleep: edit-manifest coreos/systemd.manifest --remove lib64/systemd/systemd-sleep
    "#]],
    );
}

#[test]
fn unit_with_a_missing_program_is_removed() {
    let unit = "lib64/systemd/system/syslog.socket";
    let change = |image: ImageSpec| image.text(unit, "[Socket]\nExecStartPre=/usr/bin/logger -x\n");
    assert_hints(
        &[],
        change,
        &expect![[r#"
        bin/logger: edit-manifest coreos/journald.manifest --remove lib64/systemd/system/syslog.socket
    "#]],
    );
}

#[test]
fn one_of_several_candidates_replaces_the_line() {
    let change = |image: ImageSpec| {
        let image = image.without("lib64/libz.so.1.2.8").without("lib64/libz.so.1").without("lib64/libz.so");
        image.library("lib64/libz.so.2.0", "libz.so.2", &[]).library("lib64/libz.so.3.0", "libz.so.3", &[])
    };
    assert_hints(
        &["lib64/libz.so", "lib64/libz.so.1"],
        change,
        &expect![[r#"
        libz.so.1: edit-manifest coreos/systemd.manifest --remove lib64/libkmod.so lib64/libkmod.so.2 lib64/libkmod.so.2.2.11 lib64/systemd/systemd-udevd
        lib64/libz.so.1.2.8: edit-manifest coreos/systemd.manifest --remove lib64/libz.so.1.2.8 --add lib64/libz.so.2.0 && verify-manifests --fix
        libz.so.1: edit-manifest coreos/systemd.manifest --remove lib64/libkmod.so lib64/libkmod.so.2 lib64/libkmod.so.2.2.11 lib64/systemd/systemd-udevd && edit-manifest kvm/sshd.manifest --remove bin/ssh-keygen lib64/libcrypto.so.1.0.0 sbin/sshd
        lib64/libz.so.1.2.8: edit-manifest kvm/sshd.manifest --remove lib64/libz.so.1.2.8 --add lib64/libz.so.2.0 && verify-manifests --fix
    "#]],
    );
}

/// The guide's kvm lists coreos's systemd.manifest by a symlink: a line added to that file is valid for kvm as well. A
/// second hint for kvm's own sshd.manifest would add a duplicate line.
#[test]
fn shared_manifest_gets_the_library_of_both_flavors() {
    let change = |image: ImageSpec| {
        let loads = || {
            let program = ElfStub::program(Board::Amd64).needs(["libc.so.6"]);
            program.dlopens("libtss2.so.0", "tpm", DlopenPriority::Recommended)
        };
        let sshd = loads().dlopens("libown.so.0", "keys", DlopenPriority::Recommended);
        image
            .elf("bin/systemd-nspawn", loads())
            .elf("sbin/sshd", sshd)
            .library("lib64/libtss2.so.0", "libtss2.so.0", &["libc.so.6"])
            .library("lib64/libown.so.0", "libown.so.0", &["libc.so.6"])
    };
    assert_hints(
        &[],
        change,
        &expect![[r#"
        lib64/libtss2.so.0: edit-manifest coreos/systemd.manifest --add lib64/libtss2.so.0 && verify-manifests --fix
        lib64/libown.so.0: edit-manifest kvm/sshd.manifest --add lib64/libown.so.0 && verify-manifests --fix
    "#]],
    );
}
