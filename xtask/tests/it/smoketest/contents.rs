//! What is in a stage1 of Debian files: owners compared with dpkg's lists, and entries that nothing needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{BOOKWORM, Bench, TRIXIE, releases};

/// Packages by path below `/usr` of the image, as dpkg's lists name them (`debian-files.txt`).
fn dpkg_owners(release: &str) -> BTreeMap<String, BTreeSet<String>> {
    let list = releases().join("amd64-usr").join(release).join("debian-files.txt");
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in fs::read_to_string(list).unwrap().lines() {
        let (package, path) = line.split_once('\t').unwrap();
        // The directories that make-debian-release.sh merges.
        let path = path.replace("lib/x86_64-linux-gnu/", "lib64/");
        let path = path.strip_prefix("lib/").map_or(path.clone(), |below| format!("lib64/{below}"));
        owners.entry(path).or_default().insert(package.to_owned());
    }
    owners
}

#[test]
#[ignore = "requires root and Debian releases whose images name their packages"]
fn owner_of_each_file_is_that_of_dpkg() {
    for release in [BOOKWORM, TRIXIE] {
        let (bench, owners) = (Bench::new(release), dpkg_owners(release));
        let document = bench.run(release, &["sbom"]).document["sbom"].clone();
        let rows = |key: &str| document[key].as_array().unwrap().clone();
        let names = |key: &str, name: &str| -> BTreeMap<String, String> {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            rows(key).iter().map(|row| (text(&row["SPDXID"]), text(&row[name]))).collect()
        };
        let (files, packages) = (names("files", "fileName"), names("packages", "name"));
        let mut owned = 0;
        for link in rows("relationships") {
            let id = |key: &str| link[key].as_str().unwrap().to_owned();
            let Some(file) = files.get(&id("spdxElementId")) else { continue };
            let package = packages[&id("relatedSpdxElement")].rsplit('/').next().unwrap().to_owned();
            let path = file.strip_prefix("./usr/").unwrap();
            assert!(owners[path].contains(&package), "{path}: {package}, not {:?}", owners[path]);
            owned += 1;
        }
        assert!(owned == files.len() && owned > 100, "{owned} of {} files have an owner", files.len());
    }
}

#[test]
#[ignore = "requires root and Debian releases"]
fn unneeded_lines_can_go() {
    let bench = Bench::new(BOOKWORM);
    let result = bench.run(BOOKWORM, &["unneeded", "--prove", "--flavor", "coreos"]);
    assert_eq!(result.code, Some(0), "{}", result.stderr);
    let trials = result.document["trials"].as_array().unwrap();
    let links = trials.iter().find(|trial| trial["group"] == "development-links").unwrap();
    assert!(links["removed"].as_array().unwrap().len() > 4 && links["boots"] == 1, "{links}");
    assert_eq!(links["must_stay"].as_array().unwrap().len(), 0, "{links}");
    // The commands apply, and the result is still clean.
    let commands = result.document["removal"].as_object().unwrap().values();
    for command in commands {
        let tool = format!("{} ", env!("CARGO_BIN_EXE_xtask"));
        let line = command.as_str().unwrap().replace("cargo xtask ", &tool);
        let status = std::process::Command::new("sh").args(["-c", &line]).status().unwrap();
        assert!(status.success(), "{line}");
    }
    let again = bench.run(BOOKWORM, &["unneeded"]);
    // Only what the removed programs alone needed is left.
    let again = again.document["unneeded"].as_array().unwrap().clone();
    assert!(again.iter().all(|line| line["group"] == "libraries"), "{again:?}");
}
