//! Layer boundaries that Cargo does not check: import cycles in a crate, and crates that do I/O or print.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::{Source, assert_none, sources};

/// Sibling modules must not import each other, directly or indirectly.
///
/// A module is a file and everything in the directory of the same name; a parent and its own children are one module
/// for this purpose, so only siblings are compared.
#[test]
fn sibling_modules_have_no_import_cycles() {
    let sources = sources();
    let files: Vec<&Source> = sources.iter().filter(|source| !source.is_test).collect();
    let modules: BTreeSet<Vec<String>> = files.iter().map(|source| source.module()).collect();
    let mut imports: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for source in &files {
        let from = source.module();
        for target in imported(source, &modules) {
            let common = from.iter().zip(&target).take_while(|(a, b)| a == b).count();
            if common < from.len() && common < target.len() {
                let sibling = |path: &[String]| path[..=common].to_vec();
                imports.entry(sibling(&from)).or_default().insert(sibling(&target));
            }
        }
    }
    let offences = imports.keys().filter_map(|start| cycle(start, &imports));
    let shown: BTreeSet<String> = offences.collect();
    assert_none(shown.into_iter().filter(|cycle| !REMAINING.contains(&cycle.as_str())).collect());
}

/// Known cycles that remain to be removed.
const REMAINING: [&str; 0] = [];

/// Modules of its crate that a file imports with `crate::…` or `super::…`.
fn imported(source: &Source, modules: &BTreeSet<Vec<String>>) -> BTreeSet<Vec<String>> {
    let path =
        Regex::new(r"(?-u:\b)(crate|(?:super::)*super|self)((?:::[a-z_0-9]+)*)(?:::\{([^;]*?)\})?").unwrap();
    let mut found = BTreeSet::new();
    for import in path.captures_iter(&source.code()) {
        let mut base = source.module();
        match &import[1] {
            "crate" => base.truncate(1),
            "self" => {}
            supers => base.truncate(base.len().saturating_sub(supers.matches("super").count()).max(1)),
        }
        base.extend(import[2].split("::").filter(|part| !part.is_empty()).map(str::to_owned));
        let group = import.get(3).map_or("", |group| group.as_str());
        let heads = group.split(',').map(|part| part.trim().split("::").next().unwrap_or_default());
        for head in heads.chain([""]) {
            let mut target = base.clone();
            target.extend((!head.is_empty()).then(|| head.to_owned()));
            while target.len() > 1 && !modules.contains(&target) {
                target.pop();
            }
            found.insert(target);
        }
    }
    found
}

/// A path of imports from `start` back to itself, printed in its canonical rotation.
fn cycle(start: &Vec<String>, imports: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) -> Option<String> {
    let mut paths = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while let Some(path) = paths.pop() {
        for next in imports.get(path[path.len() - 1]).into_iter().flatten() {
            if next == start {
                let mut names: Vec<String> = path.iter().map(|module| module.join("::")).collect();
                let least = (0..names.len()).min_by_key(|&at| &names[at]).unwrap_or(0);
                names.rotate_left(least);
                return Some(format!("import cycle: {} -> {}", names.join(" -> "), names[0]));
            }
            if seen.insert(next) {
                paths.push([path.as_slice(), &[next]].concat());
            }
        }
    }
    None
}

#[test]
fn libraries_do_no_io() {
    let outside = Regex::new(
        r"(?-u:\b)std::(fs|net|process|env|os|thread)(?-u:\b)|(?-u:\b)(fs|env|process)::[a-z_]+\(|SystemTime::now|(?-u:\b)(print|println|eprint|eprintln|dbg)!|io::(stdin|stdout|stderr)(?-u:\b)",
    )
    .unwrap();
    let pure =
        ["crates/coreos-types/", "crates/usr/", "crates/manifest/", "crates/openpgp-policy/", "src/report/"];
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| pure.iter().any(|start| source.path.starts_with(start))) {
        for found in outside.find_iter(&source.code()) {
            offences.push(format!("{} does I/O: {}", source.path, found.as_str()));
        }
    }
    assert_none(offences);
}

#[test]
fn only_the_terminal_prints() {
    let print = Regex::new(r"(?-u:\b)(print|println|eprint|eprintln)!|io::(stdout|stderr)\(").unwrap();
    // The inner side of the sandbox is a separate process that sends its output to the outer side.
    let allowed = |path: &str| {
        path.starts_with("src/terminal")
            || ["src/main.rs", "src/smoketest/sandbox/namespace_entry.rs"].contains(&path)
    };
    let printing =
        sources().into_iter().filter(|source| !allowed(&source.path) && print.is_match(&source.code()));
    assert_none(printing.map(|source| format!("{} prints: src/terminal does that", source.path)).collect());
}
