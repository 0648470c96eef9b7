//! What each file owes its reader.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use regex::Regex;

use super::{none, root, sources, walk};

#[test]
fn each_module_says_what_it_is_for() {
    // A file of unit tests is told by the module that it tests.
    let first = |text: &str| {
        text.lines().find(|line| !line.is_empty() && !line.starts_with("#![")).map(str::to_owned)
    };
    let says = |text: &str| first(text).is_some_and(|line| line.starts_with("//! "));
    let silent =
        sources().into_iter().filter(|source| !says(&source.text) && !source.path.ends_with("/tests.rs"));
    none(silent.map(|source| format!("{} does not begin with its purpose (//!)", source.path)).collect());
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not accuse itself.
    let words = ["TO", "DO|FIX", "ME|X", "XX|unimple", "mented!|dbg", "!\\(|to", "do!\\("].concat();
    let later = Regex::new(&format!(r"(?-u:\b)({words})")).unwrap();
    let mut offences = Vec::new();
    for source in sources() {
        offences.extend(
            later.find_iter(&source.text).map(|found| format!("{}: {}", source.path, found.as_str())),
        );
    }
    none(offences);
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
    none(offences);
}

#[test]
fn no_unsafe_code_anywhere() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    let crates = fs::read_dir(root().join("xtask/crates")).unwrap().map(|entry| entry.unwrap().path());
    for member in crates.chain([root().join("xtask")]) {
        let inherits = fs::read_to_string(member.join("Cargo.toml")).unwrap();
        assert!(inherits.contains("[lints]\nworkspace = true"), "{}", member.display());
    }
}

#[test]
fn scripts_stop_at_the_first_error_and_can_be_run() {
    let mut scripts = BTreeSet::from([root().join(".ci/run")]);
    walk(&root().join("scripts"), &mut |path| {
        scripts.insert(path.to_owned());
    });
    let mut offences = Vec::new();
    for path in scripts {
        let text = fs::read_to_string(&path).unwrap();
        if !text.starts_with("#!") || !text.contains("set -e") {
            offences.push(format!("{} lacks #! or set -e", path.display()));
        }
        if fs::metadata(&path).unwrap().permissions().mode() & 0o111 == 0 {
            offences.push(format!("{} cannot be run", path.display()));
        }
    }
    none(offences);
}

/// A test that returns before it checked anything passes silently; one that cannot run here has to be `#[ignore]`d.
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
    none(offences);
}
