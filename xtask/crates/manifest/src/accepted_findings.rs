//! Findings that a tree accepts with a reason: these are not fixed, and do not fail a check.

use std::collections::BTreeSet;

use crate::finding::{Finding, FindingKind, FindingSite};
use crate::suggestion::Suggestion;
use coreos_types::release::{Board, Flavor};

/// The file of a tree that lists its accepted findings.
pub const FILE: &str = "stage1/accepted-findings.toml";

/// One entry of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedFinding {
    /// Kind of the findings.
    pub kind: FindingKind,
    /// Pattern of the finding's path; see [`is_match`].
    pub path: String,
    /// Pattern of the manifest's path, or its file name, with or without `.manifest`; `None` for every manifest.
    pub manifest: Option<String>,
    /// The flavor; `None` for every flavor.
    pub flavor: Option<String>,
    /// The board; `None` for every board.
    pub board: Option<Board>,
    /// Why the findings are accepted.
    pub reason: String,
    /// The last day on which they are, `2027-06-30`.
    pub expires: Option<String>,
    /// First and last line of the entry, from 1.
    pub lines: (usize, usize),
}

/// The accepted findings of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcceptedFindings {
    valid: Vec<AcceptedFinding>,
    expired: Vec<AcceptedFinding>,
}

impl AcceptedFinding {
    fn matches(&self, kind: FindingKind, site: FindingSite<'_>, path: &str) -> bool {
        let is_manifest = |pattern: &String| {
            let name = site.file.rsplit('/').next().unwrap_or(site.file);
            let names = [site.file, name, name.strip_suffix(".manifest").unwrap_or(name)];
            names.iter().any(|name| is_match(pattern, name))
        };
        self.kind == kind
            && self.board.is_none_or(|board| board == site.board)
            && self.flavor.as_ref().is_none_or(|flavor| flavor == site.flavor.as_str())
            && self.manifest.as_ref().is_none_or(is_manifest)
            && is_match(&self.path, path)
    }
}

impl AcceptedFindings {
    /// The entries of the file; an entry with a last day before `today` (`2026-11-28`, UTC) is not valid.
    pub fn new(entries: Vec<AcceptedFinding>, today: &str) -> AcceptedFindings {
        let is_expired =
            |entry: &AcceptedFinding| entry.expires.as_ref().is_some_and(|last| last.as_str() < today);
        let (expired, valid) = entries.into_iter().partition(is_expired);
        AcceptedFindings { valid, expired }
    }

    /// Whether a finding is accepted, so that it is not fixed.
    pub(crate) fn accepts(&self, kind: FindingKind, site: FindingSite<'_>, path: &str) -> bool {
        self.valid.iter().any(|entry| entry.matches(kind, site, path))
    }

    /// Splits findings into those that remain and those that are accepted, each with its reason. What remains includes
    /// a warning for each entry that is expired, or that matches nothing and `can_match` a finding of this run.
    pub fn split(
        &self,
        findings: Vec<Finding>,
        can_match: impl Fn(&AcceptedFinding) -> bool,
    ) -> (Vec<Finding>, Vec<(Finding, String)>) {
        let (mut open, mut accepted, mut used) = (Vec::new(), Vec::new(), BTreeSet::new());
        for finding in findings {
            let matching = self.valid.iter().enumerate();
            let mut matching = matching
                .filter(|(_, entry)| entry.matches(finding.kind, finding.site(), &finding.path))
                .peekable();
            match matching.peek().map(|(_, entry)| entry.reason.clone()) {
                Some(reason) => accepted.push((finding.clone(), reason)),
                None => open.push(finding.clone()),
            }
            used.extend(matching.map(|(at, _)| at));
        }
        let unused = self.valid.iter().enumerate();
        let unused =
            unused.filter(|(at, entry)| !used.contains(at) && can_match(entry)).map(|(_, entry)| entry);
        open.extend(self.warnings(&unused.collect::<Vec<_>>()));
        (open, accepted)
    }

    fn warnings(&self, unused: &[&AcceptedFinding]) -> Vec<Finding> {
        let unused = unused.iter().map(|entry| {
            let kind = entry.kind;
            (*entry, format!("no finding of kind {kind} has this path: the entry is not needed"))
        });
        let expired = self.expired.iter().map(|entry| {
            let last = entry.expires.as_deref().unwrap_or_default();
            (entry, format!("the entry expired after {last}, and is ignored: decide again, or remove it"))
        });
        let obsolete: Vec<(&AcceptedFinding, String)> = unused.chain(expired).collect();
        let mut lines: Vec<(usize, usize)> = obsolete.iter().map(|(entry, _)| entry.lines).collect();
        lines.sort_unstable();
        let finding = |(entry, message): (&AcceptedFinding, String)| {
            let flavor = format!("usr_from_{}", entry.flavor.as_deref().unwrap_or("coreos"));
            let flavor = &Flavor::from_dir_name(&flavor)?;
            let board = entry.board.unwrap_or(Board::Amd64);
            let site = FindingSite { board, flavor, file: FILE, line: Some(entry.lines.0) };
            let suggestion = Suggestion::RemoveLines { file: FILE.to_owned(), lines: lines.clone() };
            Some(Finding::new(FindingKind::Tidy, site, &entry.path, message, suggestion))
        };
        obsolete.into_iter().filter_map(finding).collect()
    }
}

/// Whether a pattern matches a text: `?` is one character and `*` any number of them, both without slashes; `**` is any
/// number of characters. Every other character is itself.
pub fn is_match(pattern: &str, text: &str) -> bool {
    let Some(literal) = pattern.find(['*', '?']) else { return pattern == text };
    // Most texts differ before the first wildcard.
    if !text.starts_with(&pattern[..literal]) {
        return false;
    }
    let text: Vec<char> = text.chars().collect();
    // Whether the pattern so far matches that many characters of the text.
    let mut matches = vec![false; text.len() + 1];
    matches[0] = true;
    let mut pattern = pattern.chars().peekable();
    while let Some(wanted) = pattern.next() {
        if wanted == '*' {
            let is_double = pattern.next_if_eq(&'*').is_some();
            for (at, &c) in text.iter().enumerate() {
                matches[at + 1] |= matches[at] && (is_double || c != '/');
            }
        } else {
            for (at, &c) in text.iter().enumerate().rev() {
                matches[at + 1] = matches[at] && (c == wanted || wanted == '?' && c != '/');
            }
            matches[0] = false;
        }
    }
    matches[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_documented() {
        for (pattern, text, expected) in [
            ("bin/[", "bin/[", true),
            ("lib64/libz.so*", "lib64/libz.so.1", true),
            ("lib64/*", "lib64/systemd/x", false),
            ("lib64/**", "lib64/systemd/x", true),
            ("**/x", "lib64/systemd/x", true),
            ("*/x", "lib64/systemd/x", false),
            ("**/*.so.?", "a/b/c.so.1", true),
            ("**/*.so.?", "a/b/c.so.12", false),
            ("**/*.so.?", "a/b/c.so./", false),
            ("*", "", true),
            ("?", "", false),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
            ("**a*/b", "xa/ya/b", true),
            (r"a\x2d*", r"a\x2db", true),
            ("a?c*?", "aéc–", true),
            ("a??c", "aéc", false),
            ("*??", "é", false),
        ] {
            assert_eq!(is_match(pattern, text), expected, "{pattern} {text}");
        }
        // Without backtracking over more than the last star, the time would be exponential.
        assert!(!is_match(&"*a".repeat(200), &"a".repeat(5_000).replace("aaaaa", "aaaab")));
    }

    #[test]
    fn entry_is_valid_through_its_last_day() {
        let entry = |expires: Option<&str>| AcceptedFinding {
            kind: FindingKind::Tidy,
            path: "bin/x".to_owned(),
            manifest: None,
            flavor: None,
            board: None,
            reason: "r".to_owned(),
            expires: expires.map(str::to_owned),
            lines: (1, 4),
        };
        for (expires, expected) in [
            (None, false),
            (Some("2026-11-27"), true),
            (Some("2026-11-28"), false),
            (Some("2027-01-01"), false),
        ] {
            let accepted = AcceptedFindings::new(vec![entry(expires)], "2026-11-28");
            assert_eq!(accepted.expired.len(), usize::from(expected), "{expires:?}");
        }
    }
}
