//! Comparison with GNU `sort` in `en_US.UTF-8` on random manifest lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use manifest::sort_order::compare_en_us;

use super::output;

/// A linear congruential generator (Knuth's constants), with the same lines in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn line(&mut self, alphabet: &[char], most: usize) -> String {
        (0..=self.below(most)).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }
}

fn sort(locales: &Path, lines: &[String]) -> Vec<String> {
    let input = locales.join("lines");
    fs::write(&input, lines.join("\n") + "\n").unwrap();
    let sorted = Command::new("sort")
        .arg(&input)
        .env("LOCPATH", locales)
        .env("LC_ALL", "en_US.UTF-8")
        .output()
        .unwrap();
    assert!(sorted.status.success(), "{sorted:?}");
    String::from_utf8(sorted.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs localedef and the sources of the en_US locale"]
fn en_us_order_matches_sort() {
    let locales = tempfile::tempdir().unwrap();
    let compiled = locales.path().join("en_US.UTF-8");
    output("localedef", &["-i", "en_US", "-f", "UTF-8", compiled.to_str().unwrap()]);

    let printable: Vec<char> = (' '..='~').collect();
    let paths: Vec<char> = "abAB01.-_/+:@$".chars().collect();
    let versions: Vec<char> = "so1.2-_/".chars().collect();
    let mut random = Random(1);
    let mut compared = 0;
    for (alphabet, most) in [(&printable, 9), (&paths, 8), (&paths, 20), (&versions, 9), (&versions, 4)] {
        let lines: BTreeSet<String> = (0..30_000).map(|_| random.line(alphabet, most)).collect();
        let expected = sort(locales.path(), &lines.iter().cloned().collect::<Vec<_>>());
        let mut actual: Vec<String> = lines.into_iter().collect();
        actual.sort_by(|one, other| compare_en_us(one, other));
        compared += actual.len();
        let differ: Vec<_> =
            actual.iter().zip(&expected).filter(|(one, other)| one != other).take(8).collect();
        assert!(differ.is_empty() && actual.len() == expected.len(), "{differ:?}");
    }
    let real = ["/usr/lib", "/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/systemd/system"];
    let names = |directory: &&str| fs::read_dir(directory).ok();
    let mut files: Vec<String> = real
        .iter()
        .filter_map(names)
        .flatten()
        .flatten()
        .filter_map(|entry| entry.path().to_str().map(|path| path.trim_start_matches("/usr/").to_owned()))
        .filter(|path| path.is_ascii())
        .collect();
    let expected = sort(locales.path(), &files);
    files.sort_by(|one, other| compare_en_us(one, other));
    assert_eq!(files, expected);
    eprintln!(
        "{} random lines and {} file names of this machine sorted as sort sorts them",
        compared,
        files.len()
    );
}
