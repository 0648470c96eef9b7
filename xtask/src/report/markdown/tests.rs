use expect_test::expect;

use super::*;
use crate::report::fixtures;
use crate::report::source_links::SourceLinks;
use manifest::finding::Finding;
use packages::package_changes::PackageChange;
use usr::UsrPath;

#[test]
fn bump_as_body_of_a_pull_request() {
    expect![[r###"
        ## stage1: 991.0.0 → 1032.0.0

        cargo xtask bump-coreos · channel alpha · systemd v225 → v229

        2 files changed for release 1032.0.0 (1 added, 1 renamed); **1 problem (1 error), 1 fixable with --drop-missing**.

        - root filesystem of coreos on amd64-usr: 155.5 kB (-432.5 kB)

        ### Problems

        - [ ] **missing** `bin/systemctl`: bin/systemctl is not in the image of 1032.0.0 (amd64-usr, coreos) `stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest:1`

          hint: `cargo xtask verify-manifests --fix --drop-missing`


        <details><summary>Changes (2)</summary>

        | change | path | why | manifest |
        | --- | --- | --- | --- |
        | add | `lib64/libpam.so.0` | lib64/systemd/systemd needs libpam.so.0 | coreos/systemd (amd64-usr) |
        | rename | `lib64/libz.so.1.2.8` → `lib64/libz.so.1.2.11` | libz.so.1 points to it now | coreos/systemd (amd64-usr) |

        </details>

        <details><summary>New dependencies</summary>

        ```mermaid
        flowchart TB
          n0["lib64/systemd/systemd"] -->|"libpam.so.0"| n1["lib64/libpam.so.0"]
        ```

        </details>

        <details><summary>Libraries (2)</summary>

        | library | file before | file after | size | difference | needed by |
        | --- | --- | --- | --- | --- | --- |
        | `libpam` |  | `libpam.so.0` | 55.0 kB | +55.0 kB | `lib64/systemd/systemd` |
        | `libz` | `libz.so.1.2.8` | `libz.so.1.2.11` | 100.5 kB | +12.5 kB |  |

        </details>

        <details><summary>Size of the root filesystem</summary>

        | files of | board | before | after | difference |
        | --- | --- | --- | --- | --- |
        | **root filesystem of coreos** | amd64-usr | 588.0 kB | 155.5 kB | -432.5 kB |
        | coreos/systemd (amd64-usr) | amd64-usr | 588.0 kB | 155.5 kB | -432.5 kB |

        </details>

        <details><summary>Provenance</summary>

        - board: **amd64-usr**
          - image: `https://alpha.release.core-os.net/amd64-usr/1032.0.0/x.cpio.gz`
          - digest: `sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a`
          - signed by: CoreOS Buildbot `<buildbot@coreos.com>`
          - primary key: `04127D0BFABEC8871FFB2CCE50E0885593D2DCB4`
          - subkey: `DBFC52DBB963767AD20BA90807FA9ED31CB5FA26`
          - signed at: 2016-04-28T10:00:00Z

        </details>

        <details><summary>Diff</summary>

        ```diff
        --- a/stage1/usr_from_coreos/coreos-common.mk
        +++ b/stage1/usr_from_coreos/coreos-common.mk
        @@ -1,2 +1,2 @@
        -CCN_SYSTEMD_VERSION := v225
        -CCN_IMG_RELEASE := 991.0.0
        +CCN_SYSTEMD_VERSION := v229
        +CCN_IMG_RELEASE := 1032.0.0
        --- a/stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest
        +++ b/stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest
        @@ -1,3 +1,4 @@
         bin/systemctl
         lib64/libmount.so.1
        -lib64/libz.so.1.2.8
        +lib64/libpam.so.0
        +lib64/libz.so.1.2.11
        ```

        </details>
    "###]].assert_eq(&render(&fixtures::bump()));
}

#[test]
fn hostile_names_stay_in_their_place() {
    let hostile =
        "x\n\n```\n# INJECTED @octocat\n![x](https://evil.example/b.png) closes #1\n</details>|<img>";
    let mut report = fixtures::bump();
    report.fixes[0].to = Some(hostile.into());
    report.fixes[0].reason = hostile.into();
    (report.findings[0].path, report.findings[0].message) = (hostile.into(), hostile.into());
    report.added_dependents[0].to = hostile.into();
    report.images[0].source = hostile.into();
    let body = render(&report);
    let lines = |start: &str| body.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(lines("</details>"), lines("<details>"));
    assert_eq!((lines("# "), lines("!["), lines("```")), (0, 0, 4), "{body}");
    // Outside of code spans and code blocks nothing of it is left as it was.
    let prose: String = body.split('`').step_by(2).collect();
    assert!(
        !prose.contains("@octocat") && !prose.contains("https://evil") && !prose.contains("<img>"),
        "{prose}"
    );
}

#[test]
fn failed_checks_are_listed() {
    let body = render(&fixtures::smoketest());
    let failed = "**link** `bin/bash` `stage1/usr_from_coreos/manifest-amd64-usr.d/bash.manifest`\n\n```\nlibtinfo.so.6 is not found\n";
    assert!(body.contains("3 passed, 1 failed, 1 skipped.") && body.contains(failed), "{body}");
}

#[test]
fn packages_of_stage1_are_listed() {
    let package = |name: &str, taken: &[&str]| PackageChange {
        name: name.into(),
        from: Some("1.5.3".into()),
        to: Some("1.6.1".into()),
        taken: taken.iter().map(|path| UsrPath::new(path).unwrap()).collect(),
        flavors: [].into(),
    };
    let packages = vec![package("sys-libs/pam", &["lib64/libpam.so.0"]), package("app/other", &[])];
    let body = render(&Report { package_changes: Some(packages), ..fixtures::bump() });
    assert!(body.contains("| `sys-libs/pam` | `1.5.3` | `1.6.1` | `lib64/libpam.so.0` |"), "{body}");
    assert!(
        body.contains("1 package changed of which stage1 takes no file.") && !body.contains("app/other"),
        "{body}"
    );
}

#[test]
fn body_of_300_changes_fits() {
    let mut report = fixtures::with_changes(300);
    let commit = "0123456789abcdef0123456789abcdef01234567";
    report.source_links = SourceLinks::from_remote("git@github.com:o/r", commit, "");
    for (directory, more) in [("lib64".to_owned(), 150), (format!("lib64/{}", "d".repeat(400)), 258)] {
        let finding = |number| {
            let path = format!("{directory}/{number}");
            Finding { line: Some(number), path, ..report.findings[0].clone() }
        };
        report.findings = (1..=300).map(finding).collect();
        let body = render(&report);
        assert!(body.chars().count() < 65_536, "{}", body.chars().count());
        assert!(body.contains("### Problems\n\n- [ ] **missing**"), "{body}");
        assert!(body.contains(&format!("… and {more} more.")), "{body}");
        assert!(body.contains("\nThis text is cut: ") && body.contains("<summary>Provenance"), "{body}");
    }
}
