//! A bump of a CoreOS tree to a current Flatcar release.

use coreos_types::{Board, Vendor};
use expect_test::expect;
use release_fixture::elf::ElfStub;
use release_fixture::image_spec::ImageSpec;

use super::lists::Lists;
use super::row::format_plan;

/// Libraries of 991.0.0 in a current image: real file and soname.
const LIBRARIES: [(&str, &str); 22] = [
    ("libacl.so.1.1.2302", "libacl.so.1"),
    ("libattr.so.1.1.2502", "libattr.so.1"),
    ("libaudit.so.1.0.0", "libaudit.so.1"),
    ("libblkid.so.1.1.0", "libblkid.so.1"),
    ("libcap.so.2.71", "libcap.so.2"),
    ("libcrypt.so.2.0.0", "libcrypt.so.2"),
    ("libcrypto.so.3", "libcrypto.so.3"),
    ("libgcrypt.so.20.5.0", "libgcrypt.so.20"),
    ("libgpg-error.so.0.38.0", "libgpg-error.so.0"),
    ("libip4tc.so.2.0.0", "libip4tc.so.2"),
    ("libkmod.so.2.5.1", "libkmod.so.2"),
    ("liblzma.so.5.6.4", "liblzma.so.5"),
    ("libmount.so.1.1.0", "libmount.so.1"),
    ("libpam.so.0.85.1", "libpam.so.0"),
    ("libpcre2-8.so.0.14.0", "libpcre2-8.so.0"),
    ("libreadline.so.8.2", "libreadline.so.8"),
    ("libseccomp.so.2.5.5", "libseccomp.so.2"),
    ("libselinux.so.1", "libselinux.so.1"),
    ("libtinfo.so.6.5", "libtinfo.so.6"),
    ("libuuid.so.1.3.0", "libuuid.so.1"),
    ("libz.so.1.3.1", "libz.so.1"),
    ("libgcc_s.so.1", "libgcc_s.so.1"),
];

/// Libraries of glibc 2.41, where the soname is the file name.
const GLIBC: [&str; 9] = [
    "libc.so.6",
    "libdl.so.2",
    "libnsl.so.1",
    "libnss_compat.so.2",
    "libnss_files.so.2",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libutil.so.1",
];

/// Programs of the old lists that are not in a current image.
const GONE: [&str; 5] = [
    "systemd-activate",
    "systemd-bootchart",
    "systemd-bus-proxyd",
    "systemd-initctl",
    "systemd-vconsole-setup",
];

fn flatcar(lists: &Lists) -> ImageSpec {
    let board = Board::Amd64;
    let loader = ElfStub::library(board, "ld-linux-x86-64.so.2").as_loader(["/lib64/", "/usr/lib64/"]);
    let mut image = ImageSpec::new(Vendor::FLATCAR, board, &"1097.0.0".parse().unwrap(), "257.9")
        .elf("lib64/ld-linux-x86-64.so.2", loader);
    for soname in GLIBC {
        image = image.library(&format!("lib64/{soname}"), soname, &[]);
    }
    for (real, soname) in LIBRARIES {
        let needs: &[&str] =
            if soname == "libselinux.so.1" { &["libpcre2-8.so.0", "libc.so.6"] } else { &["libc.so.6"] };
        image = image.library(&format!("lib64/{real}"), soname, needs);
    }
    for (name, needs) in [
        ("core", &["libmount.so.1", "libpam.so.0", "libseccomp.so.2"][..]),
        ("shared", &["libcap.so.2", "libcrypt.so.2", "libacl.so.1"]),
    ] {
        let file = format!("libsystemd-{name}-257.so");
        image = image.library(&format!("lib/systemd/{file}"), &file, needs);
    }
    for path in lists.0.values().flatten().filter(|path| !is_library(path)) {
        let path = path.replace("lib64/systemd/", "lib/systemd/").replace("sbin/", "bin/");
        let name = path.rsplit('/').next().unwrap();
        if GONE.contains(&name) || path == "lib" {
            continue;
        }
        image = if name == "system-sleep" || name == "user-generators" {
            image.directory(&path)
        } else if path.contains("/system/") {
            image.text(&path, "[Unit]\n")
        } else {
            program(image, &path)
        };
    }
    image.program("bin/systemd-socket-activate", &["libc.so.6"])
}

fn is_library(path: &str) -> bool {
    path.ends_with(".so") || path.contains(".so.")
}

fn program(image: ImageSpec, path: &str) -> ImageSpec {
    let board = image.board;
    let private = ["libsystemd-core-257.so", "libsystemd-shared-257.so", "libselinux.so.1", "libc.so.6"];
    let needs: &[&str] = match path.rsplit('/').next().unwrap() {
        "bash" => &["libreadline.so.8", "libtinfo.so.6", "libc.so.6"],
        "sshd" => &["libcrypto.so.3", "libcrypt.so.2", "libz.so.1", "libc.so.6"],
        "systemd" => &private,
        name if name.starts_with("systemd") => &private[1..],
        _ => &["libc.so.6"],
    };
    let stub = ElfStub::program(board).needs(needs.iter().copied()).runpath("/usr/lib/systemd");
    image.elf(path, if path == "lib/systemd/systemd" { stub.systemd_version("257.9") } else { stub })
}

#[test]
fn coreos_tree_is_bumped_to_current_flatcar() {
    let before = Lists::release_991();
    let row = before.row([flatcar(&before)], str::cmp).with_vendor(Vendor::FLATCAR);
    let plan = row.bump_and_verify();
    let report = format_plan(&plan.fixes, &plan.findings);
    let (moves, others): (Vec<&str>, Vec<&str>) =
        report.lines().partition(|line| line.starts_with("move") && line.contains("lib64/systemd/"));
    expect![[r#"
        33 lines of lib64/systemd move
        rename coreos/amd64/bash lib64/libreadline.so.6 -> lib64/libreadline.so.8
        drop   coreos/amd64/bash lib64/libdl.so
        drop   coreos/amd64/bash lib64/libreadline.so
        drop   coreos/amd64/bash lib64/ld-2.21.so
        drop   coreos/amd64/bash lib64/libc-2.21.so
        drop   coreos/amd64/bash lib64/libdl-2.21.so
        rename coreos/amd64/bash lib64/libreadline.so.6.3 -> lib64/libreadline.so.8.2
        add    coreos/amd64/bash lib64/libtinfo.so.6
        add    coreos/amd64/bash lib64/libtinfo.so.6.5
        rename coreos/amd64/systemd lib64/libip4tc.so.0 -> lib64/libip4tc.so.2
        drop   coreos/amd64/systemd lib64/libattr.so
        drop   coreos/amd64/systemd lib64/libaudit.so
        drop   coreos/amd64/systemd lib64/libblkid.so
        drop   coreos/amd64/systemd lib64/libcap.so
        drop   coreos/amd64/systemd lib64/libgcc_s.so
        drop   coreos/amd64/systemd lib64/libgcrypt.so
        drop   coreos/amd64/systemd lib64/libgpg-error.so
        drop   coreos/amd64/systemd lib64/libip4tc.so
        drop   coreos/amd64/systemd lib64/libkmod.so
        drop   coreos/amd64/systemd lib64/liblzma.so
        drop   coreos/amd64/systemd lib64/libmount.so
        drop   coreos/amd64/systemd lib64/libpthread.so
        drop   coreos/amd64/systemd lib64/librt.so
        drop   coreos/amd64/systemd lib64/libseccomp.so
        drop   coreos/amd64/systemd lib64/libselinux.so
        drop   coreos/amd64/systemd lib64/libuuid.so
        drop   coreos/amd64/systemd lib64/libz.so
        drop   coreos/amd64/systemd lib64/ld-2.21.so
        rename coreos/amd64/systemd lib64/libattr.so.1.1.0 -> lib64/libattr.so.1.1.2502
        drop   coreos/amd64/systemd lib64/libc-2.21.so
        rename coreos/amd64/systemd lib64/libcap.so.2.24 -> lib64/libcap.so.2.71
        rename coreos/amd64/systemd lib64/libgcrypt.so.20.0.3 -> lib64/libgcrypt.so.20.5.0
        rename coreos/amd64/systemd lib64/libgpg-error.so.0.10.0 -> lib64/libgpg-error.so.0.38.0
        rename coreos/amd64/systemd lib64/libip4tc.so.0.1.0 -> lib64/libip4tc.so.2.0.0
        rename coreos/amd64/systemd lib64/libkmod.so.2.2.11 -> lib64/libkmod.so.2.5.1
        rename coreos/amd64/systemd lib64/liblzma.so.5.0.8 -> lib64/liblzma.so.5.6.4
        drop   coreos/amd64/systemd lib64/libnss_files-2.21.so
        drop   coreos/amd64/systemd lib64/libpthread-2.21.so
        drop   coreos/amd64/systemd lib64/librt-2.21.so
        rename coreos/amd64/systemd lib64/libseccomp.so.2.1.1 -> lib64/libseccomp.so.2.5.5
        rename coreos/amd64/systemd lib64/libz.so.1.2.8 -> lib64/libz.so.1.3.1
        drop   coreos/amd64/systemd lib
        add    coreos/amd64/systemd lib64/libacl.so.1
        add    coreos/amd64/systemd lib64/libacl.so.1.1.2302
        add    coreos/amd64/systemd lib64/libcrypt.so.2
        add    coreos/amd64/systemd lib64/libcrypt.so.2.0.0
        add    coreos/amd64/systemd lib64/libpam.so.0
        add    coreos/amd64/systemd lib64/libpam.so.0.85.1
        add    coreos/amd64/systemd lib/systemd/libsystemd-core-257.so
        add    coreos/amd64/systemd lib/systemd/libsystemd-shared-257.so
        rename coreos/amd64/systemd lib64/libpcre.so.1 -> lib64/libpcre2-8.so.0
        drop   coreos/amd64/systemd lib64/libpcre.so
        rename coreos/amd64/systemd lib64/libpcre.so.1.2.4 -> lib64/libpcre2-8.so.0.14.0
        rename kvm/amd64/sshd lib64/libcrypt.so.1 -> lib64/libcrypt.so.2
        rename kvm/amd64/sshd lib64/libcrypt-2.21.so -> lib64/libcrypt.so.2.0.0
        drop   kvm/amd64/sshd lib64/libnsl-2.21.so
        drop   kvm/amd64/sshd lib64/libnss_compat-2.21.so
        drop   kvm/amd64/sshd lib64/libnss_files-2.21.so
        drop   kvm/amd64/sshd lib64/libresolv-2.21.so
        drop   kvm/amd64/sshd lib64/libutil-2.21.so
        rename kvm/amd64/sshd lib64/libz.so.1.2.8 -> lib64/libz.so.1.3.1
        move   kvm/amd64/sshd sbin/sshd -> bin/sshd
        rename kvm/amd64/sshd lib64/libcrypto.so.1.0.0 -> lib64/libcrypto.so.3
        LEFT   missing coreos/amd64/bash:5 lib64/libncurses.so
        LEFT   missing coreos/amd64/bash:6 lib64/libncurses.so.5
        LEFT   missing coreos/amd64/bash:7 lib64/libncurses.so.5.9
        LEFT   missing coreos/amd64/systemd:73 lib64/libitm.so
        LEFT   missing coreos/amd64/systemd:74 lib64/libitm.so.1
        LEFT   missing coreos/amd64/systemd:75 lib64/libitm.so.1.0.0
        LEFT   missing coreos/amd64/systemd:96 lib64/systemd/systemd-activate candidates bin/systemd-socket-activate
        LEFT   missing coreos/amd64/systemd:97 lib64/systemd/systemd-bootchart
        LEFT   missing coreos/amd64/systemd:98 lib64/systemd/systemd-bus-proxyd
        LEFT   missing coreos/amd64/systemd:99 lib64/systemd/systemd-initctl
        LEFT   missing coreos/amd64/systemd:100 lib64/systemd/systemd-vconsole-setup
    "#]].assert_eq(&format!("{} lines of lib64/systemd move\n{}\n", moves.len(), others.join("\n")));
    expect![[r#"
        CCN_SYSTEMD_VERSION := v257
        CCN_IMG_RELEASE := 1097.0.0
        CCN_IMG_URL := https://alpha.release.flatcar-linux.net/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/flatcar_production_pxe_image.cpio.gz
    "#]].assert_eq(&String::from_utf8(plan.after.common_mk).unwrap());
}
