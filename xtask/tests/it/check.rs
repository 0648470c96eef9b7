//! Findings of `verify-manifests` for trees and images with one defect each.

mod lines;
mod remedies;

use std::collections::BTreeMap;

use coreos_types::{Board, Channel, SystemdVersion, Vendor};
use expect_test::{Expect, expect};
use manifest::common_mk::CommonMk;
use manifest::finding::Finding;
use manifest::plan::bump::{BumpOptions, plan_bump};
use manifest::plan::check_stage1_sources::check_stage1_sources;
use manifest::rules::lint_and_fix::FixOptions;
use release_fixture::elf::ElfStub;
use release_fixture::image_spec::ImageSpec;
use usr::DlopenPriority;
use xtask::demo::example;
use xtask::report::invocation::Invocation;

use crate::bump::{SYSTEMD, sources};

const JOURNALD: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/journald.manifest";

/// Verifies the guide's tree without the lines `left_out` against its image after `change`.
fn finds(left_out: &[&str], change: impl FnOnce(ImageSpec) -> ImageSpec, expected: &Expect) {
    finds_at(Some(DlopenPriority::Required), left_out, change, expected);
}

fn finds_at(
    level: Option<DlopenPriority>,
    left_out: &[&str],
    change: impl FnOnce(ImageSpec) -> ImageSpec,
    expected: &Expect,
) {
    let actual: String = findings(level, left_out, change)
        .iter()
        .map(|f| {
            let file = f.file.rsplit('/').next().unwrap();
            format!("{} {} {file} {}: {}\n", f.severity.id(), f.kind.id(), f.path, f.message)
        })
        .collect();
    expected.assert_eq(&actual);
}

fn findings(
    level: Option<DlopenPriority>,
    left_out: &[&str],
    change: impl FnOnce(ImageSpec) -> ImageSpec,
) -> Vec<Finding> {
    let mut sources = sources();
    for bytes in sources.manifests.values_mut() {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let remaining = text.lines().filter(|line| !left_out.contains(line)).map(|line| format!("{line}\n"));
        *bytes = remaining.collect::<String>().into_bytes();
    }
    let tree = change(example::image_before().unwrap()).tree();
    let request = request(level, None);
    check_stage1_sources(&sources, &request, &BTreeMap::from([(Board::Amd64, &tree)])).unwrap()
}

/// Options for the pinned release, with the channel that it was found on.
fn request(min_dlopen_priority: Option<DlopenPriority>, channel: Option<Channel>) -> BumpOptions {
    BumpOptions {
        release: example::BEFORE.0.parse().unwrap(),
        channel,
        vendor: None,
        systemd: None,
        min_dlopen_priority,
        fix_options: FixOptions::default(),
    }
}

/// The check reports each edit that `--fix` would make in coreos-common.mk.
#[test]
fn pins_that_differ_from_the_image_are_reported() {
    let tree = example::image_before().unwrap().tree();
    let trees = BTreeMap::from([(Board::Amd64, &tree)]);
    let mut actual = String::new();
    for (channel, vendor, pinned) in [
        (Some(Channel::Alpha), Some(Vendor::COREOS), SystemdVersion(225)),
        (Some(Channel::Stable), None, SystemdVersion(225)),
        (None, Some(Vendor::FLATCAR), SystemdVersion(225)),
        (None, None, SystemdVersion(230)),
    ] {
        let mut sources = sources();
        let mut pins = CommonMk::parse(&sources.common_mk).unwrap();
        pins.set_systemd(pinned).unwrap();
        sources.common_mk = pins.as_bytes().to_vec();
        let options = BumpOptions { vendor, ..request(None, channel) };
        let findings = check_stage1_sources(&sources, &options, &trees).unwrap();
        actual += &format!("{} finding\n", findings.len());
        for f in findings {
            actual += &format!("{}:{} {} {}\n", f.file, f.line.unwrap(), f.severity.id(), f.path);
            actual += &format!("  {}\n  {}\n", f.message, Invocation::default().hint(&f.suggestion));
        }
        let fixed = plan_bump(&sources, &options, &trees).unwrap();
        assert_eq!(check_stage1_sources(&fixed.after, &options, &trees).unwrap(), []);
    }
    expect![[r#"
        0 finding
        1 finding
        stage1/usr_from_coreos/coreos-common.mk:10 warning CCN_IMG_URL := https://alpha.release.core-os.net/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/coreos_production_pxe_image.cpio.gz
          CCN_IMG_URL names the alpha channel, and 991.0.0 is taken from stable
          cargo xtask verify-manifests --fix
        1 finding
        stage1/usr_from_coreos/coreos-common.mk:10 warning CCN_IMG_URL := https://alpha.release.core-os.net/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/coreos_production_pxe_image.cpio.gz
          CCN_IMG_URL does not name Flatcar, which is requested
          cargo xtask verify-manifests --fix
        1 finding
        stage1/usr_from_coreos/coreos-common.mk:6 warning CCN_SYSTEMD_VERSION := v230
          CCN_SYSTEMD_VERSION is v230, and the image has systemd v225
          cargo xtask verify-manifests --fix
    "#]].assert_eq(&actual);
}

#[test]
fn valid_tree_has_no_findings() {
    finds(&[], |image| image, &expect![""]);
}

#[test]
fn listed_path_missing_in_image_is_reported() {
    finds(
        &[],
        |image| image.without("lib64/systemd/systemd-sleep"),
        &expect![[r#"
            error missing systemd.manifest lib64/systemd/systemd-sleep: lib64/systemd/systemd-sleep is not in the image: the image has no file of this name and no certain replacement; decide whether to remove the line, or to stay with a release that has it
        "#]],
    );
}

#[test]
fn missing_library_is_reported() {
    finds(
        &["lib64/libaudit.so.1", "lib64/libaudit.so.1.0.0"],
        |image| image,
        &expect![[r#"
        error needs-unlisted systemd.manifest lib64/libaudit.so.1: bin/systemd-analyze and 44 more need libaudit.so.1; the image has lib64/libaudit.so.1 and lib64/libaudit.so.1.0.0, which stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest does not list
    "#]],
    );
}

#[test]
fn missing_target_of_a_soname_link_is_reported() {
    finds(
        &["lib64/libkmod.so.2.2.11"],
        |image| image,
        &expect![[r#"
        error needs-unlisted systemd.manifest lib64/libkmod.so.2.2.11: lib64/systemd/systemd-udevd needs libkmod.so.2; the image has lib64/libkmod.so.2.2.11, which stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest does not list
    "#]],
    );
}

#[test]
fn missing_loader_is_reported() {
    finds(
        &["lib64/ld-linux-x86-64.so.2"],
        |image| image,
        &expect![[r#"
            error needs-unlisted bash.manifest lib64/ld-linux-x86-64.so.2: bin/bash and 53 more need /lib64/ld-linux-x86-64.so.2; the image has lib64/ld-linux-x86-64.so.2, which stage1/usr_from_coreos/manifest-amd64-usr.d/bash.manifest does not list
        "#]],
    );
}

#[test]
fn missing_program_of_a_listed_unit_is_reported() {
    finds(
        &["lib64/systemd/systemd-journald"],
        |image| image,
        &expect![[r#"
            warning needs-unlisted systemd.manifest lib64/systemd/systemd-journald: lib64/systemd/system/systemd-journald.service is listed without lib64/systemd/systemd-journald: no output of a unit would be seen
        "#]],
    );
}

#[test]
fn missing_unit_of_journald_is_reported() {
    finds(
        &["lib64/systemd/system/systemd-journald.service"],
        |image| image,
        &expect![[r#"
            warning needs-unlisted journald.manifest lib64/systemd/system/systemd-journald.service: lib64/systemd/systemd-journald is listed without lib64/systemd/system/systemd-journald.service: no output of a unit would be seen
        "#]],
    );
}

#[test]
fn unlisted_target_of_a_listed_link_is_reported() {
    let udevd = "lib64/systemd/systemd-udevd";
    let change =
        |image: ImageSpec| image.link(udevd, "../../bin/udevadm").program("bin/udevadm", &["libc.so.6"]);
    finds(
        &[],
        change,
        &expect![[r#"
            error dangling systemd.manifest lib64/systemd/systemd-udevd: lib64/systemd/systemd-udevd is a symlink to ../../bin/udevadm, and stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest does not list bin/udevadm
        "#]],
    );
}

#[test]
fn missing_directory_link_is_reported() {
    let interp = |image: ImageSpec| {
        image.elf(
            "bin/mount",
            ElfStub::program(Board::Amd64).interp("/lib/ld-linux-x86-64.so.2").needs(["libc.so.6"]),
        )
    };
    finds(
        &["lib"],
        interp,
        &expect![[r#"
        error needs-unlisted systemd.manifest lib: bin/mount needs /lib/ld-linux-x86-64.so.2; the image has lib, which stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest does not list
    "#]],
    );
}

#[test]
fn undefined_symbol_version_is_reported() {
    let change = |image: ImageSpec| {
        let libz =
            ElfStub::library(Board::Amd64, "libz.so.1").defines_versions(["ZLIB_1.2.0"]).needs(["libc.so.6"]);
        let program =
            ElfStub::program(Board::Amd64).needs(["libz.so.1"]).needs_version("libz.so.1", "ZLIB_1.2.9");
        image.elf("lib64/libz.so.1.2.8", libz).elf("bin/mount", program)
    };
    finds(
        &[],
        change,
        &expect![[r#"
        error version-unsatisfied systemd.manifest lib64/libz.so.1.2.8: bin/mount needs version ZLIB_1.2.9 of lib64/libz.so.1.2.8, which does not define it
    "#]],
    );
}

#[test]
fn file_for_another_machine_is_reported() {
    let change =
        |image: ImageSpec| image.elf("bin/mount", ElfStub::program(Board::Arm64).needs(["libc.so.6"]));
    finds(
        &[],
        change,
        &expect![[r#"
        error wrong-machine systemd.manifest bin/mount: bin/mount is for ELF machine 183; amd64-usr is 62 (x86_64)
    "#]],
    );
}

#[test]
fn dlopen_priority_determines_the_severity() {
    let change = |priority| {
        move |image: ImageSpec| {
            let nspawn = ElfStub::program(Board::Amd64).needs(["libc.so.6"]);
            image.elf("bin/systemd-nspawn", nspawn.dlopens("libtss2.so.0", "tpm", priority)).library(
                "lib64/libtss2.so.0",
                "libtss2.so.0",
                &["libc.so.6"],
            )
        }
    };
    finds(
        &[],
        change(DlopenPriority::Required),
        &expect![[r#"
            error needs-unlisted systemd.manifest lib64/libtss2.so.0: bin/systemd-nspawn needs libtss2.so.0, loaded with dlopen(3) for tpm; the image has lib64/libtss2.so.0, which stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest does not list
        "#]],
    );
    finds(
        &[],
        change(DlopenPriority::Recommended),
        &expect![[r#"
            advice advice systemd.manifest lib64/libtss2.so.0: bin/systemd-nspawn may load with dlopen(3) lib64/libtss2.so.0 for tpm (recommended)
        "#]],
    );
    finds_at(None, &[], change(DlopenPriority::Required), &expect![""]);
}

#[test]
fn library_without_elf_reference_is_advice() {
    let nss = ["lib64/libnss_files.so.2", "lib64/libnss_files-2.21.so"];
    finds(
        &nss,
        |image| image,
        &expect![[r#"
            advice advice bash.manifest lib64/libnss_files.so.2: lib64/libc-2.21.so may load lib64/libnss_files.so.2 with dlopen(3): users, groups and hosts of /etc; without it User= and Group= fail with 217 and 216 (nsswitch.conf(5); rkt#3714)
        "#]],
    );
    finds_at(None, &nss, |image| image, &expect![""]);
    // The file alone is not found by its soname.
    finds(
        &nss[..1],
        |image| image,
        &expect![[r#"
            advice advice bash.manifest lib64/libnss_files.so.2: lib64/libc-2.21.so may load lib64/libnss_files.so.2 with dlopen(3): users, groups and hosts of /etc; without it User= and Group= fail with 217 and 216 (nsswitch.conf(5); rkt#3714)
        "#]],
    );
}

#[test]
fn unlisted_program_of_a_unit_is_reported() {
    let unit = "lib64/systemd/system/syslog.socket";
    let change = |image: ImageSpec| {
        image.text(unit, "[Socket]\nExecStartPre=/usr/bin/logger -x\n").program("bin/logger", &["libc.so.6"])
    };
    finds(
        &[],
        change,
        &expect![[r#"
            warning needs-unlisted systemd.manifest bin/logger: lib64/systemd/system/syslog.socket has "ExecStartPre=/usr/bin/logger -x", and bin/logger is not listed
        "#]],
    );
    assert!(example::listed_paths().contains(&unit) && sources().manifests.contains_key(JOURNALD));
}

#[test]
fn unlisted_interpreter_of_a_script_is_reported() {
    let change = |image: ImageSpec| {
        image.text("bin/mount", "#!/usr/bin/perl -w\n").program("bin/perl", &["libc.so.6"])
    };
    finds(
        &[],
        change,
        &expect![[r##"
            advice advice systemd.manifest bin/perl: bin/mount starts with "#!/usr/bin/perl -w", and bin/perl is not listed
        "##]],
    );
    assert!(sources().manifests.contains_key(SYSTEMD));
}

#[test]
fn library_that_is_not_elf_is_reported() {
    let change = |image: ImageSpec| image.text("lib64/libmount.so.1.1.0", "garbage");
    finds(
        &[],
        change,
        &expect![[r#"
            error wrong-machine systemd.manifest lib64/libmount.so.1.1.0: bin/mount needs lib64/libmount.so.1.1.0, which cannot be loaded: it is not an ELF file
        "#]],
    );
}
