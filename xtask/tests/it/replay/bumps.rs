//! Historical bumps with manifest changes: the lists before, and an image of the lists after.
//!
//! The lists are those of 991.0.0 with other versions in the file names. The programs of a manifest need each soname
//! that it lists. A bump of the lists before must give exactly the lists after.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use coreos_types::Board;
use expect_test::expect;
use manifest::sort_order::compare_en_us;

use super::lists::{Lists, sort_paths};
use super::row::{format_plan, lines, manifest_path};

/// Bumps `before` to an image of `after`, with lines in locale and in byte order, compares the lists with `after`, and
/// returns the fixes and findings.
fn replay(before: &Lists, after: &Lists, systemd: &str) -> String {
    let in_locale = replay_in(before, after, systemd, compare_en_us);
    let report = replay_in(before, after, systemd, str::cmp);
    assert_eq!(report.lines().count(), in_locale.lines().count(), "{report}\n{in_locale}");
    report
}

fn replay_in(before: &Lists, after: &Lists, systemd: &str, order: fn(&str, &str) -> Ordering) -> String {
    let images = after.boards().into_iter().map(|board| after.image(board, systemd));
    let plan = before.row(images, order).bump_and_verify();
    let left: BTreeSet<&str> = plan.findings.iter().map(|finding| finding.path.as_str()).collect();
    for ((board, manifest), paths) in &after.0 {
        let (flavor, name) = manifest.split_once('/').unwrap();
        let written = lines(&plan.after.manifests[&manifest_path(*board, flavor, name)]);
        let written: Vec<&str> = written.into_iter().filter(|line| !left.contains(line)).collect();
        assert_eq!(written, sort_paths(paths, order), "{board} {manifest}");
    }
    format_plan(&plan.fixes, &plan.findings)
}

/// The number of lines that start with `start`.
fn count(report: &str, start: &str) -> usize {
    report.lines().filter(|line| line.starts_with(start)).count()
}

/// Commit 86ad9034, 444.5.0 to 709.0.0: eight renamed files, and 12 lines for new libraries.
#[test]
fn bump_to_709_adds_and_renames_libraries() {
    let after = Lists::release_991();
    let mut before = after
        .clone()
        .with_replaced("libblkid.so.1.1.0", "libblkid.so.1.0.0")
        .with_replaced("libcap.so.2.24", "libcap.so.2.22")
        .with_replaced("libkmod.so.2.2.11", "libkmod.so.2.2.8")
        .with_replaced("liblzma.so.5.0.8", "liblzma.so.5.0.5")
        .with_replaced("libmount.so.1.1.0", "libmount.so.1.0.0")
        .with_replaced("libreadline.so.6.3", "libreadline.so.6.2")
        .with_replaced("libgpg-error.so.0.10.0", "libgpg-error.so.0.8.0")
        .with_replaced("libz.so.1.2.8", "libz.so.1.2.7");
    for stem in ["libseccomp", "libip4tc", "libitm", "libattr"] {
        before = before.without_library(stem);
    }
    let report = replay(&before, &after, "220");
    assert_eq!(
        (count(&report, "rename"), count(&report, "add"), count(&report, "LEFT")),
        (9, 12, 0),
        "{report}"
    );
}

/// Commit 5cfb6c58, 709.0.0 to 738.1.0: systemd-nspawn needs libip4tc, which was unnoticed for ten days.
#[test]
fn bump_to_738_adds_libip4tc() {
    let after = Lists::release_991();
    expect![[r#"
        add    coreos/amd64/systemd lib64/libip4tc.so.0
        add    coreos/amd64/systemd lib64/libip4tc.so
        add    coreos/amd64/systemd lib64/libip4tc.so.0.1.0
    "#]]
    .assert_eq(&replay(&after.clone().without_library("libip4tc"), &after, "222"));
}

/// Commit 6e41a1cd, 738.1.0 to 794.1.0: the libraries of SELinux and their dev links.
#[test]
fn bump_to_794_adds_selinux() {
    let after = Lists::release_991();
    let mut before = after.clone();
    for path in [
        "libselinux.so",
        "libselinux.so.1",
        "libpcre.so",
        "libpcre.so.1",
        "libpcre.so.1.2.4",
        "libaudit.so",
        "libaudit.so.1",
        "libaudit.so.1.0.0",
    ] {
        before = before.without(&format!("lib64/{path}"));
    }
    let report = replay(&before, &after, "222");
    assert_eq!((count(&report, "add"), report.lines().count()), (8, 8), "{report}");
}

/// Commit 453f76b1, 794.1.0 to 991.0.0: glibc, libseccomp, and libgcrypt with a new soname; the commit omitted kvm.
#[test]
fn bump_to_991_renames_glibc_and_libgcrypt() {
    let after = Lists::release_991();
    let before = after
        .clone()
        .with_replaced("-2.21.so", "-2.20.so")
        .with_replaced("libgcrypt.so.20.0.3", "libgcrypt.so.11.8.2")
        .with_replaced("libgcrypt.so.20", "libgcrypt.so.11")
        .with_replaced("libseccomp.so.2.1.1", "libseccomp.so.2.1.0");
    let report = replay(&before, &after, "225");
    let glibc = after.0.values().flatten().filter(|path| path.ends_with("-2.21.so")).count();
    assert_eq!((count(&report, "rename"), report.lines().count()), (glibc + 3, glibc + 3), "{report}");
    assert_eq!(count(&report, "rename kvm/amd64/sshd"), 6, "{report}");
}

/// Commit 6e65fb02, 1068.0.0 to 1097.0.0: libgcrypt on arm64, and two real files.
#[test]
fn bump_to_1097_renames_on_two_boards() {
    let after = Lists::release_991().with_arm64();
    let mut before = after.clone().with_replaced("libseccomp.so.2.1.1", "libseccomp.so.2.0.9");
    for ((board, _), paths) in &mut before.0 {
        if *board == Board::Arm64 {
            *paths = paths
                .iter()
                .map(|path| {
                    path.replace("libgcrypt.so.20.0.3", "libgcrypt.so.11.8.2")
                        .replace("libgcrypt.so.20", "libgcrypt.so.11")
                })
                .collect();
        }
    }
    expect![[r#"
        rename coreos/amd64/systemd lib64/libseccomp.so.2.0.9 -> lib64/libseccomp.so.2.1.1
        rename coreos/arm64/systemd lib64/libgcrypt.so.11 -> lib64/libgcrypt.so.20
        rename coreos/arm64/systemd lib64/libgcrypt.so.11.8.2 -> lib64/libgcrypt.so.20.0.3
        rename coreos/arm64/systemd lib64/libseccomp.so.2.0.9 -> lib64/libseccomp.so.2.1.1
    "#]]
    .assert_eq(&replay(&before, &after, "229"));
}

/// Commit 39de3a1b, 1097.0.0 to 1151.0.0: libsystemd-shared on both boards, Kerberos for kvm's sshd, and removed
/// programs with a replacement that needs a manual decision.
#[test]
fn bump_to_1151_adds_libraries_of_systemd_231() {
    let removed = ["systemd-activate", "systemd-bootchart", "systemd-bus-proxyd"];
    let before = Lists::release_991().with_arm64();
    let mut after = before.clone();
    for name in removed {
        after = after.without(&format!("lib64/systemd/{name}")).without(&format!("lib/systemd/{name}"));
    }
    after = after
        .with_replaced("libz.so.1.2.8", "libz.so.1.2.9")
        .with(Board::Amd64, "coreos/systemd", &["lib64/systemd/libsystemd-shared-231.so"])
        .with(Board::Arm64, "coreos/systemd", &["lib/systemd/libsystemd-shared-231.so"])
        .with(
            Board::Amd64,
            "kvm/sshd",
            &[
                "lib64/libcom_err.so.2",
                "lib64/libcom_err.so.2.1",
                "lib64/libgssapi_krb5.so.2",
                "lib64/libgssapi_krb5.so.2.2",
                "lib64/libk5crypto.so.3",
                "lib64/libk5crypto.so.3.1",
                "lib64/libkrb5.so.3",
                "lib64/libkrb5.so.3.3",
                "lib64/libkrb5support.so.0",
                "lib64/libkrb5support.so.0.1",
            ],
        );
    let report = replay(&before, &after, "231");
    assert_eq!((count(&report, "add"), count(&report, "LEFT   missing")), (12, 6), "{report}");
}

/// Commit 52a0829b, 1192.0.0 to 1235.0.0: two real files on two boards, and no new systemd.
#[test]
fn bump_to_1235_renames_two_files() {
    let after = Lists::release_991().with_arm64();
    let before = after
        .clone()
        .with_replaced("libgcrypt.so.20.0.3", "libgcrypt.so.20.0.2")
        .with_replaced("libpcre.so.1.2.4", "libpcre.so.1.2.3");
    let report = replay(&before, &after, "231");
    assert_eq!((count(&report, "rename"), report.lines().count()), (4, 4), "{report}");
}

/// Commit e70889ee, 1235.0.0 to 1478.0.0: glibc 2.23, systemd 233 and 35 new libraries, on both boards and flavors.
#[test]
fn bump_to_1478_renames_and_adds_libraries() {
    let before = Lists::release_991()
        .with_arm64()
        .with(Board::Amd64, "coreos/systemd", &["lib64/systemd/libsystemd-shared-231.so"])
        .with(Board::Arm64, "coreos/systemd", &["lib/systemd/libsystemd-shared-231.so"]);
    let new = [
        "lib64/libacl.so.1",
        "lib64/libacl.so.1.1.0",
        "lib64/libcryptsetup.so.4",
        "lib64/libcryptsetup.so.4.7.0",
        "lib64/libidn.so.11",
        "lib64/libidn.so.11.6.16",
    ];
    let dev = ["lib64/libacl.so", "lib64/libcryptsetup.so", "lib64/libidn.so"];
    let after = before
        .clone()
        .with_replaced("-2.21.so", "-2.23.so")
        .with_replaced("libsystemd-shared-231", "libsystemd-shared-233")
        .with_replaced("libz.so.1.2.8", "libz.so.1.2.11")
        .with_replaced("libpcre.so.1.2.4", "libpcre.so.1.2.8")
        .with_replaced("libgcrypt.so.20.0.3", "libgcrypt.so.20.1.6")
        .with_replaced("libgpg-error.so.0.10.0", "libgpg-error.so.0.22.0")
        .with_replaced("libseccomp.so.2.1.1", "libseccomp.so.2.3.2")
        .with_replaced("liblzma.so.5.0.8", "liblzma.so.5.2.3")
        .with_replaced("libcap.so.2.24", "libcap.so.2.25")
        .with(Board::Amd64, "coreos/systemd", &new)
        .with(Board::Amd64, "coreos/systemd", &dev)
        .with(Board::Arm64, "coreos/systemd", &new)
        .with(Board::Arm64, "kvm/sshd", &["lib64/libpam.so.0", "lib64/libpam.so.0.84.1"]);
    let report = replay(&before, &after, "233");
    assert_eq!((count(&report, "add"), count(&report, "LEFT")), (17, 0), "{report}");
    assert_eq!(count(&report, "rename") + 17, report.lines().count(), "{report}");
}
