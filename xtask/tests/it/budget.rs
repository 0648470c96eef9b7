//! Number and licences of the crates in Cargo.lock, which the first `cargo xtask` builds.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Crates of the tool itself, including this one.
const CRATES: usize = 209;

/// The root directory of the workspace.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Licences allowed by deny.toml.
fn read_licences() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let list = text.split_once("allow = [").unwrap().1.split_once(']').unwrap().0;
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Runs cargo on this workspace offline, with Cargo.lock and the fetched crates.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The crates of the tool, without those of build scripts.
fn list_tool_crates() -> BTreeSet<String> {
    list_crates("{p}", &["--edges", "normal", "--package", "xtask"])
}

/// The crates of a dependency graph, in a format of `cargo tree`, without paths.
fn list_crates(format: &str, selection: &[&str]) -> BTreeSet<String> {
    let options = ["tree", "--locked", "--offline", "--prefix", "none", "--format", format];
    let tree = cargo(&[&options, selection].concat());
    tree.lines().filter_map(|line| line.split(" (").next()).map(str::to_owned).collect()
}

#[test]
fn crate_count_stays_within_the_budget() {
    let crates = list_tool_crates();
    assert!(crates.len() <= CRATES, "{} crates, {CRATES} are allowed", crates.len());
}

/// `cargo test` and `cargo clippy` must not build a second copy of a crate: `cargo xtask` would compile again after each.
#[test]
fn features_are_the_same_for_tool_and_tests() {
    let format = "{p} with {f}";
    let tool = list_crates(format, &["--edges", "normal", "--package", "xtask"]);
    let tests = list_crates(format, &["--edges", "normal,dev", "--workspace"]);
    let differing: Vec<_> = tool.difference(&tests).collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn each_crate_has_an_allowed_licence() {
    let (allowed, used) = (read_licences(), list_tool_crates());
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata: Value = serde_json::from_str(&cargo(&[
        "metadata",
        "--locked",
        "--offline",
        "--format-version",
        "1",
        "--filter-platform",
        host,
    ]))
    .unwrap();
    let mut refused = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = format!("{} v{}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        let licence = package["license"].as_str().unwrap_or("none");
        if used.contains(&name) && !is_satisfied(licence, &allowed) {
            refused.push(format!("{name}: {licence}"));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// Whether an SPDX expression is satisfied: each part of an `AND`, one part of an `OR`.
fn is_satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let bare = expression.replace(['(', ')'], "").replace('/', " OR ");
    bare.split(" AND ").all(|part| part.split(" OR ").any(|licence| allowed.contains(licence.trim())))
}

#[test]
fn every_crate_is_locked_with_a_checksum() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let members = std::fs::read_dir(root().join("xtask/crates")).unwrap();
    let mut names: Vec<_> = members.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.push("xtask".to_owned());
    let is_tool_crate =
        |package: &&str| names.iter().any(|name| package.contains(&format!("name = \"{name}\"")));
    for package in lock.split("[[package]]").skip(1).filter(|package| !is_tool_crate(package)) {
        assert!(package.contains("\nsource = \"registry+") && package.contains("\nchecksum = "), "{package}");
    }
}
