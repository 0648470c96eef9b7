//! References in the documents: files, tests, commands and versions exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use regex::Regex;

use crate::docs_man::commands;

use super::{assert_none, root, sources, walk};

/// The Markdown files of the repository.
fn read_documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            found.push((path.clone(), fs::read_to_string(path).unwrap()));
        }
    }
    if root().join("docs").is_dir() {
        walk(&root().join("docs"), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push((path.to_owned(), fs::read_to_string(path).unwrap()));
            }
        });
    }
    found
}

#[test]
fn document_links_point_to_existing_files() {
    let link = Regex::new(r"\]\(([^)# \n]+)(?:#[^)]*)?\)").unwrap();
    let mut offences = Vec::new();
    for (path, text) in read_documents() {
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if !target.contains("://")
                && !target.starts_with("mailto:")
                && !path.with_file_name(target).exists()
            {
                offences.push(format!("{} links to {target}, which does not exist", path.display()));
            }
        }
    }
    assert_none(offences);
}

#[test]
fn security_md_names_existing_tests() {
    let name = Regex::new(r"`([a-z0-9]+(?:_[a-z0-9]+){2,})`").unwrap();
    let security = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let code: String = sources().iter().map(|source| source.text.as_str()).collect();
    let named: Vec<&str> =
        name.captures_iter(&security).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    assert!(named.len() > 20, "{}", named.len());
    let test = Regex::new(r"#\[test\]\n(?:[ \n]*#\[[^\n]*\]\n)*[ \n]*fn ([a-z0-9_]+)\(\)").unwrap();
    let tests: BTreeSet<&str> =
        test.captures_iter(&code).map(|found| found.get(1).unwrap().as_str()).collect();
    let lost = named.iter().filter(|name| !tests.contains(*name));
    assert_none(
        lost.map(|name| format!("SECURITY.md names the test {name}, which does not exist")).collect(),
    );
}

#[test]
fn readme_names_each_command() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let unnamed = commands().into_iter().filter(|command| !readme.contains(command) && command != "help");
    assert_none(unnamed.map(|command| format!("README.md does not name {command}")).collect());
}

#[test]
fn changelog_has_the_version() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(changelog.contains(version), "CHANGELOG.md does not name version {version}");
}

#[test]
fn readme_has_the_minimum_rust_version() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let rust = env!("CARGO_PKG_RUST_VERSION");
    assert!(readme.contains(rust), "README.md does not say that Rust {rust} is the minimum");
}

/// The demo's tree is compiled in, so that `xtask/` can be copied into a tree with other makefiles.
#[test]
fn makefiles_of_the_demo_equal_those_of_stage1() {
    let copies = ["Makefile", "build-usr.mk", "pxe-image.mk", "usr_from_coreos.mk", "usr_from_kvm.mk"];
    let mut offences = Vec::new();
    walk(&root().join("stage1"), &mut |path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        if copies.contains(&name) && !path.to_string_lossy().contains("/build-") {
            let copy = root().join("xtask/src/demo/example").join(name);
            if fs::read(path).unwrap() != fs::read(&copy).unwrap_or_default() {
                offences.push(format!("cp {} {}", path.display(), copy.display()));
            }
        }
    });
    assert_none(offences);
}
