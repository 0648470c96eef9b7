//! `plan::bump` on the guide's example and on variants of its tree.

use std::collections::BTreeMap;

use coreos_types::{Board, Flavor};
use manifest::finding::{Finding, FixKind};
use manifest::plan::bump::{BumpOptions, BumpPlan, plan_bump};
use manifest::plan::edit_plan::EditPlan;
use manifest::rules::lint_and_fix::FixOptions;
use manifest::selection::ManifestRef;
use manifest::stage1_sources::{COMMON_MK, Stage1Sources};
use release_fixture::image_spec::ImageSpec;
use usr::DlopenPriority;
use xtask::demo::example;

const BASH: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/bash.manifest";
pub(crate) const SYSTEMD: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest";

/// The guide's tree at 991.0.0.
pub(crate) fn sources() -> Stage1Sources {
    let mut sources = Stage1Sources { common_mk_path: COMMON_MK.to_owned(), ..Stage1Sources::default() };
    let mut list = |path: &str, real: &str| {
        let flavor = Flavor::from_dir_name(path.split('/').nth(1).unwrap()).unwrap();
        let (directory_entry, file) = (path.to_owned(), real.to_owned());
        sources.manifest_refs.push(ManifestRef { board: Board::Amd64, flavor, directory_entry, file });
    };
    for (path, _) in example::FILES.iter().filter(|(path, _)| *path != COMMON_MK) {
        list(path, path);
    }
    for (path, target) in example::symlinks() {
        list(&path, &target.replace("../../", "stage1/"));
    }
    for (path, text) in example::FILES {
        match path {
            COMMON_MK => sources.common_mk = text.into(),
            _ => drop(sources.manifests.insert(path.to_owned(), text.into())),
        }
    }
    sources
}

fn plan_bump_of(sources: &Stage1Sources, image: &ImageSpec) -> BumpPlan {
    let request = BumpOptions {
        release: image.release.clone(),
        channel: None,
        vendor: None,
        systemd: None,
        min_dlopen_priority: Some(DlopenPriority::Required),
        fix_options: FixOptions::default(),
    };
    let tree = image.tree();
    plan_bump(sources, &request, &BTreeMap::from([(Board::Amd64, &tree)])).unwrap()
}

fn changed_lines(before: &Stage1Sources, after: &Stage1Sources) -> Vec<String> {
    let edits = EditPlan::between(before, after).edits;
    let diffs: Vec<String> = edits.iter().map(|edit| edit.diff()).collect();
    let lines = diffs.iter().flat_map(|diff| diff.lines().skip(2));
    lines.filter(|line| line.starts_with(['+', '-'])).map(str::to_owned).collect()
}

#[test]
fn example_bump_of_the_guide_is_planned() {
    let sources = sources();
    let bump = plan_bump_of(&sources, &example::image_after().unwrap());
    assert_eq!(
        changed_lines(&sources, &bump.after),
        [
            "-CCN_SYSTEMD_VERSION := v225",
            "+CCN_SYSTEMD_VERSION := v229",
            "-CCN_IMG_RELEASE := 991.0.0",
            "+CCN_IMG_RELEASE := 1032.0.0",
            "+lib64/libpam.so",
            "+lib64/libpam.so.0",
            "+lib64/libpam.so.0.84.1",
        ]
    );
    let reasons: Vec<&str> = bump.fixes.iter().map(|fix| fix.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "lib64/systemd/systemd needs libpam.so.0",
            "this manifest lists symlinks without a version; it points to lib64/libpam.so.0",
            "lib64/systemd/systemd needs libpam.so.0, which points to it",
        ]
    );
    assert_eq!(bump.findings, []);
    let again = plan_bump_of(&bump.after, &example::image_after().unwrap());
    assert_eq!(again.after, bump.after);
    assert_eq!(again.fixes, []);
}

#[test]
fn file_needed_by_path_is_added_with_that_reason() {
    let mut sources = sources();
    for bytes in sources.manifests.values_mut() {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text.replace("lib64/ld-linux-x86-64.so.2\n", "").into_bytes();
    }
    let bump = plan_bump_of(&sources, &example::image_before().unwrap());
    let reasons: Vec<&str> = bump.fixes.iter().map(|fix| fix.reason.as_str()).collect();
    assert_eq!(reasons, ["bin/bash needs /lib64/ld-linux-x86-64.so.2"]);
}

#[test]
fn manifest_outside_the_tree_is_reported_not_fixed() {
    let mut sources = sources();
    sources.outside.insert(SYSTEMD.to_owned(), SYSTEMD.to_owned());
    let bump = plan_bump_of(&sources, &example::image_after().unwrap());
    assert_eq!(bump.after.manifests, sources.manifests);
    let paths: Vec<&str> = bump.findings.iter().map(|finding| finding.path.as_str()).collect();
    assert_eq!(paths, ["lib64/libpam.so.0"]);
}

/// rkt's build joins the manifests with cat(1) and sort(1), and compares each line with the paths of the image.
#[test]
fn lines_rejected_by_the_build_are_fixed() {
    let mut sources = sources();
    let text = String::from_utf8(sources.manifests[BASH].clone()).unwrap();
    let refused = format!("# ours\r\n{}", text.trim_end().replace('\n', "\r\n"));
    sources.manifests.insert(BASH.to_owned(), refused.into_bytes());
    let bump = plan_bump_of(&sources, &example::image_before().unwrap());
    assert_eq!(String::from_utf8_lossy(&bump.after.manifests[BASH]), text);
    assert_eq!(bump.findings, []);
    assert!(bump.fixes.iter().all(|fix| fix.kind == FixKind::Tidy && fix.file == BASH), "{:#?}", bump.fixes);
}

#[test]
fn findings_of_an_unwritten_plan_use_lines_on_disk() {
    let sources = sources();
    let image = example::image_after().unwrap().without("lib64/systemd/systemd-bootchart");
    let bump = plan_bump_of(&sources, &image);
    let line =
        |findings: &[Finding]| findings.iter().map(|finding| finding.line.unwrap()).collect::<Vec<_>>();
    let text =
        |bytes: &[u8], line: usize| String::from_utf8_lossy(bytes).lines().nth(line - 1).map(str::to_owned);
    let removed = Some("lib64/systemd/systemd-bootchart".to_owned());
    assert_eq!(text(&bump.after.manifests[SYSTEMD], line(&bump.findings)[0]), removed);
    let on_disk = bump.findings_on_disk(&sources);
    assert_eq!(text(&sources.manifests[SYSTEMD], line(&on_disk)[0]), removed);
}

/// The program of a unit belongs next to other programs, not next to the unit.
#[test]
fn unwritten_plan_names_the_line_of_the_written_one() {
    const UNIT: &str = "lib64/systemd/system/new.service";
    let mut sources = sources();
    let text = String::from_utf8(sources.manifests[SYSTEMD].clone()).unwrap();
    sources.manifests.insert(SYSTEMD.to_owned(), format!("{text}{UNIT}\n").into_bytes());
    let image = example::image_after().unwrap();
    let image = image.text(UNIT, "[Service]\nExecStart=/usr/lib64/systemd/systemd-new\n");
    let bump = plan_bump_of(&sources, &image.program("lib64/systemd/systemd-new", &[]));
    let neighbor = |sources: &Stage1Sources, findings: &[Finding]| {
        let [finding] = findings else { panic!("{findings:?}") };
        let text = String::from_utf8_lossy(&sources.manifests[&finding.file]).into_owned();
        text.lines().nth(finding.line.unwrap() - 1).map(str::to_owned)
    };
    let expected = neighbor(&bump.after, &bump.findings);
    assert_ne!(expected.as_deref(), Some(UNIT));
    assert_eq!(neighbor(&sources, &bump.findings_on_disk(&sources)), expected);
}

/// An addition can make another line redundant, or replace a line after that was normalized.
#[test]
fn fixes_are_repeated_until_they_converge() {
    let mut sources = sources();
    let text = String::from_utf8(sources.manifests[SYSTEMD].clone()).unwrap();
    let text = text
        .replace("lib64/libkmod.so.2\n", "")
        .replace("lib64/libkmod.so.2.2.11", "/lib64/libkmod.so.2.2.10");
    sources.manifests.insert(SYSTEMD.to_owned(), text.into_bytes());
    let bump = plan_bump_of(&sources, &example::image_before().unwrap());
    assert_eq!(bump.findings, []);
    let mut from_fixes: Vec<String> = Vec::new();
    for fix in &bump.fixes {
        from_fixes.extend(fix.from.iter().map(|line| format!("-{line}")));
        from_fixes.extend(fix.to.iter().map(|line| format!("+{line}")));
    }
    let mut from_diff = changed_lines(&sources, &bump.after);
    from_fixes.sort();
    from_diff.sort();
    assert_eq!(from_fixes, from_diff);
}

#[test]
fn drop_missing_keeps_lines_with_several_candidates() {
    let mut sources = sources();
    let text = String::from_utf8(sources.manifests[SYSTEMD].clone()).unwrap();
    sources.manifests.insert(SYSTEMD.to_owned(), format!("{text}lib64/libtwin.so.1\n").into_bytes());
    let image = example::image_before().unwrap();
    let image = image.library("lib64/libtwin.so.2", "libtwin.so.2", &[]);
    let image = image.library("lib64/libtwin.so.3", "libtwin.so.3", &[]);
    let tree = image.tree();
    let request = BumpOptions {
        release: image.release.clone(),
        channel: None,
        vendor: None,
        systemd: None,
        min_dlopen_priority: Some(DlopenPriority::Required),
        fix_options: FixOptions { drop_missing: true, by_names_only: false },
    };
    let bump = plan_bump(&sources, &request, &BTreeMap::from([(Board::Amd64, &tree)])).unwrap();
    let left: Vec<(&str, usize)> =
        bump.findings.iter().map(|f| (f.path.as_str(), f.candidates.len())).collect();
    assert_eq!(left, [("lib64/libtwin.so.1", 2)]);
}
