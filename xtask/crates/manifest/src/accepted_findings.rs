//! Findings that a tree accepts with a reason: these are not fixed, and do not fail a check.

use std::collections::BTreeSet;

use crate::finding::{Finding, FindingKind, Severity};
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

/// What an entry is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FindingSite<'a> {
    pub(crate) board: Board,
    pub(crate) flavor: &'a Flavor,
    /// The manifest, relative to the tree.
    pub(crate) file: &'a str,
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
            let site = FindingSite { board: finding.board, flavor: &finding.flavor, file: &finding.file };
            let matching = self.valid.iter().enumerate();
            let mut matching =
                matching.filter(|(_, entry)| entry.matches(finding.kind, site, &finding.path)).peekable();
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
        let mut obsolete: Vec<(&AcceptedFinding, String)> = Vec::new();
        for entry in unused {
            obsolete.push((
                entry,
                format!("no finding of kind {} has this path: the entry is not needed", entry.kind.id()),
            ));
        }
        for entry in &self.expired {
            let last = entry.expires.as_deref().unwrap_or_default();
            let message =
                format!("the entry expired after {last}, and is ignored: decide again, or remove it");
            obsolete.push((entry, message));
        }
        let mut lines: Vec<(usize, usize)> = obsolete.iter().map(|(entry, _)| entry.lines).collect();
        lines.sort_unstable();
        let finding = |(entry, message): (&AcceptedFinding, String)| {
            Some(Finding {
                file: FILE.to_owned(),
                line: Some(entry.lines.0),
                kind: FindingKind::Tidy,
                severity: Severity::Warning,
                board: entry.board.unwrap_or(Board::Amd64),
                flavor: Flavor::from_dir_name(&format!(
                    "usr_from_{}",
                    entry.flavor.as_deref().unwrap_or("coreos")
                ))?,
                path: entry.path.clone(),
                needed_by: Vec::new(),
                candidates: Vec::new(),
                message,
                suggestion: Suggestion::RemoveLines { file: FILE.to_owned(), lines: lines.clone() },
                fixable: false,
            })
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
    let (bytes, wanted) = (text.as_bytes(), pattern.as_bytes());
    // The character that starts at a position ends before this one.
    let after =
        |at: usize| (at + 1..text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    let (mut at, mut next) = (0, 0);
    // Where a star began in the text, and what follows it in the pattern; a mismatch extends the last one.
    let mut star: Option<(usize, usize)> = None;
    let mut double_star = star;
    while at < bytes.len() {
        match wanted.get(next) {
            Some(b'*') if wanted.get(next + 1) == Some(&b'*') => {
                next += 2;
                (star, double_star) = (None, Some((at, next)));
            }
            Some(b'*') => {
                next += 1;
                star = Some((at, next));
            }
            Some(b'?') if bytes[at] != b'/' => (at, next) = (after(at), next + 1),
            Some(&byte) if byte == bytes[at] && byte != b'?' => (at, next) = (at + 1, next + 1),
            _ => match (star.filter(|(from, _)| bytes[*from] != b'/'), double_star) {
                (Some((from, rest)), _) => {
                    star = Some((after(from), rest));
                    (at, next) = (after(from), rest);
                }
                (None, Some((from, rest))) => {
                    (star, double_star) = (None, Some((after(from), rest)));
                    (at, next) = (after(from), rest);
                }
                (None, None) => return false,
            },
        }
    }
    wanted[next..].iter().all(|byte| *byte == b'*')
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
