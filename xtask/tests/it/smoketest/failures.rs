//! Observed failures of a wrong stage1: one file is removed from the manifests, the check of the manifests is
//! skipped, and the run must fail and name the file.

use super::{BOOKWORM, Bench, TRIXIE};

/// Removed lines, the name and the manifest that must be reported, and the checks that must report them.
struct Row {
    name: &'static str,
    left_out: fn(&str) -> bool,
    named: &'static str,
    manifest: &'static str,
    by: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row {
        name: "libpam",
        left_out: |line| line.starts_with("lib64/libpam.so"),
        named: "libpam.so.0",
        manifest: "systemd.manifest",
        by: &["link", "run"],
    },
    Row {
        name: "libapparmor, and systemd-analyze, the one program of bin/ that needs it",
        left_out: |line| line.starts_with("lib64/libapparmor.so") || line == "bin/systemd-analyze",
        named: "libapparmor.so.1",
        manifest: "systemd.manifest",
        by: &["link", "run"],
    },
    Row {
        name: "the loader",
        left_out: |line| line == "lib64/ld-linux-x86-64.so.2",
        named: "ld-linux-x86-64.so.2",
        manifest: ".manifest",
        by: &["link", "run"],
    },
    Row {
        name: "systemd-journald: rkt exits 0 and is silent",
        left_out: |line| line == "lib64/systemd/systemd-journald",
        named: "lib64/systemd/systemd-journald",
        manifest: "systemd.manifest",
        by: &["run"],
    },
    Row {
        name: "libtinfo: rkt exits 0, and bash did not start",
        left_out: |line| line.starts_with("lib64/libtinfo.so"),
        named: "libtinfo.so.6",
        manifest: "bash.manifest",
        by: &["link", "run"],
    },
    Row {
        name: "systemd-journald.service: rkt hangs",
        left_out: |line| line == "lib64/systemd/system/systemd-journald.service",
        named: "systemd-journald.service",
        manifest: "journald.manifest",
        by: &["run"],
    },
    Row {
        name: "the target of a link (udevadm, libcryptsetup): rkt runs",
        left_out: |line| line == "bin/udevadm" || line.starts_with("lib64/libcryptsetup.so.12."),
        named: "bin/udevadm",
        manifest: "systemd.manifest",
        by: &["rootfs"],
    },
    Row {
        name: "libargon2, which only a library that is loaded by name needs: rkt runs",
        left_out: |line| line.starts_with("lib64/libargon2.so"),
        named: "libargon2.so.1",
        manifest: "systemd.manifest",
        by: &["link"],
    },
];

#[test]
#[ignore = "needs root, make and Debian releases"]
fn left_out_file_fails_and_is_named() {
    for row in ROWS {
        let bench = Bench::new(BOOKWORM);
        assert!(bench.leave_out(row.left_out) > 0, "{}", row.name);
        let result = bench.run(BOOKWORM, &["smoketest", "--no-static", "--timeout", "10"]);
        result.assert_code(1);
        let failed = result.checks("fail");
        for check in row.by {
            let names = |line: &&String| line.starts_with(check) && line.contains(row.named);
            let line = failed.iter().find(names);
            let line =
                line.unwrap_or_else(|| panic!("{}: no {check} names {}: {failed:#?}", row.name, row.named));
            assert!(line.contains(row.manifest) && line.contains("hint: "), "{}: {line}", row.name);
        }
        eprintln!("{}: {} checks failed, by {}", row.name, failed.len(), row.by.join(" and "));
    }
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn listed_path_missing_in_image_fails_build() {
    let bench = Bench::new(BOOKWORM);
    let manifest = bench.tree().join("stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text + "lib64/libkmod.so.2.3.7\nlib64/libkmod.so.2.3.8\n").unwrap();
    let result = bench.run(BOOKWORM, &["smoketest", "--no-static"]);
    result.assert_code(1);
    let failed = result.checks("fail");
    let named = failed.iter().find(|check| check.starts_with("build ")).unwrap();
    // The line has no replacement, so --fix alone would not remove it.
    assert!(named.contains("lib64/libkmod.so.2.3.7") && named.contains("--drop-missing"), "{named}");
    // Both flavors list the path and are built in parallel; the output of each is contiguous.
    let log = std::fs::read_to_string(bench.tree().join("stage1/build-smoketest/build.log")).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let pieces = lines.windows(4).filter(|piece| {
        piece[0].starts_with("flavor ")
            && piece[1..3] == ["  lib64/libkmod.so.2.3.7", "  lib64/libkmod.so.2.3.8"]
            && piece[3].starts_with("hint: ")
    });
    assert_eq!(pieces.count(), lines.iter().filter(|line| line.starts_with("flavor ")).count(), "{log}");
}

/// Debian's systemd finds its private library through a directory symlink, and process 1 has no LD_LIBRARY_PATH.
#[test]
#[ignore = "needs root, make and Debian releases"]
fn missing_runpath_link_of_process_1_is_named() {
    let bench = Bench::new(TRIXIE);
    const LINK: &str = "lib64/x86_64-linux-gnu";
    assert!(bench.leave_out(|line| line == LINK) > 0);
    let result = bench.run(TRIXIE, &["smoketest", "--no-static", "--timeout", "10"]);
    result.assert_code(1);
    let failed = result.checks("fail");
    for check in ["link lib64/systemd/systemd", "run amd64-usr coreos"] {
        let line =
            failed.iter().find(|line| line.starts_with(check)).unwrap_or_else(|| panic!("{failed:#?}"));
        assert!(line.contains(&format!("systemd.manifest --add {LINK}")), "{line}");
        assert!(!line.contains(".so is missing"), "{line}");
    }
}
