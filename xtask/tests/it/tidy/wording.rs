//! Words that the project has replaced by the field's terms (docs/glossary.md) do not come back in texts that users read.

use std::fs;

use regex::Regex;

use super::{assert_none, root, sources, walk};

/// Replaced words, as whole words. The right column is what to write instead.
const REPLACED: [(&str, &str); 24] = [
    ("mend", "fix"),
    ("mended", "fixed"),
    ("mends", "fixes"),
    ("anew", "again"),
    ("in vain", "failed"),
    ("by halves", "partially"),
    ("at hand", "known, available, cached"),
    ("to be had", "available"),
    ("be had", "available"),
    ("proved", "verified"),
    ("prove", "verify"),
    ("vanished", "removed"),
    ("heir", "replacement"),
    ("took its place", "replaced by"),
    ("lacking", "missing"),
    ("left for a person", "remaining"),
    ("asked for", "requested"),
    ("storey", "layer"),
    ("storeys", "layers"),
    ("wholly", "atomically"),
    ("folder", "directory"),
    ("folders", "directories"),
    ("leads to", "points to, resolves to"),
    ("hand on", "pass on"),
];

/// The words in `text`, each with its line number.
fn replaced_words(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let words = REPLACED.map(|(word, _)| word).join("|");
    let pattern = Regex::new(&format!("(?-u:\\b)({words})(?-u:\\b)")).unwrap();
    let options = Regex::new("--[a-z-]+|^\"prove\"$").unwrap();
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        // The names of options are a contract.
        let line = options.replace_all(line, "").to_ascii_lowercase();
        for word in pattern.find_iter(&line) {
            let known = REPLACED.iter().find(|(replaced, _)| word.as_str() == *replaced);
            found.extend(known.map(|(replaced, instead)| (number + 1, *replaced, *instead)));
        }
    }
    found
}

#[test]
fn documents_use_the_fields_terms() {
    let mut offences = Vec::new();
    let mut check = |path: &std::path::Path| {
        if path.extension().is_some_and(|extension| extension == "md") && !path.ends_with("docs/style.md") {
            for (line, word, instead) in replaced_words(&fs::read_to_string(path).unwrap()) {
                offences.push(format!("{}:{line}: {word:?}, expected {instead}", path.display()));
            }
        }
    };
    walk(&root().join("docs"), &mut check);
    for entry in fs::read_dir(root()).unwrap() {
        check(&entry.unwrap().path());
    }
    assert_none(offences);
}

#[test]
fn messages_use_the_fields_terms() {
    let literal = Regex::new("\"(?:\\\\.|[^\"\\\\])*\"").unwrap();
    let mut offences = Vec::new();
    for source in sources() {
        for found in literal.find_iter(&source.code()) {
            for (_, word, instead) in replaced_words(found.as_str()) {
                offences.push(format!("{}: {word:?} in {}, expected {instead}", source.path, found.as_str()));
            }
        }
    }
    assert_none(offences);
}

#[test]
fn replaced_words_are_found_as_whole_words() {
    let found = replaced_words("a folder\nis Mended, not amended; approved");
    assert_eq!(found, [(1, "folder", "directory"), (2, "mended", "fixed")]);
}
