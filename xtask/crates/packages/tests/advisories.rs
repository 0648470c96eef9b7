//! Counts of security fixes, compared with those of `count-security-fixes.py`, which is written independently.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "the test runs a script and reads its files")]

use std::path::Path;
use std::process::Command;

use coreos_types::Release;
use packages::release_notes::ReleaseNotes;

/// Compares the counts of each pair of releases of a file; returns their number.
fn compare(file: &Path) -> usize {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/count-security-fixes.py");
    let output = Command::new("python3").arg(script).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json = std::fs::read(file).unwrap();
    let notes = ReleaseNotes::parse(&json).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let own = |line: &str| {
        let mut words = line.split(' ');
        let [from, to]: [Release; 2] =
            [words.next(), words.next()].map(|word| word.unwrap().parse().unwrap());
        let found = notes.fixes_between(&from, &to);
        let complete = if found.caveat.is_none() { "yes" } else { "no" };
        format!("{from} {to} {} {complete}", found.count())
    };
    let different: Vec<String> = text
        .lines()
        .filter(|line| own(line) != *line)
        .map(|line| format!("{line}, not {}", own(line)))
        .collect();
    assert!(different.is_empty(), "{different:#?}");
    text.lines().count()
}

/// The vendor's own file is compared too, if its path is in `XTASK_RELEASES_JSON`.
#[test]
fn counts_agree_with_the_script() {
    assert_eq!(compare(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/releases.json"))), 15);
    if let Some(file) = std::env::var_os("XTASK_RELEASES_JSON") {
        assert!(compare(Path::new(&file)) > 0);
    }
}
