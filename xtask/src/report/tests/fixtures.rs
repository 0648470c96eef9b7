//! Reports for the tests of all formats.

use std::collections::BTreeMap;

use super::added_dependents::DependencyEdge;
use super::sizes::{ManifestSizes, PathSize};
use super::{Check, CheckOutcome, ImageOrigin, Report, Signer};
use coreos_types::{Board, Channel, Flavor, Release, SystemdVersion};
use manifest::finding::{Finding, FindingKind, Fix, FixKind, Severity};
use manifest::plan::edit_plan::{EditPlan, FileEdit};
use manifest::stage1_sources::COMMON_MK;
use manifest::suggestion::Suggestion;

const MANIFEST: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest";

fn release(text: &str) -> Release {
    text.parse().unwrap_or_else(|_| unreachable!("a release"))
}

fn fix(kind: FixKind, from: Option<&str>, to: Option<&str>, reason: &str) -> Fix {
    Fix {
        file: MANIFEST.into(),
        kind,
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
        reason: reason.into(),
    }
}

/// A bump with a rename, an addition and one remaining error.
pub(crate) fn bump() -> Report {
    let edit = |path: &str, before: &str, after: &str| FileEdit {
        path: path.into(),
        before: before.into(),
        after: after.into(),
    };
    Report {
        command: "bump-coreos".into(),
        release: Some((release("991.0.0"), release("1032.0.0"))),
        channel: Some(Channel::Alpha),
        systemd: Some((SystemdVersion(225), SystemdVersion(229))),
        plan: EditPlan {
            edits: vec![
                edit(
                    COMMON_MK,
                    "CCN_SYSTEMD_VERSION := v225\nCCN_IMG_RELEASE := 991.0.0\n",
                    "CCN_SYSTEMD_VERSION := v229\nCCN_IMG_RELEASE := 1032.0.0\n",
                ),
                edit(
                    MANIFEST,
                    "bin/systemctl\nlib64/libmount.so.1\nlib64/libz.so.1.2.8\n",
                    "bin/systemctl\nlib64/libmount.so.1\nlib64/libpam.so.0\nlib64/libz.so.1.2.11\n",
                ),
            ],
        },
        fixes: vec![
            fix(FixKind::Add, None, Some("lib64/libpam.so.0"), "lib64/systemd/systemd needs libpam.so.0"),
            fix(
                FixKind::Rename,
                Some("lib64/libz.so.1.2.8"),
                Some("lib64/libz.so.1.2.11"),
                "libz.so.1 points to it now",
            ),
        ],
        findings: vec![Finding {
            file: MANIFEST.into(),
            line: Some(1),
            kind: FindingKind::Missing,
            severity: Severity::Error,
            board: Board::Amd64,
            flavor: flavor(),
            path: "bin/systemctl".into(),
            needed_by: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
            candidates: Vec::new(),
            message: "bin/systemctl is not in the image of 1032.0.0".into(),
            suggestion: Suggestion::RunFixDropMissing,
            fixable: false,
        }],
        images: vec![ImageOrigin {
            board: Board::Amd64,
            source: "https://alpha.release.core-os.net/amd64-usr/1032.0.0/x.cpio.gz".into(),
            digest: format!("sha256:{}", "0a".repeat(32)),
            signer: Some(Signer {
                primary: "04127D0BFABEC8871FFB2CCE50E0885593D2DCB4".into(),
                signing_key: "DBFC52DBB963767AD20BA90807FA9ED31CB5FA26".into(),
                signed_at: "2016-04-28T10:00:00Z".into(),
                user_id: Some("CoreOS Buildbot <buildbot@coreos.com>".into()),
            }),
            os_release: BTreeMap::new(),
        }],
        sizes: vec![ManifestSizes {
            board: Board::Amd64,
            file: MANIFEST.into(),
            flavors: vec![flavor()],
            paths: vec![
                size("bin/systemctl", Some(500_000), None),
                size("lib64/libpam.so.0", None, Some(55_000)),
                size("lib64/libz.so.1.2.11", None, Some(100_500)),
                size("lib64/libz.so.1.2.8", Some(88_000), None),
            ],
        }],
        added_dependents: vec![DependencyEdge {
            board: Board::Amd64,
            from: "lib64/systemd/systemd".into(),
            to: "lib64/libpam.so.0".into(),
            name: "libpam.so.0".into(),
        }],
        ..Report::default()
    }
}

fn size(path: &str, before: Option<u64>, after: Option<u64>) -> PathSize {
    PathSize { path: path.into(), before, after }
}

fn flavor() -> Flavor {
    Flavor::from_dir_name("usr_from_coreos").unwrap_or_else(|| unreachable!("a flavor"))
}

/// A smoke test where one program does not link.
pub(crate) fn smoketest() -> Report {
    let check = |name, subject: &str, outcome, message: &str| Check {
        name,
        subject: subject.into(),
        outcome,
        message: message.into(),
        file: (outcome == CheckOutcome::Fail)
            .then(|| "stage1/usr_from_coreos/manifest-amd64-usr.d/bash.manifest".into()),
        line: None,
    };
    Report {
        command: "smoketest".into(),
        checks: vec![
            check("build", "3 flavors", CheckOutcome::Pass, ""),
            check(
                "link",
                "bin/bash",
                CheckOutcome::Fail,
                "libtinfo.so.6 is not found\nhint: cargo xtask verify-manifests --fix",
            ),
            check("link", "bin/ls", CheckOutcome::Pass, ""),
            check("link", "bin/cat", CheckOutcome::Pass, ""),
            check("run", "coreos", CheckOutcome::Skip, "--no-run"),
        ],
        ..Report::default()
    }
}

/// A bump that changes `number` lines.
pub(crate) fn with_changes(number: usize) -> Report {
    let mut report = bump();
    report.fixes = (0..number)
        .map(|n| {
            let path = format!("lib64/libsample-{n}.so.{n}");
            fix(FixKind::Add, None, Some(&path), "lib64/systemd/systemd needs it")
        })
        .collect();
    let lines: String =
        report.fixes.iter().filter_map(|fix| fix.to.as_ref()).map(|to| format!("{to}\n")).collect();
    report.plan.edits[1].after = lines.into_bytes();
    report
}
