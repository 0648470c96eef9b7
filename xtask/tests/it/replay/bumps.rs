//! The bumps of the history with manifest changes, in their shapes: the lists before, an image of the lists after.
//!
//! The lists are those of 991.0.0, moved to and fro in time by the versions in their names. The programs of a
//! manifest need every soname that it lists. What a bump makes of the lists before must be the lists after, to the
//! line.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use coreos_types::release::Board;
use expect_test::expect;
use manifest::sort_order::compare_en_us;

use super::lists::{Lists, sorted};
use super::row::{lines, path_of, shown};

/// Bumps `before` to an image of `after`, in either order of the lines, and returns what was done and left where the
/// lists are `after`'s.
fn replay(before: &Lists, after: &Lists, systemd: &str) -> String {
    let in_english = replay_in(before, after, systemd, compare_en_us);
    let told = replay_in(before, after, systemd, str::cmp);
    assert_eq!(told.lines().count(), in_english.lines().count(), "{told}\n{in_english}");
    told
}

fn replay_in(before: &Lists, after: &Lists, systemd: &str, order: fn(&str, &str) -> Ordering) -> String {
    let images = after.boards().into_iter().map(|board| after.image(board, systemd));
    let bumped = before.row(images, order).proved();
    let left: BTreeSet<&str> = bumped.findings.iter().map(|finding| finding.path.as_str()).collect();
    for ((board, manifest), paths) in &after.0 {
        let (flavor, name) = manifest.split_once('/').unwrap();
        let written = lines(&bumped.after.manifests[&path_of(*board, flavor, name)]);
        let written: Vec<&str> = written.into_iter().filter(|line| !left.contains(line)).collect();
        assert_eq!(written, sorted(paths, order), "{board} {manifest}");
    }
    shown(&bumped.fixes, &bumped.findings)
}

/// How many lines start so.
fn count(told: &str, start: &str) -> usize {
    told.lines().filter(|line| line.starts_with(start)).count()
}

/// 86ad9034, 444.5.0 to 709.0.0: eight real files, and a dozen lines of libraries that were new.
#[test]
fn a_year_went_by_to_709() {
    let after = Lists::of_991();
    let mut before = after
        .clone()
        .but("libblkid.so.1.1.0", "libblkid.so.1.0.0")
        .but("libcap.so.2.24", "libcap.so.2.22")
        .but("libkmod.so.2.2.11", "libkmod.so.2.2.8")
        .but("liblzma.so.5.0.8", "liblzma.so.5.0.5")
        .but("libmount.so.1.1.0", "libmount.so.1.0.0")
        .but("libreadline.so.6.3", "libreadline.so.6.2")
        .but("libgpg-error.so.0.10.0", "libgpg-error.so.0.8.0")
        .but("libz.so.1.2.8", "libz.so.1.2.7");
    for stem in ["libseccomp", "libip4tc", "libitm", "libattr"] {
        before = before.without_library(stem);
    }
    let told = replay(&before, &after, "220");
    assert_eq!((count(&told, "rename"), count(&told, "add"), count(&told, "LEFT")), (9, 12, 0), "{told}");
}

/// 5cfb6c58, 709.0.0 to 738.1.0: nspawn came to need libip4tc, which nobody saw for ten days.
#[test]
fn libip4tc_came_to_738() {
    let after = Lists::of_991();
    expect![[r#"
        add    coreos/amd64/systemd lib64/libip4tc.so.0
        add    coreos/amd64/systemd lib64/libip4tc.so
        add    coreos/amd64/systemd lib64/libip4tc.so.0.1.0
    "#]]
    .assert_eq(&replay(&after.clone().without_library("libip4tc"), &after, "222"));
}

/// 6e41a1cd, 738.1.0 to 794.1.0: SELinux came, with its libraries and their dev links.
#[test]
fn selinux_came_to_794() {
    let after = Lists::of_991();
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
    let told = replay(&before, &after, "222");
    assert_eq!((count(&told, "add"), told.lines().count()), (8, 8), "{told}");
}

/// 453f76b1, 794.1.0 to 991.0.0: glibc, libseccomp, and libgcrypt with a new soname; kvm was forgotten then.
#[test]
fn glibc_and_libgcrypt_moved_on_to_991() {
    let after = Lists::of_991();
    let before = after
        .clone()
        .but("-2.21.so", "-2.20.so")
        .but("libgcrypt.so.20.0.3", "libgcrypt.so.11.8.2")
        .but("libgcrypt.so.20", "libgcrypt.so.11")
        .but("libseccomp.so.2.1.1", "libseccomp.so.2.1.0");
    let told = replay(&before, &after, "225");
    let glibc = after.0.values().flatten().filter(|path| path.ends_with("-2.21.so")).count();
    assert_eq!((count(&told, "rename"), told.lines().count()), (glibc + 3, glibc + 3), "{told}");
    assert_eq!(count(&told, "rename kvm/amd64/sshd"), 6, "{told}");
}

/// 6e65fb02, 1068.0.0 to 1097.0.0: libgcrypt on arm64, and two real files.
#[test]
fn two_boards_moved_on_to_1097() {
    let after = Lists::of_991().with_arm64();
    let mut before = after.clone().but("libseccomp.so.2.1.1", "libseccomp.so.2.0.9");
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

/// 39de3a1b, 1097.0.0 to 1151.0.0: libsystemd-shared on both boards, Kerberos for kvm's sshd, programs that went
/// and one that came in their stead, which is for a person to see.
#[test]
fn systemd_231_came_with_1151() {
    let gone = ["systemd-activate", "systemd-bootchart", "systemd-bus-proxyd"];
    let before = Lists::of_991().with_arm64();
    let mut after = before.clone();
    for name in gone {
        after = after.without(&format!("lib64/systemd/{name}")).without(&format!("lib/systemd/{name}"));
    }
    after = after
        .but("libz.so.1.2.8", "libz.so.1.2.9")
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
    let told = replay(&before, &after, "231");
    assert_eq!((count(&told, "add"), count(&told, "LEFT   missing")), (12, 6), "{told}");
}

/// 52a0829b, 1192.0.0 to 1235.0.0: two real files on two boards, and no new systemd.
#[test]
fn two_files_moved_on_to_1235() {
    let after = Lists::of_991().with_arm64();
    let before = after
        .clone()
        .but("libgcrypt.so.20.0.3", "libgcrypt.so.20.0.2")
        .but("libpcre.so.1.2.4", "libpcre.so.1.2.3");
    let told = replay(&before, &after, "231");
    assert_eq!((count(&told, "rename"), told.lines().count()), (4, 4), "{told}");
}

/// e70889ee, 1235.0.0 to 1478.0.0: glibc 2.23, systemd 233 and 35 new libraries, on both boards and flavors.
#[test]
fn everything_moved_on_to_1478() {
    let before = Lists::of_991()
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
        .but("-2.21.so", "-2.23.so")
        .but("libsystemd-shared-231", "libsystemd-shared-233")
        .but("libz.so.1.2.8", "libz.so.1.2.11")
        .but("libpcre.so.1.2.4", "libpcre.so.1.2.8")
        .but("libgcrypt.so.20.0.3", "libgcrypt.so.20.1.6")
        .but("libgpg-error.so.0.10.0", "libgpg-error.so.0.22.0")
        .but("libseccomp.so.2.1.1", "libseccomp.so.2.3.2")
        .but("liblzma.so.5.0.8", "liblzma.so.5.2.3")
        .but("libcap.so.2.24", "libcap.so.2.25")
        .with(Board::Amd64, "coreos/systemd", &new)
        .with(Board::Amd64, "coreos/systemd", &dev)
        .with(Board::Arm64, "coreos/systemd", &new)
        .with(Board::Arm64, "kvm/sshd", &["lib64/libpam.so.0", "lib64/libpam.so.0.84.1"]);
    let told = replay(&before, &after, "233");
    assert_eq!((count(&told, "add"), count(&told, "LEFT")), (17, 0), "{told}");
    assert_eq!(count(&told, "rename") + 17, told.lines().count(), "{told}");
}
