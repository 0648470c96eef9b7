//! The checks of a run in order: printed immediately, and recorded for the report.

use std::collections::BTreeMap;

use super::RootfsUnderTest;
use crate::context::Context;
use crate::report::invocation::Invocation;
use crate::report::{Check, CheckOutcome, count_with_noun};
use manifest::file::ManifestFile;
use manifest::suggestion::Suggestion;
use usr::UsrPath;

pub(super) struct CheckLog<'a> {
    pub context: &'a Context<'a>,
    /// The command line that fixes the manifests.
    pub fix_invocation: Invocation,
    pub checks: Vec<Check>,
}

impl CheckLog<'_> {
    pub(super) fn hint_line(&self, suggestion: &Suggestion) -> String {
        format!("hint: {}", self.fix_invocation.hint(suggestion))
    }

    pub(super) fn pass(&mut self, name: &'static str, subject: &str, message: &str) {
        self.context.term.stage("passed", format!("{name} {subject}: {message}"));
        self.pass_quietly(name, subject, message);
    }

    /// Records one of many checks that passed.
    pub(super) fn pass_quietly(&mut self, name: &'static str, subject: &str, message: &str) {
        self.push(name, subject, CheckOutcome::Pass, message);
    }

    pub(super) fn skip(&mut self, name: &'static str, subject: &str, reason: &str) {
        let first = reason.lines().next().unwrap_or_default();
        self.context.term.stage("skipped", format!("{name} {subject}: {first}"));
        self.push(name, subject, CheckOutcome::Skip, reason);
    }

    /// Records and prints a check that failed. `file` is the manifest that lists the subject, or should.
    pub(super) fn fail(&mut self, name: &'static str, subject: &str, file: Option<String>, message: &str) {
        let first = message.lines().next().unwrap_or_default();
        self.context.term.warn(format!("{name} {subject}: {first}"));
        let line = file.as_ref().and_then(|file| {
            let manifest = self.parse_manifest(file);
            manifest.entries().find(|(_, entry)| *entry == subject).map(|(index, _)| index + 1)
        });
        self.push(name, subject, CheckOutcome::Fail, message);
        if let Some(check) = self.checks.last_mut() {
            (check.file, check.line) = (file, line);
        }
    }

    fn push(&mut self, name: &'static str, subject: &str, outcome: CheckOutcome, message: &str) {
        let (subject, message) = (subject.to_owned(), message.to_owned());
        self.checks.push(Check { name, subject, outcome, message, file: None, line: None });
    }

    /// The paths that a flavor's manifests list, each with the first manifest that lists it.
    pub(super) fn listed_paths(&self, tested: &RootfsUnderTest) -> BTreeMap<UsrPath, String> {
        let mut listed = BTreeMap::new();
        for file in self.flavor_manifests(tested) {
            let manifest = self.parse_manifest(file);
            for path in manifest.entries().filter_map(|(_, entry)| UsrPath::new(entry).ok()) {
                listed.entry(path).or_insert_with(|| file.clone());
            }
        }
        listed
    }

    /// The manifest that should list a path: bash's for bash, journald's for the units of journald, systemd's for the
    /// rest.
    pub(super) fn suggested_manifest(&self, tested: &RootfsUnderTest, path: &str) -> String {
        let word = match path {
            "bin/bash" => "bash",
            unit if unit.contains("/system/") => "journald",
            _ => "systemd",
        };
        let named = self.flavor_manifests(tested).find(|file| file.ends_with(&format!("/{word}.manifest")));
        let (flavor, board) = (&tested.flavor, tested.rootfs.board);
        let default = || format!("stage1/usr_from_{flavor}/manifest-{board}.d");
        named.or_else(|| self.flavor_manifests(tested).next()).cloned().unwrap_or_else(default)
    }

    /// The first manifest that lists a path, else the one that should list it.
    pub(super) fn listing_manifest(&self, tested: &RootfsUnderTest, path: &str) -> String {
        self.listed_paths(tested).remove(path).unwrap_or_else(|| self.suggested_manifest(tested, path))
    }

    /// The manifests of a flavor on a board, by their real paths.
    fn flavor_manifests(&self, tested: &RootfsUnderTest) -> impl Iterator<Item = &String> {
        let (board, flavor) = (tested.rootfs.board, tested.flavor.clone());
        let manifest_refs = self.context.sources.manifest_refs.iter();
        manifest_refs
            .filter(move |listing| listing.board == board && listing.flavor == flavor)
            .map(|listing| &listing.file)
    }

    fn parse_manifest(&self, file: &str) -> ManifestFile {
        ManifestFile::parse(self.context.sources.manifests.get(file).map_or(&[][..], Vec::as_slice))
    }
}

/// Most further subjects of one failure in a message.
const MAX_NAMED: usize = 8;

/// The other subjects of a failure, with their number, for its message; nothing for none.
pub(super) fn and_others(others: &[impl AsRef<str>]) -> String {
    if others.is_empty() {
        return String::new();
    }
    let mut names: Vec<&str> = others.iter().take(MAX_NAMED).map(AsRef::as_ref).collect();
    let more = format!("{} more", others.len().saturating_sub(MAX_NAMED));
    names.extend(Some(more.as_str()).filter(|_| others.len() > MAX_NAMED));
    format!("\nthe same for {}: {}", count_with_noun(others.len(), "other path"), names.join(", "))
}

/// The last lines with text, indented for a message.
pub(super) fn last_lines<'l>(lines: impl DoubleEndedIterator<Item = &'l str>, count: usize) -> String {
    let with_text = lines.rev().filter(|line| !line.trim().is_empty()).take(count);
    let last: Vec<String> = with_text.map(|line| format!("  | {line}\n")).collect();
    last.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_subjects_are_counted_and_some_named() {
        assert_eq!(and_others(&[""; 0]), "");
        assert_eq!(and_others(&["a"]), "\nthe same for 1 other path: a");
        let many: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        assert_eq!(and_others(&many), "\nthe same for 10 other paths: 0, 1, 2, 3, 4, 5, 6, 7, 2 more");
    }
}
