//! The commands that fix what is found.

use coreos_types::release::Board;
use expect_test::{Expect, expect};
use release_fixture::elf::ElfStub;
use release_fixture::image::ImageSpec;
use usr::elf::DlopenPriority;
use xtask::report::invocation::Invocation;

use super::findings;

/// The commands that fix what is found in the guide's tree, against its image after `change`.
fn mended_by(left_out: &[&str], change: impl FnOnce(ImageSpec) -> ImageSpec, expected: &Expect) {
    let findings = findings(Some(DlopenPriority::Required), left_out, change);
    let short = |hint: String| {
        hint.replace("stage1/usr_from_", "").replace("manifest-amd64-usr.d/", "").replace("cargo xtask ", "")
    };
    let told: String = findings
        .iter()
        .map(|finding| format!("{}: {}\n", finding.path, short(Invocation::default().hint(&finding.remedy))))
        .collect();
    expected.assert_eq(&told);
}

#[test]
fn what_cannot_be_had_takes_along_all_that_cannot_work_without_it() {
    // A program that needs it, its unit, a library in between with its link, and a program that needs that library.
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
    mended_by(
        &[],
        change,
        &expect![[r#"
        libgone.so.1: edit-manifest coreos/journald.manifest --remove lib64/systemd/system/syslog.socket && edit-manifest coreos/systemd.manifest --remove bin/mount lib64/libmount.so lib64/libmount.so.1 lib64/libmount.so.1.1.0 lib64/systemd/systemd-sleep
    "#]],
    );
}

#[test]
fn without_the_first_process_another_release_is_wanted() {
    let change = |image: ImageSpec| image.program("lib64/systemd/systemd", &["libgone.so.1", "libc.so.6"]);
    mended_by(
        &[],
        change,
        &expect![[r#"
        libgone.so.1: bump-coreos latest
    "#]],
    );
}

#[test]
fn a_link_that_leads_nowhere_goes_and_one_that_leads_to_a_file_gets_it() {
    let sleep = "lib64/systemd/systemd-sleep";
    mended_by(
        &[],
        |image| image.link(sleep, "../../bin/nowhere"),
        &expect![[r#"
        lib64/systemd/systemd-sleep: edit-manifest coreos/systemd.manifest --remove lib64/systemd/systemd-sleep
    "#]],
    );
    mended_by(
        &[],
        |image| image.link(sleep, "systemd-sleep"),
        &expect![[r#"
        lib64/systemd/systemd-sleep: edit-manifest coreos/systemd.manifest --remove lib64/systemd/systemd-sleep
    "#]],
    );
    let to_file =
        |image: ImageSpec| image.link(sleep, "../../bin/udevadm").program("bin/udevadm", &["libc.so.6"]);
    mended_by(
        &[],
        to_file,
        &expect![[r#"
        lib64/systemd/systemd-sleep: verify-manifests --fix
    "#]],
    );
    let to_folder =
        |image: ImageSpec| image.link(sleep, "../../share/zoneinfo").text("share/zoneinfo/UTC", "x");
    mended_by(
        &[],
        to_folder,
        &expect![[r#"
        lib64/systemd/systemd-sleep: edit-manifest coreos/systemd.manifest --remove lib64/systemd/systemd-sleep
    "#]],
    );
}

#[test]
fn a_unit_whose_program_is_not_in_the_image_goes() {
    let unit = "lib64/systemd/system/syslog.socket";
    let change = |image: ImageSpec| image.text(unit, "[Socket]\nExecStartPre=/usr/bin/logger -x\n");
    mended_by(
        &[],
        change,
        &expect![[r#"
        bin/logger: edit-manifest coreos/journald.manifest --remove lib64/systemd/system/syslog.socket
    "#]],
    );
}

#[test]
fn of_several_candidates_one_is_put_in_the_line_s_place() {
    let change = |image: ImageSpec| {
        let image = image.without("lib64/libz.so.1.2.8").without("lib64/libz.so.1").without("lib64/libz.so");
        image.library("lib64/libz.so.2.0", "libz.so.2", &[]).library("lib64/libz.so.3.0", "libz.so.3", &[])
    };
    mended_by(
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

/// The guide's kvm lists coreos's systemd.manifest by a link: a line that is told for there serves kvm as well. It was
/// once told for kvm's own sshd.manifest too, and who pasted both commands had it twice.
#[test]
fn a_library_that_two_flavors_may_load_is_told_for_the_manifest_that_both_have() {
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
    mended_by(
        &[],
        change,
        &expect![[r#"
        lib64/libtss2.so.0: edit-manifest coreos/systemd.manifest --add lib64/libtss2.so.0 && verify-manifests --fix
        lib64/libown.so.0: edit-manifest kvm/sshd.manifest --add lib64/libown.so.0 && verify-manifests --fix
    "#]],
    );
}
