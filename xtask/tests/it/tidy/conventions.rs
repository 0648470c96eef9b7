//! Conventions of source files: doc comments, no open tasks, no unsafe code, no skipped tests.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use regex::Regex;

use super::{assert_none, root, sources, walk};

#[test]
fn each_module_has_a_doc_comment() {
    // A file of unit tests is documented by the module that it tests.
    let first = |text: &str| {
        text.lines().find(|line| !line.is_empty() && !line.starts_with("#![")).map(str::to_owned)
    };
    let says = |text: &str| first(text).is_some_and(|line| line.starts_with("//! "));
    let silent =
        sources().into_iter().filter(|source| !says(&source.text) && !source.path.ends_with("/tests.rs"));
    assert_none(
        silent.map(|source| format!("{} does not begin with its purpose (//!)", source.path)).collect(),
    );
}

#[test]
fn no_todo_marker_is_left() {
    // Composed at run time, so that this file does not match.
    let words = ["TO", "DO|FIX", "ME|X", "XX|unimple", "mented!|dbg", "!\\(|to", "do!\\("].concat();
    let later = Regex::new(&format!(r"(?-u:\b)({words})")).unwrap();
    let mut offences = Vec::new();
    for source in sources() {
        offences.extend(
            later.find_iter(&source.text).map(|found| format!("{}: {}", source.path, found.as_str())),
        );
    }
    assert_none(offences);
}

#[test]
fn each_integration_test_is_compiled() {
    let main = fs::read_to_string(root().join("xtask/tests/it/main.rs")).unwrap();
    let mut offences = Vec::new();
    for entry in fs::read_dir(root().join("xtask/tests/it")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|e| e == "rs")
            && name != "main"
            && !main.contains(&format!("mod {name};"))
        {
            offences.push(format!("tests/it/{name}.rs is named in no mod line of main.rs"));
        }
    }
    assert_none(offences);
}

#[test]
fn every_crate_forbids_unsafe_code() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    let crates = fs::read_dir(root().join("xtask/crates")).unwrap().map(|entry| entry.unwrap().path());
    for member in crates.chain([root().join("xtask")]) {
        let inherits = fs::read_to_string(member.join("Cargo.toml")).unwrap();
        assert!(inherits.contains("[lints]\nworkspace = true"), "{}", member.display());
    }
}

#[test]
fn scripts_stop_on_errors_and_are_executable() {
    let mut scripts = BTreeSet::from([root().join(".ci/run")]);
    walk(&root().join("scripts"), &mut |path| {
        scripts.insert(path.to_owned());
    });
    let mut offences = Vec::new();
    for path in scripts {
        let text = fs::read_to_string(&path).unwrap();
        if !text.starts_with("#!") || !text.contains("set -e") {
            offences.push(format!("{} has no #! or no set -e", path.display()));
        }
        if fs::metadata(&path).unwrap().permissions().mode() & 0o111 == 0 {
            offences.push(format!("{} cannot be run", path.display()));
        }
    }
    assert_none(offences);
}

/// A test that returns before its first check passes silently; a test that cannot run here must be `#[ignore]`d.
#[test]
fn tests_do_not_skip_themselves() {
    let early = Regex::new(
        r"#\[test\]\n(?:[ \n]*#\[[^\n]*\]\n)*[ \n]*fn ([a-z0-9_]+)\(\) \{\n[ \n]*(?:if [^\n]*\{[ \n]*return;|let [^;]*?else \{[ \n]*return;?[ \n]*\})",
    )
    .unwrap();
    let mut offences = Vec::new();
    for source in sources() {
        let skips = early.captures_iter(&source.text);
        offences.extend(skips.map(|found| format!("{}: {} returns early", source.path, &found[1])));
    }
    assert_none(offences);
}
